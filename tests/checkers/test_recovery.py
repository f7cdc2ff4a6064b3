"""How long after each heal each node was fresh again."""

from __future__ import annotations

from dataclasses import replace

from checkers.recovery import Recovery, recoveries
from harness.plan import Contract
from tests.checkers.histories import MS, episode, history, stall

CUT = episode("partition", 10, 40, "b")


def test_the_last_read_that_was_behind_at_the_heal_ends_the_recovery() -> None:
    """Each node has its own time, and the numbers of keys behind it; what was written after the heal makes nobody late."""
    h = history(
        "w x1 @a 0-5; w x2 @a 20-25; w y1 @a 26-27; w x3 @a 45-46",
        "r x2 @a s2 41-42; r x1 @b s1 50-51; r y1 @b s1 52-53; r x1 @b s1 60-61; r x2 @b s1 90-91",
        episodes=[CUT],
    )
    ((first, second),) = recoveries(h, Contract())
    assert first == Recovery("a", 0, keys=1, behind=0, unseen=0)
    assert second == Recovery("b", 20 * MS, keys=2, behind=1, unseen=0)


def test_a_node_that_nobody_saw_fresh_is_told_apart() -> None:
    """Its time is no more than a lower end, and the keys are counted."""
    h = history("w x1 @a 0-5; w x2 @a 20-25; r x1 @b s1 50-51", episodes=[CUT])
    assert recoveries(h, Contract()) == ((Recovery("b", 10 * MS, keys=1, behind=1, unseen=1),),)


def test_without_a_read_before_the_next_fault_nothing_is_said() -> None:
    """The next application ends what a heal can be known by; a node that was read elsewhere in the run is named all the same."""
    h = history(
        "w x1 @a 0-5; w x2 @a 20-25; r x1 @b s1 50-51; r x2 @b s1 80-81",
        episodes=[CUT, episode("pause", 45, 60, "b")],
    )
    assert recoveries(h, Contract()) == ((Recovery("b", None, 0, 0, 0),), (Recovery("b", 0, 1, 0, 0),))


def test_an_episode_without_a_heal_has_no_recovery() -> None:
    """One that outlasted the run and one that was never applied have none, and keep their places."""
    h = history(
        "w x1 @a 0-5; w x2 @a 6-7; r x2 @b s1 50-51",
        episodes=[replace(CUT, healed_ns=None), replace(CUT, applied_ns=None, healed_ns=None)],
    )
    assert recoveries(h, Contract()) == ((), ())


def test_time_in_which_the_harness_stood_still_is_taken_off() -> None:
    """A recovery through a stall of 5 ms is 5 ms shorter."""
    h = history("w x1 @a 0-5; w x2 @a 20-25; r x1 @b s1 60-61; r x2 @b s1 70-71", episodes=[CUT], stalls=[stall(45, 50)])
    assert recoveries(h, Contract())[0][0].stale_until_ns == 15 * MS
