"""Client-side caching: what a node concludes from what comes down its connection, and what the source notes."""

from __future__ import annotations

from harness.reference.messages import ORIGIN, Invalidate, Record, Value
from harness.reference.strategies.tracking import DESIGN, Tracking
from harness.reference.tracked import Echo, FetchTracked, Heartbeat, Opened, Pushed, TrackingOrigin
from tests.reference.workbench import Workbench, advance

SETTINGS = DESIGN.settings
OLD, NEW = Record(Value("x", 1, 10), 1), Record(Value("x", 2, 11), 2)


def a_node() -> tuple[Tracking, Workbench]:
    """A node with a whole connection and an entry for x."""
    bench = Workbench(SETTINGS)
    node = Tracking(bench)
    node.hear(ORIGIN, Pushed(1, 1, Opened()))
    node.hear(ORIGIN, Pushed(1, 2, Echo(0)))
    node.entries["x"] = OLD
    return node, bench


def a_source() -> tuple[TrackingOrigin, Workbench]:
    """A source with a connection of node-2, which has read x."""
    bench = Workbench(SETTINGS)
    source = TrackingOrigin(bench)
    source.hear("node-2", Heartbeat(0, 5))
    fetch = source.serve("node-2", FetchTracked("x"))
    while not isinstance(advance(fetch), Record):
        pass
    return source, bench


def test_entries_are_served_only_shortly_after_the_proven_moment() -> None:
    """What a node serves is covered by an echo whose heartbeat was sent no longer ago than the silence it bears."""
    node, bench = a_node()
    bench.now_ns = SETTINGS.silence_ns
    assert advance(node.read("x")) == OLD.value
    bench.now_ns += 1
    assert advance(node.read("x")).request == FetchTracked("x")


def test_an_echo_proves_the_time_at_which_its_heartbeat_was_sent() -> None:
    """An echo that took long proves nothing about the present."""
    node, bench = a_node()
    bench.now_ns = 2 * SETTINGS.silence_ns
    node.hear(ORIGIN, Pushed(1, 3, Echo(1)))
    assert not node.whole()


def test_something_missing_drops_everything_and_asks_for_a_new_connection() -> None:
    """A gap in the numbers may have been an invalidation of anything."""
    node, bench = a_node()
    node.hear(ORIGIN, Pushed(1, 4, Echo(0)))
    assert node.entries == {}
    assert bench.sent == [(ORIGIN, Heartbeat(0, 0))]


def test_what_came_before_is_ignored() -> None:
    """A second copy of a push, and what is left of an earlier connection, change nothing."""
    node, bench = a_node()
    node.hear(ORIGIN, Pushed(1, 2, Opened()))
    node.hear(ORIGIN, Pushed(0, 3, Opened()))
    assert node.entries == {"x": OLD}
    assert bench.sent == []


def test_a_new_connection_drops_everything() -> None:
    """The source has noted nothing for a connection that it has just opened."""
    node, _ = a_node()
    node.hear(ORIGIN, Pushed(2, 1, Opened()))
    assert node.entries == {}
    assert node.connection == 2


def test_a_reply_that_was_overtaken_is_not_kept() -> None:
    """An invalidation takes away the placeholder of a fill that is under way."""
    node, _ = a_node()
    node.entries.clear()
    read = node.read("x")
    advance(read)
    node.hear(ORIGIN, Pushed(1, 3, Invalidate("x", 2)))
    assert advance(read, OLD) == OLD.value
    assert node.entries == {}


def test_only_readers_are_told_and_only_once() -> None:
    """A change is told to those who have read the key since the last one."""
    source, bench = a_source()
    bench.sent.clear()
    source.commit(NEW.value)
    source.commit(Value("x", 3, 12))
    source.commit(Value("y", 1, 13))
    assert bench.sent == [("node-2", Pushed(1, 3, Invalidate("x", 1)))]


def test_a_heartbeat_of_no_connection_opens_one_without_notes() -> None:
    """Whoever has lost its connection is told by the new one's first message, and the old notes are void."""
    source, bench = a_source()
    bench.sent.clear()
    source.hear("node-2", Heartbeat(0, 7))
    assert bench.sent == [("node-2", Pushed(2, 1, Opened())), ("node-2", Pushed(2, 2, Echo(7)))]
    bench.sent.clear()
    source.commit(NEW.value)
    assert bench.sent == []
