"""``anachron cost``."""

from __future__ import annotations

import json


def test_the_question_is_answered_for_a_fleet_of_any_size(anachron, tmp_path):
    """In sentences, with the path of the page last; page and document have every strategy."""
    answer = anachron("cost", "--nodes", "50", "--no-check", "--quiet")
    assert answer.status == 0, answer.out
    assert "To drift by 1ms at most" in answer.out
    assert answer.out.splitlines()[-1] == "runs/cost/report.html"
    document = json.loads((tmp_path / "runs/cost/results.json").read_text())
    rows = document["rows"]
    assert {row["strategy"] for row in rows if row["nodes"] == 50} == {row["strategy"] for row in rows}
    assert all(row["measured"] is None for row in rows)
    assert "No real fleet was counted: nothing was to be counted" in answer.out
    assert document["real"]["rows"] == document["sparse"]["rows"] == []
    page = (tmp_path / "runs/cost/report.html").read_text()
    assert "<title>What coherence costs</title>" in page
    assert page.count("<figure") == 6


def test_a_size_that_cannot_be_is_refused(anachron):
    """With what can be."""
    answer = anachron("cost", "--nodes", "2")
    assert answer.status == 254
    assert "greater than or equal to 3" in answer.err
