"""Broadcast at least once: what is kept, what is shared, what is forgotten, and what a late write comes to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.reference.effects import Call, Flow, Open, Wait
from harness.reference.messages import (
    BUS,
    ORIGIN,
    Beat,
    Commit,
    Conflict,
    Delivery,
    Fetch,
    Invalidate,
    Record,
    Redeliver,
    Update,
    Value,
)
from harness.reference.origin import NOTHING, Outbox
from harness.reference.strategies.broadcast_alo import DESIGN, BroadcastAtLeastOnce
from harness.reference.strategies.broadcast_update import BroadcastUpdate
from harness.reference.zoo import all_bugs
from harness.zoo.trials import forced
from tests.reference.workbench import Workbench, advance

SETTINGS = DESIGN.settings
OLD, NEW = Record(Value("x", 1, 10), 1), Record(Value("x", 2, 11), 2)


def subscribed(node_type: type[BroadcastAtLeastOnce] = BroadcastAtLeastOnce) -> tuple[BroadcastAtLeastOnce, Workbench]:
    """A node that has heard all events so far, and the bench that it is on."""
    bench = Workbench(SETTINGS)
    node = node_type(bench)
    node.heard = 0
    return node, bench


def finish(flow: Flow[Any], record: Record) -> Any:
    """Answer the fetch of ``flow`` with ``record``; what the read found."""
    landed = advance(flow, record)
    assert isinstance(landed, Open)
    return advance(flow)


def fetching(node: BroadcastAtLeastOnce, key: str = "x") -> Flow[Any]:
    """A read of ``key`` that waits for the source."""
    flow = node.read(key)
    assert advance(flow) == Call(ORIGIN, Fetch(key))
    return flow


def test_misses_of_one_key_share_one_fetch() -> None:
    """A read that comes while its key is fetched waits for that fetch and takes its record."""
    node, _ = subscribed()
    first, second = fetching(node), node.read("x")
    waiting = advance(second)
    assert isinstance(waiting, Wait)
    landed = advance(first, OLD)
    assert landed == Open(waiting.latch, OLD)
    assert advance(second, landed.result) == OLD.value


def test_a_read_that_knows_of_newer_does_not_take_the_record_of_an_older_fetch() -> None:
    """A read that joins a fetch after the invalidation has come fetches for itself when it gets the older record."""
    node, _ = subscribed()
    fetching(node)
    node.hear(BUS, Delivery(1, Invalidate("x", 2)))
    second = node.read("x")
    assert isinstance(advance(second), Wait)
    node.flights.clear()
    assert advance(second, OLD) == Call(ORIGIN, Fetch("x"))


def test_who_asked_before_the_fetch_takes_its_record_and_nobody_keeps_it() -> None:
    """A fill that was overtaken by an invalidation is served to the read that began it, and is not kept."""
    node, _ = subscribed()
    first = fetching(node)
    node.hear(BUS, Delivery(1, Invalidate("x", 2)))
    assert finish(first, OLD) == OLD.value
    assert node.entries == {}


def test_a_fill_slower_than_the_memory_of_floors_is_neither_kept_nor_shared() -> None:
    """What was read longer ago than floors are remembered cannot be compared with what was heard of since."""
    node, bench = subscribed()
    first = fetching(node)
    bench.now_ns += SETTINGS.forget_ns + 1
    landed = advance(first, OLD)
    assert isinstance(landed, Open)
    assert landed.result is None
    assert advance(first) == OLD.value
    assert node.entries == {}


def test_floors_are_forgotten_after_a_while() -> None:
    """A node remembers what it heard of for the time in its settings, and no longer."""
    node, bench = subscribed()
    node.hear(BUS, Delivery(1, Invalidate("x", 2)))
    bench.now_ns += SETTINGS.forget_ns
    node.hear(BUS, Delivery(2, Invalidate("y", 1)))
    assert list(node.floors) == ["x", "y"]
    bench.now_ns += 1
    node.hear(BUS, Delivery(3, Invalidate("z", 1)))
    assert list(node.floors) == ["y", "z"]


def test_a_short_memory_does_no_harm() -> None:
    """With floors that are forgotten after 20 ms the schedule of the bug ``tomb-gc`` breaks nothing in the correct design."""
    bug = all_bugs()["tomb-gc"]
    assert not forced(bug, replace(bug.correct, settings=bug.broken.settings)).broken


def test_absence_is_kept_until_the_creation_is_heard_of() -> None:
    """That there is no such key is kept like a value, and refused once its creation has been heard of."""
    node, _ = subscribed()
    assert finish(fetching(node), NOTHING) is None
    assert node.entries == {"x": NOTHING}
    node.hear(BUS, Delivery(1, Invalidate("x", 1)))
    assert finish(fetching(node), NOTHING) is None
    assert node.entries == {}


def test_nothing_is_kept_before_the_bus_has_told_where_it_stands() -> None:
    """A node that does not know which events it will hear serves from the source."""
    node, _ = subscribed()
    node.heard = None
    assert finish(fetching(node), OLD) == OLD.value
    assert node.entries == {}


def test_a_missing_event_is_asked_for_when_the_beat_tells_of_it() -> None:
    """A node that has heard events 1 and 3 of 3 asks for everything from event 2 on."""
    node, bench = subscribed()
    node.hear(BUS, Delivery(1, Invalidate("x", 1)))
    node.hear(BUS, Delivery(3, Invalidate("z", 1)))
    node.hear(BUS, Beat(3))
    assert bench.sent == [(BUS, Redeliver(2))]
    node.hear(BUS, Delivery(2, Invalidate("y", 1)))
    node.hear(BUS, Beat(3))
    assert len(bench.sent) == 1


def test_a_write_names_what_it_replaces_and_tries_again_on_a_conflict() -> None:
    """A write that finds a newer stamp at the source than its node knew is sent again on that condition."""
    node, _ = subscribed()
    value = Value("x", 3, 12)
    flow = node.write(value)
    assert advance(flow) == Call(ORIGIN, Commit(value, 0))
    assert advance(flow, Conflict(2)) == Call(ORIGIN, Commit(value, 2))
    assert advance(flow, 3) is None
    assert node.known("x") == 3


def test_the_source_carries_a_conditional_write_out_once_and_never_late() -> None:
    """The source answers a repeated request with its first stamp, and refuses one that names a stamp that is not the newest."""
    origin = Outbox(Workbench(SETTINGS))
    first, second, late = Value("x", 1, 10), Value("x", 2, 11), Value("x", 3, 12)
    assert origin.commit_after(first, 0) == 1
    assert origin.commit_after(second, 1) == 2
    assert origin.commit_after(first, 0) == 1
    assert origin.commit_after(late, 1) == Conflict(2)
    assert [value.op for _, value in origin.audit] == [10, 11]


def test_an_update_replaces_an_older_entry_and_never_makes_one() -> None:
    """An update is taken where the key is held and older; a late or repeated one changes nothing."""
    node, _ = subscribed(BroadcastUpdate)
    node.hear(BUS, Delivery(1, Update("x", OLD)))
    assert node.entries == {}
    node.entries["x"] = OLD
    node.hear(BUS, Delivery(2, Update("x", NEW)))
    node.hear(BUS, Delivery(3, Update("x", OLD)))
    assert node.entries == {"x": NEW}
