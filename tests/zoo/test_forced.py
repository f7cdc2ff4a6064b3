"""The zoo's core promise: each bug's schedule brings out its findings and no others, and none on the correct design."""

from __future__ import annotations

import pytest

from harness.findings import FINDINGS
from harness.reference.zoo import all_bugs
from harness.zoo.jobs import Forced, do
from harness.zoo.matrix import checkers_needed
from harness.zoo.trials import forced


@pytest.mark.parametrize("name", all_bugs())
def test_a_bug_is_caught_by_its_schedule(name):
    """What must fire does, what may follow may, and nothing else is found."""
    bug, answer = all_bugs()[name], do(Forced(name, correct=False))
    assert not answer.error
    assert bug.fires <= answer.broken <= bug.fires | bug.consequences
    assert answer.claim


@pytest.mark.parametrize("name", all_bugs())
def test_the_correct_design_bears_the_schedule_of_its_bug(name):
    """The same steps break nothing where the mistake was not made."""
    answer = do(Forced(name, correct=True))
    assert (answer.error, answer.broken) == ("", frozenset())


@pytest.mark.parametrize("name", all_bugs())
def test_a_bug_says_all_that_an_explanation_needs(name):
    """Every text is there, every finding is one that a checker makes, and the schedule is short."""
    bug = all_bugs()[name]
    assert all((bug.title, bug.mechanism, bug.observed, bug.fix, bug.fires))
    assert bug.fires | bug.consequences <= set(FINDINGS)
    assert not bug.fires & bug.consequences
    assert bug.name == name
    assert bug.workloads


@pytest.mark.parametrize("checker", checkers_needed(all_bugs().values()))
def test_without_a_checker_a_bug_is_missed(checker):
    """Each checker that finds something is needed: without it, the first bug that needs it is not caught as it must be."""
    needed_for = checkers_needed(all_bugs().values())[checker]
    assert needed_for, "whether it still bites, no bug shows"
    bug = all_bugs()[needed_for[0]]
    assert not bug.fires <= forced(bug, bug.broken, without=checker).broken
