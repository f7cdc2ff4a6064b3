"""Stale while revalidate, and refresh ahead of time."""

from __future__ import annotations

import pytest

from harness.reference.effects import Call, Unreachable
from harness.reference.messages import BUS, ORIGIN, Commit, Delivery, Fetch, FetchNewer, Invalidate, Record, Value
from harness.reference.strategies import refresh_ahead, swr
from harness.reference.strategies.refresh_ahead import RefreshAhead
from harness.reference.strategies.swr import StaleWhileRevalidate
from tests.reference.workbench import Workbench, advance

FRESH_NS, WINDOW_NS = swr.DESIGN.settings.ttl_ns, swr.DESIGN.settings.window_ns
OLD, NEW = Record(Value("x", 1, 10), 1), Record(Value("x", 2, 11), 2)
FETCH = Call(ORIGIN, Fetch("x"))
ASK = Call(ORIGIN, FetchNewer("x", OLD.stamp))


def a_node() -> tuple[StaleWhileRevalidate, Workbench]:
    """A node that asked for x at time 0 and has it."""
    bench = Workbench(swr.DESIGN.settings)
    node = StaleWhileRevalidate(bench)
    read = node.read("x")
    assert advance(read) == FETCH
    assert advance(read, OLD) == OLD.value
    return node, bench


def refreshing() -> tuple[StaleWhileRevalidate, Workbench]:
    """The same with a refresh under way."""
    node, bench = a_node()
    bench.now_ns = FRESH_NS
    assert advance(node.read("x")) == OLD.value
    assert advance(bench.spawned[0]) == ASK
    return node, bench


def test_a_fresh_entry_is_served_and_no_more():
    """Nobody asks for anything newer."""
    node, bench = a_node()
    bench.now_ns = FRESH_NS - 1
    assert advance(node.read("x")) == OLD.value
    assert bench.spawned == []


def test_in_the_window_one_refresh_runs_while_all_are_served():
    """The reads do not wait for it."""
    node, bench = refreshing()
    bench.now_ns = FRESH_NS + WINDOW_NS - 1
    assert advance(node.read("x")) == OLD.value
    assert len(bench.spawned) == 1
    advance(bench.spawned[0], NEW)
    assert advance(node.read("x")) == NEW.value


def test_after_the_window_a_reader_waits():
    """Refresh or not."""
    node, bench = refreshing()
    bench.now_ns = FRESH_NS + WINDOW_NS
    read = node.read("x")
    assert advance(read) == FETCH
    assert advance(read, NEW) == NEW.value


def test_unchanged_is_fresh_again_from_when_it_was_asked():
    """Not from when the answer came."""
    node, bench = refreshing()
    bench.now_ns = FRESH_NS + WINDOW_NS - 1
    advance(bench.spawned[0], None)
    bench.now_ns = 2 * FRESH_NS
    assert advance(node.read("x")) == OLD.value
    assert len(bench.spawned) == 2


def test_a_failed_refresh_makes_way_for_the_next():
    """The entry is as old as it was."""
    node, bench = refreshing()
    with pytest.raises(StopIteration):
        bench.spawned[0].throw(Unreachable())
    assert advance(node.read("x")) == OLD.value
    assert len(bench.spawned) == 2


@pytest.mark.parametrize("answer", [None, OLD])
def test_a_refresh_that_was_overtaken_by_a_purge_comes_to_nothing(answer: Record | None):
    """Whether it says that nothing has changed or brings what is old by now."""
    node, bench = refreshing()
    write = node.write(NEW.value)
    assert advance(write) == Call(ORIGIN, Commit(NEW.value))
    advance(write, NEW.stamp)
    advance(bench.spawned[0], answer)
    assert advance(node.read("x")) == FETCH


def test_a_fill_that_is_older_than_a_write_through_its_node_is_not_put():
    """Its reader is answered: it asked before the write was answered."""
    bench = Workbench(swr.DESIGN.settings)
    node = StaleWhileRevalidate(bench)
    read, write = node.read("x"), node.write(NEW.value)
    advance(read)
    advance(write)
    advance(write, NEW.stamp)
    assert advance(read, OLD) == OLD.value
    assert node.entries == {}


def test_an_event_drops_what_is_older_and_nothing_else():
    """A node that has the newer record already keeps it."""
    node = RefreshAhead(Workbench(refresh_ahead.DESIGN.settings))
    read = node.read("x")
    advance(read)
    advance(read, NEW)
    node.hear(BUS, Delivery(1, Invalidate("x", OLD.stamp), 0))
    node.hear(BUS, Delivery(2, Invalidate("x", NEW.stamp), 0))
    assert advance(node.read("x")) == NEW.value
    node.hear(BUS, Delivery(3, Invalidate("x", NEW.stamp + 1), 0))
    assert advance(node.read("x")) == FETCH


def test_a_reload_ahead_of_time_that_began_before_an_event_comes_to_nothing():
    """The loader knows no stamps: it fetches."""
    settings = refresh_ahead.DESIGN.settings
    bench = Workbench(settings)
    node = RefreshAhead(bench)
    read = node.read("x")
    advance(read)
    advance(read, OLD)
    bench.now_ns = settings.check_ns
    assert advance(node.read("x")) == OLD.value
    assert advance(bench.spawned[0]) == FETCH
    node.hear(BUS, Delivery(1, Invalidate("x", NEW.stamp), 0))
    advance(bench.spawned[0], OLD)
    assert node.entries == {}


def test_without_events_an_entry_is_gone_after_its_time_to_live():
    """However often it is read."""
    settings = refresh_ahead.DESIGN.settings
    bench = Workbench(settings)
    node = RefreshAhead(bench)
    read = node.read("x")
    advance(read)
    advance(read, OLD)
    bench.now_ns = settings.ttl_ns - 1
    assert advance(node.read("x")) == OLD.value
    bench.now_ns = settings.ttl_ns
    assert advance(node.read("x")) == FETCH


def test_what_is_promised():
    """Whatever is cut or lost, an entry dies; events are quicker."""
    hop_ns = 500_000
    promised = swr.promise(swr.DESIGN.settings, hop_ns).staleness
    assert promised.steady == promised.during["partition"].of(10**12) == FRESH_NS + WINDOW_NS
    promised = refresh_ahead.promise(refresh_ahead.DESIGN.settings, hop_ns).staleness
    assert promised.steady == 2 * hop_ns
    assert promised.during["drop"].of(10**12) == refresh_ahead.DESIGN.settings.ttl_ns
