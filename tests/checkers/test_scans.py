"""Running extremes within groups against loops that do the same."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from checkers.scans import NONE, broken_floors, greatest_before, greatest_so_far, greatest_until, least_after, stable_order

SMALL = st.integers(0, 4)
WIDE = st.sampled_from([-(2**62), -5, 0, 3, 2**40, 2**62])
ROWS = st.lists(st.tuples(SMALL, SMALL | WIDE), max_size=12)


@settings(deadline=None)
@given(ROWS)
def test_running_extremes_are_those_of_a_loop(rows: list[tuple[int, int]]) -> None:
    """The first greatest so far and before, and the last least after, for values of any width."""
    rows.sort(key=lambda row: row[0])
    group, value = np.array([g for g, _ in rows], np.int64), np.array([v for _, v in rows], np.int64)
    so_far, before, after = greatest_so_far(value, group), greatest_before(value, group), least_after(value, group)
    for i, (g, _) in enumerate(rows):
        earlier = [j for j in range(i) if rows[j][0] == g]
        later = [j for j in range(i + 1, len(rows)) if rows[j][0] == g]
        assert so_far[i] == max([*earlier, i], key=lambda j: (rows[j][1], -j))
        assert before[i] == max(earlier, key=lambda j: (rows[j][1], -j), default=NONE)
        assert after[i] == min(later, key=lambda j: (rows[j][1], -j), default=NONE)


@settings(deadline=None)
@given(
    events=st.lists(st.tuples(SMALL, SMALL, SMALL), max_size=10),
    asked=st.lists(st.tuples(SMALL, SMALL), max_size=6),
    strictly=st.booleans(),
)
def test_the_greatest_until_a_time_is_that_of_a_loop(
    events: list[tuple[int, int, int]], asked: list[tuple[int, int]], *, strictly: bool
) -> None:
    """Whatever the order of events and questions, with and without the moment itself."""
    group, time, value = (np.array(column, np.int64) for column in (zip(*events, strict=True) if events else ([], [], [])))
    at_group, at_time = (np.array(column, np.int64) for column in (zip(*asked, strict=True) if asked else ([], [])))
    found = greatest_until(group, time, value, at_group, at_time, strictly=strictly)
    for (g, t), at in zip(asked, found, strict=True):
        until = [e for e in events if e[0] == g and (e[1] < t if strictly else e[1] <= t)]
        assert (at == NONE) == (not until)
        if until:
            assert (group[at], value[at]) == (g, max(v for _, _, v in until))


@given(st.lists(st.integers(0, 2**40) | SMALL, max_size=30))
def test_a_stable_order_is_stable(values: list[int]) -> None:
    """Numbers of any size, with equal ones in the order in which they came."""
    column = np.array(values, np.int64)
    assert stable_order(column).tolist() == sorted(range(len(values)), key=lambda i: values[i])


FLOORS = st.lists(st.tuples(SMALL, st.integers(-1, 4), st.integers(-1, 4), st.integers(0, 3), st.integers(0, 3)), max_size=12)


@settings(deadline=None)
@given(FLOORS, st.sampled_from([1, 10**9]))
def test_broken_floors_are_those_of_a_loop(steps: list[tuple[int, int, int, int, int]], stretch: int) -> None:
    """Each element below the floor of its group comes with one that raised it highest and had returned."""
    call = np.cumsum([wait for *_, wait, _ in steps], dtype=np.int64)
    group = np.array([g for g, *_ in steps], np.int64) * stretch
    raises, needs = np.array([s[1] for s in steps], np.int64), np.array([s[2] for s in steps], np.int64)
    returned = call + np.array([s[4] for s in steps], np.int64)
    offenders, floors = broken_floors(group, raises, needs, call, returned)
    expected = {}
    for i in range(len(steps)):
        reached = [raises[j] for j in range(len(steps)) if group[j] == group[i] and returned[j] < call[i]]
        if needs[i] >= 0 and max(reached, default=-1) > needs[i]:
            expected[i] = max(reached)
    assert dict(zip(offenders.tolist(), raises[floors].tolist(), strict=True)) == expected
    assert all(group[floors] == group[offenders])
    assert all(returned[floors] < call[offenders])
