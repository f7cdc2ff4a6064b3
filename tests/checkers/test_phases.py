"""Phases and bounds against the definitions."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from checkers.phases import bound_of, bounded_by, during_or_steady, phase_between, phase_labels, phase_of, stalled
from harness.history import NEVER, Episode, Stall
from harness.plan import Contract, StalenessPromise
from tests.checkers.histories import MS, episode, history, stall

KINDS = ("partition", "kill")


def contract(steady: str | None = "5ns", after_heal: str = "3ns", **during: str) -> Contract:
    return Contract(staleness=StalenessPromise(steady=steady, after_heal=after_heal, during=during))


def test_phases_of_one_episode() -> None:
    """During lasts from applied to healed, ends included; after lasts the grace period; all else is steady."""
    h = history("r x0 0-20", episodes=[episode("partition", 5, 8)])
    labels = phase_labels(h)
    times = np.array([0, 4, 5, 8, 9, 11, 12]) * MS
    named = [labels[i] for i in phase_of(h, contract(after_heal="3ms"), times)]
    assert named == ["steady", "steady", "during partition", "during partition", "after partition", "after partition", "steady"]


def test_an_episode_without_end_lasts_until_the_run_ends() -> None:
    """A fault that was never healed is on until the end; one that was never applied is no phase."""
    h = history("r x0 0-20", episodes=[episode("kill", 5, None), episode("partition", None, None)])
    assert phase_labels(h) == ("steady", "during kill", "after kill")
    assert phase_of(h, contract(), np.array([4, 5, 20]) * MS).tolist() == [0, 1, 1]


def test_a_fault_without_a_bound_promises_nothing_while_it_is_on() -> None:
    """A contract that names no bound for a fault says nothing of intervals that meet it."""
    h = history("r x0 0-40", episodes=[episode("kill", 10, 12)])
    bounds = bound_of(h, contract(after_heal="3ms"), np.array([0, 0, 14, 16]) * MS, np.array([9, 10, 15, 17]) * MS)
    assert bounds.tolist() == [5, NEVER, NEVER, 5]
    assert bound_of(h, contract(steady=None), np.array([0]), np.array([1])).tolist() == [NEVER]


def test_what_an_interval_proves_is_put_down_to_the_last_fault_healed_in_it() -> None:
    """A steady end blames the last fault that was healed since the begin; an end within a fault is that fault's."""
    h = history("r x0 0-90", episodes=[episode("partition", 5, 8), episode("kill", 20, 30), episode("delay", 60, 70)])
    begin, end = np.array([0, 0, 9, 31, 0, 31]) * MS, np.array([4, 15, 50, 50, 65, 90]) * MS
    labels = phase_labels(h)
    named = [labels[i] for i in phase_between(h, contract(after_heal="0ms"), begin, end)]
    assert named == ["steady", "after partition", "after kill", "steady", "during delay", "after delay"]


def test_stalled_operations_are_those_that_overlap_a_stall() -> None:
    """An operation that only touches a stall overlaps it; one without answer had until the end."""
    h = history("r x0 0-3; r x0 4-5; r x0 7-8; w x1 1-; r x0 20-21", stalls=[stall(5, 6), stall(5.5, 6.5)])
    assert stalled(h).tolist() == [False, True, True, False, False]
    assert not stalled(history("r x0 0-3")).any()


def test_a_change_is_put_down_to_the_last_fault_before_it() -> None:
    """A change of epoch blames the last fault until then that struck the node; without one, the first fault in the interval."""
    episodes = [episode("partition", 5, 8, "a", "b"), episode("kill", 10, 12, "a"), episode("delay", 11, 12, "b")]
    h = history("r x0 0-40", episodes=episodes)
    labels = phase_labels(h)
    assert labels[during_or_steady(h, 0, 20 * MS, "a", 12 * MS)] == "during kill"
    assert labels[during_or_steady(h, 0, 20 * MS, "a", None)] == "during partition"
    assert labels[during_or_steady(h, 9 * MS, 20 * MS, "b", None)] == "during delay"
    assert labels[during_or_steady(h, 13 * MS, 20 * MS, "a", None)] == "steady"


def struck(kind: str, applied: int, length: int | None) -> Episode:
    healed = None if length is None else applied + length
    return Episode(0, kind, (), (), applied, applied, applied_ns=applied, healed_ns=healed)


EPISODES = st.lists(st.builds(struck, st.sampled_from(KINDS), st.integers(0, 30), st.none() | st.integers(0, 8)), max_size=5)


@settings(deadline=None)
@given(EPISODES, st.integers(0, 5))
def test_phases_are_what_the_definitions_say(episodes: list[Episode], after_heal: int) -> None:
    """During outranks after, after outranks steady, and earlier episodes outrank later ones, at every moment."""
    h = history("r x0 0-40", unit_ns=1, episodes=episodes)
    labels, promise = phase_labels(h), contract(after_heal=f"{after_heal}ns")
    found = phase_of(h, promise, np.arange(50))
    ends = [(e, 40 if e.healed_ns is None else e.healed_ns) for e in sorted(episodes, key=lambda e: e.applied_ns or 0)]
    for time in range(50):
        on = [f"during {e.kind}" for e, end in ends if (e.applied_ns or 0) <= time <= end]
        grace = [f"after {e.kind}" for e, end in ends if end < time <= end + after_heal]
        assert labels[found[time]] == [*on, *grace, "steady"][0]


@settings(deadline=None)
@given(EPISODES, st.integers(0, 5), st.lists(st.tuples(st.integers(0, 45), st.integers(-3, 12)), min_size=1))
def test_bounds_are_what_the_definitions_say(episodes: list[Episode], after_heal: int, intervals: list[tuple[int, int]]) -> None:
    """The bound of an interval is the largest over the episodes that it meets."""
    h = history("r x0 0-40", unit_ns=1, episodes=episodes)
    promise = contract(after_heal=f"{after_heal}ns", partition="fault + 10ns")
    begin = np.array([b for b, _ in intervals])
    end = np.array([b + length for b, length in intervals])
    for (first, length), bound in zip(intervals, bound_of(h, promise, begin, end), strict=True):
        expected = 5
        for e in episodes:
            healed, applied = 40 if e.healed_ns is None else e.healed_ns, e.applied_ns or 0
            if applied <= max(first, first + length) and first <= healed + after_heal:
                expected = max(expected, 10 + healed - applied if e.kind == "partition" else NEVER)
        assert bound == expected
        kind = bounded_by(h, promise, first, max(first, first + length))
        assert kind == ("" if expected == 5 else "kill" if expected == NEVER else "partition")


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5)), max_size=4))
def test_stalls_are_what_the_definition_says(windows: list[tuple[int, int]]) -> None:
    """An operation is stalled iff its interval and a stall have a moment in common."""
    h = history(*(f"r x0 {begin}-{begin + 3}" for begin in range(25)), unit_ns=1, stalls=[Stall(b, b + n, 0) for b, n in windows])
    expected = [any(b <= call + 3 and call <= b + n for b, n in windows) for call in range(25)]
    assert stalled(h).tolist() == expected
