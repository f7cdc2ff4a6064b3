"""How often findings come back, and that it is the same plan that is run again."""

from __future__ import annotations

import json
from pathlib import Path

from harness.cli.replays import Original, rates
from harness.shipped import find_plan
from harness.store import RunDirectory


def test_rates_count_runs_not_findings_and_have_an_interval():
    """A finding that came in two of four replays has a rate of one half, however often it came in each."""
    original = Original("", "violated", frozenset({"stale-read", "node-regress"}))
    replays = [("violated", ["stale-read", "stale-read", "stuck"]), ("violated", ["stale-read"]), ("pass", []), ("pass", [])]
    lines = rates(original, replays)
    assert [" ".join(line.split()) for line in lines[1:]] == [
        "verdict pass 2/4 50% [15%, 85%]",
        "* verdict violated 2/4 50% [15%, 85%]",
        "* stale-read 2/4 50% [15%, 85%]",
        "stuck 1/4 25% [5%, 70%]",
        "* node-regress 0/4 0% [0%, 49%]",
    ]


def test_no_replay_says_nothing():
    """Without a replay there is no rate, not a rate of zero."""
    assert rates(Original("", "pass", frozenset()), []) == ["no replay ran to its end: there is nothing to compare"]


def test_a_plan_that_was_edited_is_refused(anachron, tmp_path: Path):
    """A replay of another plan is no replay: the hashes are compared before anything starts."""
    plan, text = find_plan("too-short")
    run = RunDirectory.create(tmp_path / "runs", plan, text)
    results = {"plan": {"hash": plan.hash}, "verdict": {"answer": "inconclusive"}, "findings": []}
    (run.path / "results.json").write_text(json.dumps(results))
    run.plan_file.write_text(run.plan_file.read_text().replace("replicas = 2", "replicas = 3"))
    answer = anachron("replay", run.path)
    assert answer.status == 254
    assert plan.hash in answer.err
    assert "anachron run" in answer.err
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_what_is_no_run_cannot_be_replayed(anachron, tmp_path: Path):
    """A directory that is no run, and one that is not there, end with 254."""
    (tmp_path / "empty").mkdir()
    assert anachron("replay", "empty").status == 254
    assert anachron("replay", "nowhere").status == 254
