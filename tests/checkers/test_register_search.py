"""The search for a register's order, held against trying every order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from checkers.register_search import INITIAL, Step, core, search

PLENTY = 1_000_000


def linearizable(steps: Sequence[Step]) -> bool:
    """The definition: some order of the required and some of the optional steps is legal and keeps real time."""
    optional = [s for s in steps if s.return_ns is None]
    required = [s for s in steps if s.return_ns is not None]
    chosen = (required + list(extra) for k in range(len(optional) + 1) for extra in combinations(optional, k))
    return any(legal(order) for some in chosen for order in permutations(some))


def legal(order: Sequence[Step]) -> bool:
    """Whether ``order`` keeps real time, and every read in it returns the last value written."""
    value, latest = INITIAL, -1
    for step in order:
        if step.return_ns is not None and step.return_ns < latest:
            return False
        latest = max(latest, step.call_ns)
        if step.write:
            value = step.value
        elif step.value != value:
            return False
    return True


@st.composite
def registers(draw: st.DrawFn) -> list[Step]:
    """Up to six steps with repeated values, ties and crashes."""
    steps = []
    for _ in range(draw(st.integers(1, 6))):
        write = draw(st.booleans())
        call = draw(st.integers(0, 8))
        crashed = write and draw(st.integers(0, 3)) == 0
        steps.append(Step(call, None if crashed else call + draw(st.integers(0, 5)), write, draw(st.integers(0, 2))))
    return steps


@settings(max_examples=600)
@given(registers())
def test_the_search_agrees_with_trying_every_order(steps: list[Step]) -> None:
    """A history has an order by search exactly if one of all its permutations is legal."""
    assert search(steps, PLENTY).linearizable == linearizable(steps)


@settings(max_examples=200)
@given(registers())
def test_the_core_has_no_order_by_itself(steps: list[Step]) -> None:
    """What is shown as the proof is not linearizable, and no single read of it can be left out."""
    found = search(steps, PLENTY)
    if found.stuck is not None:
        kept = core(steps, found.stuck, PLENTY)
        assert not linearizable([steps[i] for i in kept])
        for i in kept:
            if not steps[i].write:
                assert linearizable([steps[j] for j in kept if j != i])


def test_a_crashed_write_may_take_effect_late() -> None:
    """A write without an answer may be seen long after its call, and between two reads of another value only once."""
    crashed = Step(0, None, True, 1)
    seen = [crashed, Step(1, 2, True, 2), Step(3, 4, False, 2), Step(5, 6, False, 1)]
    assert search(seen, PLENTY).linearizable
    assert search([*seen, Step(7, 8, True, 2), Step(9, 10, False, 1)], PLENTY).linearizable is False


def test_the_proof_is_small() -> None:
    """Of a long history with one stale read, only the writes and the read that contradict each other are kept."""
    steps = [Step(10 * i, 10 * i + 5, i % 2 == 0, i // 2 % 3) for i in range(200)]
    stale = len(steps)
    steps.append(Step(2_000, 2_001, False, 1))
    found = search(steps, PLENTY)
    assert found.linearizable is False
    assert found.stuck == stale
    kept = core(steps, stale, PLENTY)
    assert stale in kept
    assert len(kept) < len(steps) / 2


def test_the_budget_is_kept() -> None:
    """With too many open writes the search says that it does not know, instead of going on for ever."""
    steps = [Step(i, 1_000, True, i) for i in range(40)] + [Step(1_001, 1_002, False, 41)]
    found = search(steps, 5_000)
    assert found.linearizable is None
    assert found.configurations < 10_000


def test_crashed_writes_of_one_value_do_not_multiply() -> None:
    """A hundred lost answers cost no more than a few: those of one value are interchangeable."""
    steps = [Step(10 * i, None, True, i % 2 + 1) for i in range(100)]
    steps += [Step(2_000 + 10 * i, 2_005 + 10 * i, False, i % 2 + 1) for i in range(100)]
    found = search(steps, PLENTY)
    assert found.linearizable
    assert found.configurations < 2_000
