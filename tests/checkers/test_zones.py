"""Zones and their distances, held against trying every order and against the definitions of the distances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from itertools import permutations
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkers import zones
from checkers.zones import Clusters, conflicts, delta_ns, early_reads, gamma_ns
from harness.history import NEVER

FIRST = -1_000


class Op(NamedTuple):
    """One operation on one key; ``end`` is None for an indeterminate write."""

    call: int
    end: int | None
    write: bool
    value: int


def clusters(ops: Sequence[Op], key: int = 0) -> Clusters:
    """The clusters of one key's operations; value 0 is the initial one."""
    rows = []
    for value in sorted({op.value for op in ops} | {0}):
        mine = [op for op in ops if op.value == value]
        write = next((op for op in mine if op.write), Op(FIRST, FIRST, write=True, value=0))
        reads = [op for op in mine if not op.write]
        rows.append(
            (
                key,
                write.call,
                NEVER if write.end is None else write.end,
                max((op.call for op in reads), default=-NEVER),
                min((op.end for op in reads if op.end is not None), default=NEVER),
            )
        )
    return Clusters(*np.array(rows, np.int64).T)


def linearizable(ops: Sequence[Op]) -> bool:
    """The definition. An indeterminate write that is not read may be left out; one that is read took effect."""
    read = {op.value for op in ops if not op.write}
    needed = [op for op in ops if op.end is not None or op.value in read]
    return any(_legal(order) for order in permutations(needed))


def _legal(order: Sequence[Op]) -> bool:
    value, latest = 0, -NEVER
    for op in order:
        if op.end is not None and op.end < latest:
            return False
        latest = max(latest, op.call)
        if op.write:
            value = op.value
        elif op.value != value:
            return False
    return True


@st.composite
def histories(draw: st.DrawFn) -> list[Op]:
    """Up to six operations of one key with unique writes, ties and crashes; reads of written values or of the initial one."""
    writes = []
    for value in range(1, draw(st.integers(1, 3)) + 1):
        call = draw(st.integers(0, 10))
        end = None if draw(st.integers(0, 4)) == 0 else call + draw(st.integers(0, 5))
        writes.append(Op(call, end, write=True, value=value))
    reads = []
    for _ in range(draw(st.integers(0, 3))):
        call = draw(st.integers(0, 12))
        reads.append(Op(call, call + draw(st.integers(0, 4)), write=False, value=draw(st.integers(0, len(writes)))))
    return writes + reads


def judged(ops: Sequence[Op]) -> bool:
    """Whether zones find nothing."""
    found = clusters(ops)
    return len(conflicts(found)) == 0 and len(early_reads(found)) == 0


@settings(max_examples=500)
@given(histories())
def test_zones_agree_with_trying_every_order(ops: list[Op]) -> None:
    """A register with unique values is linearizable exactly if no rule of zones is broken."""
    assert judged(ops) == linearizable(ops)


@settings(max_examples=150)
@given(histories())
def test_delta_is_the_least_shift_of_the_reads(ops: list[Op]) -> None:
    """With all reads called earlier by delta the history is linearizable, and by any less it is not."""
    delta = delta_ns(clusters(ops))
    shifts = [shift for shift in range(30) if linearizable([op if op.write else op._replace(call=op.call - shift) for op in ops])]
    assert delta == (shifts[0] if shifts else None)


@settings(max_examples=150)
@given(histories())
def test_gamma_is_the_least_stretch_of_all_operations(ops: list[Op]) -> None:
    """With half of gamma at both ends of every operation the history is linearizable, and with any less it is not."""

    def stretched(by: int) -> list[Op]:
        # Twice the times, so that half of an odd stretch is a whole number.
        return [op._replace(call=2 * op.call - by, end=None if op.end is None else 2 * op.end + by) for op in ops]

    assert gamma_ns(clusters(ops)) == next(by for by in range(60) if linearizable(stretched(by)))


@settings(max_examples=60)
@given(st.lists(histories(), min_size=2, max_size=4))
def test_keys_are_judged_apart(many: list[list[Op]]) -> None:
    """Keys in one pass give the conflicts of each key alone, and the greatest of their distances."""
    parts = [clusters(ops, key) for key, ops in enumerate(many)]
    columns = [[getattr(part, field.name) for part in parts] for field in fields(Clusters)]
    together = Clusters(*(np.concatenate(column) for column in columns))
    assert set(together.key[conflicts(together).right]) == {key for key, part in enumerate(parts) if len(conflicts(part))}
    assert gamma_ns(together) == max(gamma_ns(part) for part in parts)
    deltas = [delta_ns(part) for part in parts]
    assert delta_ns(together) == (None if None in deltas else max(d for d in deltas if d is not None))


def test_the_greatest_certain_age_is_not_delta() -> None:
    """A read that is certainly fresh can still be out of order: max lo is 0 here, and delta is 10."""
    ops = [
        Op(0, 1, write=True, value=1),
        Op(2, 100, write=True, value=2),
        Op(20, 30, write=False, value=2),
        Op(40, 50, write=False, value=1),
    ]
    assert not judged(ops)
    assert delta_ns(clusters(ops)) == 10


def test_a_long_climb_ends_in_a_bisection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the climb to delta is cut short, halving finds the same shift."""
    ops = [Op(10 * v, 10 * v + 2, write=True, value=v) for v in range(1, 30)]
    ops += [Op(10 * v + 7 * (30 - v), 10 * v + 7 * (30 - v) + 1, write=False, value=v) for v in range(1, 30)]
    exact = delta_ns(clusters(ops))
    monkeypatch.setattr(zones, "_ROUNDS", 0)
    assert delta_ns(clusters(ops)) == exact
    assert exact is not None
    assert exact > 100


def test_times_far_apart_do_not_overflow() -> None:
    """Years between operations and many keys fall back to ranks, with the same answer."""
    year = 365 * 24 * 3600 * 10**9
    ops = [
        Op(0, 1, write=True, value=1),
        Op(60 * year, 60 * year + 1, write=True, value=2),
        Op(61 * year, 61 * year + 1, write=False, value=1),
    ]
    for key in (0, 1_000_000):
        found = conflicts(clusters(ops, key))
        assert len(found) == 1
        assert found.gap_ns[0] == year - 1
