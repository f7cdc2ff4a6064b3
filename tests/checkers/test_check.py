"""The front door of the checkers."""

from __future__ import annotations

import pytest

from checkers import CHECKERS, check
from harness.errors import PlanError
from harness.plan import Contract
from tests.checkers.big import big_history
from tests.checkers.histories import history


def test_every_checker_answers_under_its_own_name() -> None:
    """What a plan calls a checker is what its result is called, on a full history and on an empty one."""
    for h in (big_history(2_000, keys=5), history(keys=("x",), nodes=("n0",))):
        assert tuple(result.checker for result in check(h, Contract())) == CHECKERS.names


def test_only_the_chosen_checkers_run() -> None:
    """A choice is kept in its order."""
    results = check(history("w x1 0-1; r x9 2-3"), Contract(), only=("sessions", "integrity"))
    assert [result.checker for result in results] == ["sessions", "integrity"]


def test_an_unknown_checker_is_named_with_the_near_one() -> None:
    """A typing error gets the remedy with it."""
    with pytest.raises(PlanError, match=r'no checker "integrty"[\s\S]*did you mean "integrity"'):
        check(history(), Contract(), only=("integrty",))
