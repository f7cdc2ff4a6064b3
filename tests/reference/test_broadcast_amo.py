"""Broadcast at most once: what a node takes for a loss, and what it does not keep."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from harness.reference.effects import Call, Flow, Sleep, Unreachable, Wait
from harness.reference.messages import BUS, ORIGIN, Beat, Commit, Delivery, Fetch, Flush, Invalidate, Publish, Record, Value
from harness.reference.strategies.broadcast_amo import DESIGN, BroadcastAtMostOnce
from harness.reference.strategies.broadcast_amo_replica import FilledFromReplica

RUN = 7
SETTINGS = DESIGN.settings
OLD, NEW = Record(Value("x", 1, 10), 1), Record(Value("x", 2, 11), 2)


class Bench:
    """A place where time passes when the test says so."""

    name = "node-1"
    peers = ("node-1", "node-2")
    settings = SETTINGS
    random = Random(1)

    def __init__(self) -> None:
        self.now_ns = 0
        self.spawned: list[Flow[Any]] = []

    def monotonic_ns(self) -> int:
        """The test's time."""
        return self.now_ns

    def wall_ns(self) -> int:
        """The same."""
        return self.now_ns

    def send(self, to: str, message: Any) -> None:
        """Nobody hears it."""

    def become(self, role: str) -> None:
        """Nobody asks."""

    def spawn(self, flow: Flow[Any]) -> None:
        """Leave it to the test."""
        self.spawned.append(flow)


def listening(node_type: type[BroadcastAtMostOnce] = BroadcastAtMostOnce, published: int = 0) -> BroadcastAtMostOnce:
    """A node that has just heard a beat; time passes at its ``place``, a bench."""
    node = node_type(Bench())
    node.hear(BUS, Beat(published, RUN))
    return node


def wait(node: BroadcastAtMostOnce, ns: int) -> None:
    """Time passes for ``node``."""
    assert isinstance(node.place, Bench)
    node.place.now_ns += ns


def go_on(flow: Flow[Any], reply: Any = None) -> Any:
    """What ``flow`` waits for next: a call, a sleep, a latch; or its result."""
    try:
        effect = flow.throw(reply) if isinstance(reply, Exception) else flow.send(reply)
        while not isinstance(effect, Call | Sleep | Wait):
            effect = flow.send(None)
    except StopIteration as stop:
        return stop.value
    return effect


def read(node: BroadcastAtMostOnce, record: Record = OLD) -> Value | None:
    """What a read of ``x`` answers if the source has ``record``."""
    flow = node.read("x")
    effect = go_on(flow)
    return go_on(flow, record) if isinstance(effect, Call) else effect


def keeps(node: BroadcastAtMostOnce) -> bool:
    """Whether ``node`` would answer a read of ``x`` by itself."""
    return node.kept("x") is not None


def test_an_event_of_another_key_is_no_reason_to_flush() -> None:
    """Events that come one after the other drop only what they name."""
    node = listening()
    assert read(node) == OLD.value
    node.hear(BUS, Delivery(1, Invalidate("y", 1), RUN))
    node.hear(BUS, Delivery(2, Invalidate("z", 1), RUN))
    node.hear(BUS, Beat(2, RUN))
    assert keeps(node)
    node.hear(BUS, Delivery(3, Invalidate("x", 2), RUN))
    assert not keeps(node)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(Delivery(7, Invalidate("y", 1), RUN), id="an event with a number after the next"),
        pytest.param(Beat(6, RUN), id="a beat that tells of an event that never came"),
        pytest.param(Delivery(6, Invalidate("y", 1), RUN + 1), id="the next number of another run"),
        pytest.param(Beat(5, RUN + 1), id="the same number in another run"),
        pytest.param(Beat(0, RUN + 1), id="a bus that began anew"),
        pytest.param(Delivery(6, Flush(), RUN), id="a node that asks for it"),
    ],
)
def test_a_loss_flushes_everything(message: Any) -> None:
    """Whatever shows that an event may have been missed empties the node, and what is read then is kept again."""
    node = listening(published=5)
    read(node)
    node.hear(BUS, message)
    assert not keeps(node)
    assert read(node, NEW) == NEW.value
    assert keeps(node)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(Delivery(5, Invalidate("y", 1), RUN), id="an event again"),
        pytest.param(Delivery(3, Invalidate("y", 1), RUN), id="an event that was overtaken"),
        pytest.param(Beat(4, RUN), id="a beat that was overtaken"),
    ],
)
def test_what_comes_twice_or_late_is_no_loss(message: Any) -> None:
    """Numbers up to the one that was heard tell nothing new."""
    node = listening(published=5)
    read(node)
    node.hear(BUS, message)
    assert keeps(node)
    node.hear(BUS, Delivery(6, Invalidate("y", 1), RUN))
    assert keeps(node)


def test_an_overtaken_invalidation_still_counts() -> None:
    """An event that comes after a later one drops its key all the same."""
    node = listening(published=5)
    read(node)
    node.hear(BUS, Delivery(4, Invalidate("x", 2), RUN))
    assert not keeps(node)


def test_nothing_is_kept_before_the_bus_was_heard() -> None:
    """A node that has just begun answers from the source until the first beat."""
    node = BroadcastAtMostOnce(Bench())
    assert read(node) == OLD.value
    assert not keeps(node)


def test_silence_is_a_loss() -> None:
    """A node that hears nothing for too long, because it is cut off or stood still, serves nothing and then begins anew."""
    node = listening()
    read(node)
    wait(node, SETTINGS.silence_ns)
    assert keeps(node)
    wait(node, 1)
    assert not keeps(node)
    assert read(node, NEW) == NEW.value
    assert not keeps(node)
    node.hear(BUS, Beat(0, RUN))
    assert not keeps(node)
    read(node, NEW)
    assert keeps(node)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(Delivery(1, Invalidate("x", 2), RUN), id="its key is invalidated"),
        pytest.param(Beat(1, RUN), id="an event is missing"),
        pytest.param(Beat(0, RUN + 1), id="the bus began anew"),
    ],
)
def test_a_fill_is_torn_up_by_what_comes_in_between(message: Any) -> None:
    """What a fetch brings that may be superseded answers the read that began it, and is not kept."""
    node = listening()
    flow = node.read("x")
    assert go_on(flow) == Call(ORIGIN, Fetch("x"))
    node.hear(BUS, message)
    assert go_on(flow, OLD) == OLD.value
    assert not keeps(node)


def test_a_read_does_not_take_what_was_torn_up() -> None:
    """A read that waits for a fetch of another one looks again when it is over, and fetches by itself if nothing was kept."""
    node = listening()
    first, second = node.read("x"), node.read("x")
    go_on(first)
    assert isinstance(go_on(second), Wait)
    node.hear(BUS, Delivery(1, Invalidate("x", 2), RUN))
    assert go_on(first, OLD) == OLD.value
    assert go_on(second) == Call(ORIGIN, Fetch("x"))
    assert go_on(second, NEW) == NEW.value


def test_a_read_takes_what_was_kept_meanwhile() -> None:
    """Reads that miss at the same time cost one fetch."""
    node = listening()
    first, second = node.read("x"), node.read("x")
    go_on(first)
    go_on(second)
    assert go_on(first, OLD) == OLD.value
    assert go_on(second) == OLD.value


def test_a_fetch_that_fails_lets_the_next_one_try() -> None:
    """Who waits for a fetch that gets no answer is not left waiting."""
    node = listening()
    first, second = node.read("x"), node.read("x")
    go_on(first)
    go_on(second)
    with pytest.raises(Unreachable):
        go_on(first, Unreachable("no reply"))
    assert go_on(second) == Call(ORIGIN, Fetch("x"))


def test_an_entry_lives_no_longer_than_its_time() -> None:
    """The time to live counts from the moment the fetch began."""
    node = listening()
    flow = node.read("x")
    go_on(flow)
    beats = SETTINGS.ttl_ns // SETTINGS.heartbeat_ns
    for beat in range(beats):
        if beat == 1:
            go_on(flow, OLD)
        assert keeps(node) is (beat > 0)
        wait(node, SETTINGS.heartbeat_ns)
        node.hear(BUS, Beat(0, RUN))
    assert not keeps(node)


def test_a_write_is_acknowledged_once_the_bus_has_its_event() -> None:
    """The event is published after the commit, again and again until the bus answers; the writer's own entry goes first."""
    node = listening()
    read(node)
    flow = node.write(Value("x", 2, 11))
    assert go_on(flow) == Call(ORIGIN, Commit(Value("x", 2, 11)))
    assert go_on(flow, 2) == Call(BUS, Publish(Invalidate("x", 2)))
    assert not keeps(node)
    assert go_on(flow, Unreachable("no reply")) == Sleep(SETTINGS.retry_ns)
    assert go_on(flow) == Call(BUS, Publish(Invalidate("x", 2)))
    assert go_on(flow, 1) is None


def test_a_write_of_which_nobody_knows_is_told_twice() -> None:
    """A commit without an answer may have happened, or may still: it is told at once, and again once the source is heard."""
    node = listening()
    read(node)
    flow = node.write(Value("x", 2, 11))
    go_on(flow)
    with pytest.raises(Unreachable):
        go_on(flow, Unreachable("no reply"))
    assert not keeps(node)
    assert isinstance(node.place, Bench)
    (told,) = node.place.spawned
    assert go_on(told) == Call(BUS, Publish(Invalidate("x", 0)))
    read(node)
    asked = go_on(told, 1)
    assert asked == Call(ORIGIN, Commit(Value("x", 2, 11), after=-1))
    assert go_on(told, Unreachable("no reply")) == Sleep(SETTINGS.retry_ns)
    assert go_on(told) == asked
    assert keeps(node)
    assert go_on(told, 2) == Call(BUS, Publish(Invalidate("x", 0)))
    assert not keeps(node)


def test_who_comes_after_a_dead_one_has_everybody_flush() -> None:
    """What the dead process committed and did not tell is made up for; a new node tells nothing."""
    node = listening()
    assert isinstance(node.place, Bench)
    node.start()
    assert not node.place.spawned
    successor = node.survivor()
    successor.start()
    (told,) = node.place.spawned
    assert go_on(told) == Call(BUS, Publish(Flush()))


@pytest.mark.parametrize(
    "message",
    [pytest.param(Delivery(1, Invalidate("x", 2), RUN), id="the key"), pytest.param(Beat(1, RUN), id="all keys")],
)
def test_what_the_replica_may_not_have_is_not_kept(message: Any) -> None:
    """After an invalidation or a flush, a node that fills from a replica keeps nothing for twice its lag."""
    node = listening(FilledFromReplica)
    wait(node, 2 * SETTINGS.replica_lag_ns)
    read(node)
    assert keeps(node)
    node.hear(BUS, message)
    wait(node, 2 * SETTINGS.replica_lag_ns - 1)
    read(node)
    assert not keeps(node)
    wait(node, 1)
    read(node, NEW)
    assert keeps(node)


def test_a_replica_is_asked_for_every_fill() -> None:
    """The source itself is spared."""
    node = listening(FilledFromReplica)
    assert go_on(node.read("x")) == Call(ORIGIN, Fetch("x", replica=True))
