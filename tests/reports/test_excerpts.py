"""The nodes' log lines around a finding: which, how many, in every format that shows them."""

import json
from dataclasses import replace

import pytest

from harness.store import LogLine, NodeLog
from reports import Report, render_html, render_json
from reports.ages import ages
from reports.excerpts import AROUND_NS, Excerpt, excerpt
from reports.rows import rows
from tests.reports.synthetic import MS, SECOND, report

EVIL = "</td><script>window.hacked = 1</script>\x1b[2J"


@pytest.fixture(scope="module")
def violated() -> Report:
    return report()


def around(run: Report, **logs: list[tuple[int, str]]) -> tuple[Report, Excerpt, int, int]:
    """The run with these logs, what is shown of them for its first finding, and the times of that finding's operations."""
    finding = run.findings[0]
    witness = rows(run.history, finding.witness, ages(run.history, run.plan.contract))
    begin, end = min(row.call_ns for row in witness), max(row.end_ns for row in witness)
    known = {name.replace("_", "-"): NodeLog(LogLine(*line) for line in lines) for name, lines in logs.items()}
    return replace(run, node_logs=known), excerpt(finding, witness, known), begin, end


def test_lines_within_a_second_are_shown_in_the_order_of_their_times(violated: Report) -> None:
    """Lines of the nodes that were asked, a second before to a second after; others, and those of other nodes, are not."""
    *_, begin, end = around(violated)
    _, shown, *_ = around(
        violated,
        primary=[(begin - AROUND_NS - 1, "too early"), (begin - AROUND_NS, "a"), (end + AROUND_NS + 1, "too late")],
        replica_2=[(begin - MS, "b"), (begin + MS, "c"), (end + AROUND_NS, "d")],
        replica_1=[(begin, "was not asked")],
    )
    assert [(line.node, line.text, line.place) for line in shown.lines] == [
        ("primary", "a", "before"),
        ("replica-2", "b", "before"),
        ("replica-2", "c", "between"),
        ("replica-2", "d", "after"),
    ]
    assert [line.at_ns for line in shown.lines] == sorted(line.at_ns for line in shown.lines)
    assert shown.left_out == ()


def test_a_node_that_talks_much_is_cut_and_the_rest_counted(violated: Report) -> None:
    """Twelve lines of a node are shown, the earliest; how many are left out is said; a line without end is clipped."""
    *_, begin, _ = around(violated)
    run, shown, *_ = around(
        violated, primary=[(begin + number, f"line {number} " + "x" * 10_000) for number in range(40)], replica_2=[(begin, "one")]
    )
    texts = [line.text for line in shown.lines if line.node == "primary"]
    assert len(texts) == 12
    assert texts[-1].startswith("line 11 ")
    assert max(map(len, texts)) <= 400
    assert shown.left_out == (("primary", 28),)
    assert "28 later lines of primary left out" in render_html(run)


def test_what_a_node_wrote_before_the_run_began_is_not_shown(violated: Report) -> None:
    """A finding right at the beginning does not drown in the words of servers that start."""
    finding = violated.findings[0]
    witness = rows(violated.history, finding.witness, ages(violated.history, violated.plan.contract))
    early = tuple(replace(row, call_ns=1 * MS, return_ns=2 * MS) for row in witness)
    shown = excerpt(finding, early, {"primary": NodeLog([LogLine(-1, "starting"), LogLine(0, "running")])})
    assert [line.text for line in shown.lines] == ["running"]


def test_every_format_escapes_the_lines(violated: Report) -> None:
    """The page shows markup and control characters of a log as text; results.json has node, time and text as they were."""
    *_, begin, _ = around(violated)
    run, *_ = around(violated, primary=[(begin + MS, EVIL)])
    page = render_html(run)
    assert page.count("<script") == 2
    assert "&lt;/td&gt;&lt;script&gt;" in page
    assert "\x1b" not in page
    (first, *_) = json.loads(render_json(run))["findings"]
    assert first["log_lines"] == [{"node": "primary", "at_ns": begin + MS, "place": "between", "text": EVIL}]


def test_silence_is_told_and_ignorance_is_not_called_silence(violated: Report) -> None:
    """Nodes whose known logs hold nothing there are said to have logged nothing; of unknown logs nothing is said."""
    quiet, *_ = around(violated, primary=[(3600 * SECOND, "much later")])
    assert "primary logged nothing" in render_html(quiet)
    assert "logged nothing" not in render_html(violated)
    assert "What the nodes logged" not in render_html(violated)


def test_a_few_lines_are_open_and_many_are_folded(violated: Report) -> None:
    """Up to eight lines are seen at once."""
    *_, begin, _ = around(violated)
    for number, opened in ((8, True), (9, False)):
        run, *_ = around(violated, primary=[(begin, f"line {each}") for each in range(number)])
        assert ('<details class="excerpt" open>' in render_html(run)) is opened
