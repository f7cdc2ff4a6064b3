"""The matrix: what counts as a miss and as a false alarm, and that everything that is written of it says so."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from harness.reference.zoo import all_bugs, designs
from harness.zoo.document import document
from harness.zoo.jobs import LEAST_DRAWN, Answer, Drawn, Endured, Forced, all_jobs, do
from harness.zoo.matrix import checkers_needed, matrix_of
from harness.zoo.page import page
from harness.zoo.scenarios import scenarios
from harness.zoo.view import render

BUG = replace(all_bugs()["blind-refill"], consequences=frozenset({"monotonic-reads"}))
NAME = BUG.name
CAUGHT = Answer(Forced(NAME, correct=False), BUG.fires, "node-2 answered version 1.")
SPARED = Answer(Forced(NAME, correct=True))
KEPT = Answer(Endured("ttl", "no fault", 0))


def matrix(*answers):
    """The matrix of a zoo with one bug."""
    return matrix_of(answers, {NAME: BUG})


def test_a_bug_that_is_caught_and_a_design_that_keeps_its_promise_are_no_complaint():
    """Nothing to say is the answer pass."""
    found = matrix(CAUGHT, SPARED, KEPT)
    assert found.holds
    assert found.answer == "pass"
    assert found.complaints == ()


@pytest.mark.parametrize(
    ("forced", "spared", "words"),
    [
        ({"stale-read"}, set(), "missed: its schedule did not bring out stuck"),
        (set(), set(), "missed: its schedule did not bring out stale-read, stuck"),
        ({"stale-read", "stuck", "thin-air"}, set(), "false alarm: its schedule brought out thin-air"),
        ({"stale-read", "stuck", "monotonic-reads"}, {"stuck"}, "false alarm: its schedule brought out stuck on the correct"),
    ],
    ids=["a part missed", "all missed", "one too many", "on the correct one"],
)
def test_what_is_missed_and_what_is_too_much_is_said(forced, spared, words):
    """A finding that must fire and does not, and one that nothing explains, are each a complaint."""
    found = matrix(replace(CAUGHT, broken=frozenset(forced)), replace(SPARED, broken=frozenset(spared)))
    assert found.answer == "violated"
    (complaint,) = found.complaints
    assert words in complaint


def test_a_consequence_may_follow():
    """What the bug says may follow is no complaint."""
    assert matrix(replace(CAUGHT, broken=BUG.fires | BUG.consequences), SPARED).holds


def test_a_correct_design_that_breaks_its_promise_is_a_false_alarm():
    """The complaint says where, with which seed, and what was claimed."""
    failed = Answer(Endured("ttl", "node killed", 2), frozenset({"stale-read"}), "it was old.")
    found = matrix(CAUGHT, SPARED, KEPT, failed)
    assert found.complaints == ("ttl: false alarm: stale-read in the scenario node killed, seed 2: it was old.",)
    (row,) = found.designs
    assert (row.scenarios, row.runs, len(row.failures)) == (2, 2, 1)


def test_the_correct_design_must_bear_the_random_runs_of_its_bug_too():
    """What breaks both designs shows no bug: it is a false alarm, and no part of the rate."""
    control = Answer(Drawn(NAME, 1, 4, correct=True), frozenset({"stale-read"}), "it was old.")
    found = matrix(CAUGHT, SPARED, control, Answer(Drawn(NAME, 1, 5, correct=True)))
    assert found.complaints == (
        "broadcast-alo: false alarm: stale-read in the scenario cold-register of blind-refill, seed 4: it was old.",
    )
    assert [rate.n for rate in found.bugs[0].rates] == [0, 0]


def test_a_run_that_cannot_be_made_is_an_error_and_no_miss():
    """What went wrong with the harness is told apart from what the checkers missed."""
    found = matrix(Answer(Forced(NAME, correct=False), error="no such place"), SPARED)
    assert found.complaints == ()
    assert found.errors == (f"{BUG.full_name}: no such place",)
    assert found.answer == "error"
    assert not found.holds


def test_the_rate_counts_runs_by_workload_with_an_interval():
    """A run counts once, whatever it found, and not for what the bug does not explain; failed runs do not count at all."""
    seen = [{"stale-read"}, {"stale-read", "stuck"}, {"thin-air"}, set()]
    hot = [Answer(Drawn(NAME, 0, seed), frozenset(broken)) for seed, broken in enumerate(seen)]
    found = matrix(CAUGHT, SPARED, *hot, Answer(Drawn(NAME, 0, 9), error="broken"), Answer(Drawn(NAME, 1, 0)))
    first, second = found.bugs[0].rates
    assert (first.workload, first.detected, first.n) == ("register", 2, 4)
    assert first.findings == {"stale-read": 2, "stuck": 1, "thin-air": 1}
    assert first.interval == pytest.approx((0.15, 0.85), abs=0.01)
    assert (second.workload, second.detected, second.n) == ("cold-register", 0, 1)


def test_the_order_of_the_answers_does_not_matter():
    """Processes answer in any order, and the matrix is the same."""
    answers = [do(job) for job in (Forced(NAME, correct=False), Forced(NAME, correct=True))]
    more = [KEPT, Answer(Endured("ttl", "node paused", 1), frozenset({"stuck"})), Answer(Endured("lease", "no fault", 0))]
    facts = {"runs": "5"}
    assert document(matrix(*answers, *more), facts) == document(matrix(*reversed([*answers, *more])), facts)


def test_which_checker_is_needed_for_which_bug():
    """A checker is needed for a bug that must bring out one of its findings; only those that find something are listed."""
    needed = checkers_needed([BUG])
    assert needed["staleness"] == needed["convergence"] == (NAME,)
    assert needed["node-regress"] == ()
    assert "availability" not in needed


def test_there_is_a_job_for_everything():
    """Every bug twice by its schedule and at random under each workload, every design in every scenario, as often as asked."""
    jobs = list(all_jobs(2))
    assert len(set(jobs)) == len(jobs)
    assert sum(isinstance(job, Forced) for job in jobs) == 2 * len(all_bugs())
    workloads = sum(len(bug.workloads) for bug in all_bugs().values())
    assert sum(isinstance(job, Drawn) and not job.correct for job in jobs) == LEAST_DRAWN * workloads
    assert sum(isinstance(job, Drawn) and job.correct for job in jobs) == workloads
    assert sum(isinstance(job, Endured) for job in jobs) == 2 * sum(len(scenarios(design)) for design in designs().values())
    assert {job.bug for job in all_jobs(50, NAME)} == {NAME}
    assert sum(isinstance(job, Drawn) for job in all_jobs(50, NAME)) == (50 + 16) * len(BUG.workloads)


def test_what_goes_wrong_in_a_run_is_its_answer():
    """A run that raises does not keep the others from being made."""
    assert "KeyError" in do(Endured("ttl", "no such scenario", 0)).error


def test_the_document_says_it_all():
    """Names, rates and complaints are where programs look for them."""
    hot = [Answer(Drawn(NAME, 0, seed), BUG.fires) for seed in range(3)]
    written = json.loads(document(matrix(CAUGHT, replace(SPARED, broken=frozenset({"stuck"})), KEPT, *hot), {"runs": "6"}))
    assert (written["format"], written["holds"]) == (1, False)
    (bug,) = written["bugs"]
    assert bug["fired"] == ["stale-read", "stuck"]
    assert bug["on_the_correct_strategy"] == ["stuck"]
    assert bug["random"][0] == {
        "workload": "register", "detected": 3, "n": 3, "low": 0.4385, "high": 1.0, "findings": {"stale-read": 3, "stuck": 3},
    }  # fmt: skip
    assert written["strategies"] == [{"name": "ttl", "scenarios": 1, "runs": 1, "failures": []}]
    assert len(written["complaints"]) == 1


def test_the_page_asks_for_nothing_and_takes_hostile_text_for_text():
    """No request, no script, and a claim with markup in it stays a claim."""
    hostile = replace(CAUGHT, claim="<script>alert(1)</script>\x1b[2J")
    text = page(matrix(hostile, SPARED, KEPT), {"runs": "<b>3</b>"})
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "\x1b" not in text
    assert "&lt;b&gt;3" in text
    assert "default-src &#39;none&#39;" in text
    assert "http://" not in text
    assert "https://" not in text
    assert f'id="bug-{NAME}"' in text
    assert "├──" in text


def test_the_terminal_shows_rates_marks_and_complaints():
    """In plain text, no wider than a wide terminal."""
    hot = [Answer(Drawn(NAME, 0, seed), BUG.fires) for seed in range(3)]
    text = render(matrix(CAUGHT, replace(SPARED, broken=frozenset({"stuck"})), KEPT, *hot))
    assert "3/3 [44%, 100%]" in text
    assert "✖ violated" in text
    assert "no bug needs the checkers" in text
    assert "brought out stuck on the correct broadcast-alo" in text
    assert max(map(len, text.splitlines())) <= 110
