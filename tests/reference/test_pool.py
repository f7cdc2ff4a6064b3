"""A pool of stores: who is in, where a key is, and where a write deletes."""

from __future__ import annotations

import pytest

from harness.reference.effects import Call, Calls, Refused, Sleep, Unreachable
from harness.reference.messages import BUS, Value
from harness.reference.roster import POOL, Roster, View
from harness.reference.store import Clear, Delete, Ping
from harness.reference.strategies.pool import DESIGN, Pool
from tests.reference.workbench import Workbench, advance

SETTINGS = DESIGN.settings
KEYS = [f"key-{number}" for number in range(60)]
DELETE = Delete("x")


def a_node(*members: str) -> tuple[Pool, Workbench]:
    """A node that has been told that ``members`` are in, and where it runs."""
    bench = Workbench(SETTINGS)
    node = Pool(bench)
    node.hear(BUS, View(1, members))
    return node, bench


def test_the_keys_of_a_member_that_is_out_go_to_others_and_no_other_key_moves() -> None:
    """A view without a member moves that member's keys alone."""
    node, _ = a_node(*POOL)
    before = {key: node.member(key) for key in KEYS}
    node.hear(BUS, View(2, POOL[1:]))
    after = {key: node.member(key) for key in KEYS}
    assert set(before.values()) == set(POOL)
    assert all(after[key] != POOL[0] for key in KEYS)
    assert all(after[key] == before[key] for key in KEYS if before[key] != POOL[0])


def test_an_older_view_that_comes_late_is_not_gone_by() -> None:
    """Views are ordered by their numbers, not by when they arrive."""
    node, _ = a_node(*POOL)
    node.hear(BUS, View(0, POOL[:1]))
    assert node.view.members == POOL


def test_nothing_is_committed_while_nobody_is_known_to_be_in() -> None:
    """A write is refused before it commits if it could not delete anywhere."""
    node, _ = a_node()
    with pytest.raises(Refused):
        advance(node.write(Value("x", 1, 10)))


def test_a_write_deletes_at_every_member() -> None:
    """The member that has the key now is not the only one that may have a copy."""
    node, _ = a_node(*POOL)
    write = node.write(Value("x", 1, 10))
    advance(write)
    assert advance(write, 1) == Calls(tuple(Call(member, DELETE) for member in POOL))
    assert advance(write, (True, False, False)) is None


def test_a_write_tells_a_silent_member_again_while_it_is_in() -> None:
    """A delete without a reply is repeated at that member alone, and the write is not over before."""
    node, _ = a_node(*POOL)
    purge = node.purge("x", 1)
    advance(purge)
    assert advance(purge, (None, True, True)) == Calls((Call(POOL[0], DELETE),))
    assert advance(purge, (True,)) is None


def test_a_write_does_not_wait_for_a_member_that_is_out() -> None:
    """A silent member that goes out is left word, and is cleared before it is in again."""
    node, bench = a_node(*POOL)
    purge = node.purge("x", 1)
    advance(purge)
    node.hear(BUS, View(2, POOL[1:]))
    assert advance(purge, (None, True, True)) == Calls(())
    assert advance(purge, ()) is None
    assert [advance(flow) for flow in bench.spawned] == [Call(POOL[0], DELETE)]


def a_roster() -> tuple[Roster, Workbench]:
    """A roster that has just begun, and where it runs."""
    bench = Workbench(SETTINGS)
    return Roster(bench), bench


def test_a_member_is_cleared_before_it_is_in() -> None:
    """The roster tells nobody of a member that answers until it has forgotten what it had."""
    roster, bench = a_roster()
    watch = roster.watch(POOL[0])
    assert advance(watch) == Call(POOL[0], Ping(), SETTINGS.silence_ns)
    assert advance(watch, True) == Call(POOL[0], Clear())
    assert bench.sent == []
    assert advance(watch, True) == Sleep(SETTINGS.heartbeat_ns)
    assert [(node, view.members) for node, view in bench.sent] == [(node, POOL[:1]) for node in bench.peers]


def test_a_silent_member_goes_out_and_is_cleared_again_when_it_answers() -> None:
    """A member that was out for however short a time may have missed a delete."""
    roster, bench = a_roster()
    watch = roster.watch(POOL[0])
    for reply in (None, True, True, None):
        advance(watch, reply)
    bench.sent.clear()
    assert watch.throw(Unreachable("no reply in time")) == Call(POOL[0], Ping(), SETTINGS.silence_ns)
    assert bench.sent[-1][1].members == ()
    assert advance(watch, True) == Call(POOL[0], Clear())


def test_views_of_a_restarted_roster_are_later_than_those_of_its_earlier_life() -> None:
    """Numbers of views grow across restarts, for they follow the clock."""
    roster, bench = a_roster()
    bench.now_ns = 1_000
    roster.change(POOL)
    restarted = roster.survivor()
    assert isinstance(restarted, Roster)
    bench.now_ns = 2_000
    restarted.change(POOL[:1])
    assert restarted.view.number > roster.view.number
