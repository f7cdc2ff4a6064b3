"""results.json, junit.xml, summary.md and the terminal: complete, valid, harmless, and of one opinion."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import reports
from harness.errors import StorageError
from harness.results import Clause, Curve, Measure, Outcome, Result
from reports import Report, render_json, render_junit, render_markdown, render_text, write_all
from tests.reports.synthetic import history, report, xml

HOSTILE = "<script>alert('x')</script> | `a` \x1b[2J\x00 @user ]]> \ud800 \u202e"


@pytest.fixture(scope="module")
def violated() -> Report:
    return report()


def hostile(plain: Report) -> Report:
    """``plain`` with hostile text wherever a candidate, a key or an error can put some."""
    clause = Clause(HOSTILE, HOSTILE, HOSTILE, Outcome.VIOLATED, why=HOSTILE, findings=("stale-read",))
    finding = replace(plain.findings[0], claim=HOSTILE, argument=(HOSTILE,), key=HOSTILE)
    return replace(
        plain,
        results=(Result("staleness", findings=(finding,)),),
        verdict=replace(plain.verdict, why=HOSTILE, clauses=(clause,)),
        environment={HOSTILE: HOSTILE},
        logs={HOSTILE: HOSTILE},
        oddities=(HOSTILE,),
        run=HOSTILE,
    )


def test_json_holds_the_whole_story(violated: Report) -> None:
    """Verdict, clauses, adequacy, findings with their witness rows, measures, curves and episodes are all in results.json."""
    document = json.loads(render_json(violated))
    assert document["format_version"] == 1
    assert document["verdict"]["answer"] == "violated"
    assert document["verdict"]["exit_status"] == 1
    assert document["plan"]["hash"] == violated.plan.hash
    assert [clause["outcome"] for clause in document["clauses"]] == ["violated", "pass", "waived", "inconclusive", "pass"]
    assert len(document["measures"]) == len(violated.measures)
    assert len(document["curves"]) == len(violated.curves)
    assert [episode["proven_ns"] is None for episode in document["episodes"]] == [False, False, False, True]
    first = document["findings"][0]
    assert first["name"] == "stale-read"
    assert first["weight"] == "decided the verdict"
    assert [row["op"] for row in first["operations"]] == sorted(first["witness"])
    read = first["operations"][-1]
    assert (read["function"], read["node"], read["key"], read["seen"]) == ("read", "replica-2", "k0", "hit")
    assert 0 < read["lo_ns"] <= read["hi_ns"]


def test_json_numbers_that_are_not_finite_are_null(violated: Report) -> None:
    """Infinity and NaN, which JSON does not know, become null and not invalid text."""
    odd = Result(
        "x", measures=(Measure("m", float("nan"), "ns", 1, "read"),), curves=(Curve("c", "", (float("inf"),), (1.0,), "", ""),)
    )
    document = json.loads(render_json(replace(violated, results=(odd,))), parse_constant=pytest.fail)
    assert document["measures"][0]["value"] is None
    assert document["curves"][0]["x"] == [None]


def test_junit_tells_violated_inconclusive_and_passed_apart(violated: Report) -> None:
    """Violated is a failure, inconclusive is skipped, waived and passed are neither; the counts add up."""
    suites = xml(render_junit(violated))
    cases = {case.get("name"): [child.tag for child in case if child.tag != "system-out"] for case in suites.iter("testcase")}
    assert cases == {
        "staleness.during.partition": ["failure"],
        "staleness.steady": [],
        "node_monotonic": [],
        "converges_within": ["skipped"],
        "lost_writes": [],
        "operations": [],
        "episodes of delay": ["skipped"],
        "success rate outside faults": [],
    }
    assert [suites.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["8", "1", "0", "2"]
    properties = {p.get("name"): p.get("value") for p in suites.iter("property")}
    assert properties["seed"] == "7"
    assert properties["plan hash"] == violated.plan.hash


def test_junit_never_looks_better_than_the_verdict(violated: Report) -> None:
    """A harness failure is an error, and a verdict that no clause shows gets a case of its own."""
    failed = xml(render_junit(replace(report(outcome=Outcome.PASS), failure="a driver died")))
    assert failed.get("errors") == "1"
    bare = replace(violated, verdict=replace(violated.verdict, clauses=(), adequacy=()))
    assert xml(render_junit(bare)).get("failures") == "1"


def test_a_harness_failure_is_an_error_unless_a_violation_was_proven() -> None:
    """An error never looks like a pass, and never hides a violation."""
    passed = report(outcome=Outcome.PASS)
    assert (passed.answer, passed.exit_status) == ("pass", 0)
    assert (replace(passed, failure="x").answer, replace(passed, failure="x").exit_status) == ("error", 255)
    broken = replace(report(), failure="x")
    assert (broken.answer, broken.exit_status) == ("violated", 1)


def test_findings_that_decided_come_first(violated: Report) -> None:
    """A bound that broke the contract is told before a graver class of finding that the contract waives."""
    assert [(f.name, violated.weight(f)) for f in violated.findings] == [
        ("stale-read", "decided the verdict"),
        ("node-regress", "waived by the contract"),
    ]


def test_markdown_has_verdict_reasons_and_replay(violated: Report) -> None:
    """The summary names the verdict, each promise, what was not exercised, the findings and the command."""
    text = render_markdown(violated)
    assert text.startswith("# ✖ violated")
    assert violated.replay in text
    assert text.count("\n| ") == 1 + len(violated.verdict.clauses)
    assert "episodes of delay" in text
    assert "stale-read" in text
    assert "proxy" in text


def test_markdown_stays_small_and_its_table_whole(violated: Report) -> None:
    """Thousands of long clauses still make a file under 64 KiB whose rows all have six bars."""
    long = replace(violated.verdict.clauses[0], promise="a|b " * 500, why="`x` <b>" * 500)
    text = render_markdown(replace(violated, verdict=replace(violated.verdict, clauses=(long,) * 3_000)))
    assert len(text.encode()) <= 64 * 1024
    rows = [line for line in text.splitlines() if line.startswith("| ✖")]
    assert rows
    assert all(line.replace("\\|", "").count("|") == 6 for line in rows)


def test_markdown_is_cut_at_a_line_and_says_so(violated: Report) -> None:
    """Text beyond the limit is cut, never sent half."""
    wide = "@" * 240
    clause = replace(violated.verdict.clauses[0], promise=wide, measured=wide, why=wide)
    text = render_markdown(replace(violated, verdict=replace(violated.verdict, clauses=(clause,) * 60)))
    assert len(text.encode()) <= 64 * 1024
    assert text.endswith("Cut here; the rest is in report.html.\n")


def test_text_has_shape_and_word_and_ends_with_the_replay(violated: Report) -> None:
    """The terminal shows the outcome without colour, and the command last."""
    text = render_text(violated)
    assert "✖ violated" in text
    assert "? inconclusive" in text
    assert "~ waived" in text
    assert "episodes of delay" in text
    assert text.rstrip().endswith(violated.replay)
    assert max(len(line) for line in text.splitlines()) <= 110


@pytest.mark.parametrize("render", [render_json, render_junit, render_markdown, render_text])
def test_hostile_text_is_harmless_everywhere(violated: Report, render: object) -> None:
    """No control character, lone surrogate or direction override leaves a renderer."""
    text = render(hostile(violated))  # type: ignore[operator]  # one of the four
    text.encode()
    assert not any(character in text for character in "\x1b\x00\u202e")


def test_hostile_text_keeps_every_file_valid(violated: Report, tmp_path: Path) -> None:
    """All files of a hostile run are written, decode and parse."""
    paths = write_all(hostile(violated), tmp_path)
    assert json.loads(paths["results.json"].read_text())["oddities"]
    assert xml(paths["junit.xml"].read_text()).get("failures") == "1"
    before, _, fenced = paths["summary.md"].read_text().partition("```sh\n")
    assert "<script>alert" not in before + fenced.partition("\n```\n")[2]
    assert "<script>alert" not in paths["report.html"].read_text()


def test_one_failing_renderer_spares_the_others(violated: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken renderer is reported after all others were written, and leaves nothing of its own."""

    def broken(_: Report) -> str:
        raise ZeroDivisionError("in a picture")

    monkeypatch.setattr(reports, "FORMATS", {**reports.FORMATS, "junit.xml": broken})
    with pytest.raises(StorageError, match=r"(?s)the verdict stands.*junit.xml: ZeroDivisionError"):
        write_all(violated, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "results.json", "summary.md"]


def test_a_directory_that_is_gone_is_one_clear_error(violated: Report, tmp_path: Path) -> None:
    """Where nothing can be written the error names every file and the way out."""
    with pytest.raises(StorageError, match=r"results.json(?s:.)*anachron report"):
        write_all(violated, tmp_path / "gone")


def test_an_empty_run_has_all_its_reports(violated: Report, tmp_path: Path) -> None:
    """A run that recorded nothing is still reported in every format."""
    empty = history(10)
    empty = empty.select(empty.op < 0)
    bare = replace(violated, history=empty, results=(), verdict=replace(violated.verdict, clauses=(), adequacy=()))
    assert len(write_all(bare, tmp_path)) == 4
