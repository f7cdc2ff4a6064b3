"""Lives that are counted: TTL, TTL with version checks."""

from __future__ import annotations

import pytest

from harness.reference.effects import Call, Unreachable
from harness.reference.messages import ORIGIN, Commit, Fetch, FetchNewer, Record, Value
from harness.reference.strategies import ttl, ttl_check
from harness.reference.strategies.ttl import TimeToLive
from harness.reference.strategies.ttl_check import CheckedTimeToLive
from tests.reference.workbench import Workbench, advance

SETTINGS = ttl.DESIGN.settings
TTL_NS, CHECK_NS = SETTINGS.ttl_ns, SETTINGS.check_ns
OLD, NEW = Record(Value("x", 1, 10), 1), Record(Value("x", 2, 11), 2)
FETCH = Call(ORIGIN, Fetch("x"))


def a_node() -> tuple[TimeToLive, Workbench]:
    """A node that has put x now."""
    bench = Workbench(SETTINGS)
    node = TimeToLive(bench)
    read = node.read("x")
    assert advance(read) == FETCH
    assert advance(read, OLD) == OLD.value
    return node, bench


def test_an_entry_lives_from_when_it_was_put():
    """To the nanosecond."""
    node, bench = a_node()
    bench.now_ns = TTL_NS - 1
    assert advance(node.read("x")) == OLD.value
    bench.now_ns = TTL_NS
    assert advance(node.read("x")) == FETCH


def test_a_slow_fill_does_not_replace_a_newer_record_even_if_that_is_dead():
    """Its reader is answered all the same: it asked before anybody had read the newer one."""
    node, bench = a_node()
    bench.now_ns = TTL_NS
    slow, quick = node.read("x"), node.read("x")
    advance(slow)
    advance(quick)
    assert advance(quick, NEW) == NEW.value
    bench.now_ns = 2 * TTL_NS
    assert advance(slow, OLD) == OLD.value
    assert node.entries["x"].record == NEW
    assert advance(node.read("x")) == FETCH


def test_a_write_leaves_the_entry_of_its_own_node_alone():
    """Time to live and nothing else: not even the writer sees its write before the entry is dead."""
    node, _ = a_node()
    write = node.write(NEW.value)
    assert advance(write) == Call(ORIGIN, Commit(NEW.value))
    advance(write, NEW.stamp)
    assert advance(node.read("x")) == OLD.value


def checked_node() -> tuple[CheckedTimeToLive, Workbench]:
    """A node that asked for x at time 0 and had its answer much later, but before the next check."""
    bench = Workbench(SETTINGS)
    node = CheckedTimeToLive(bench)
    read = node.read("x")
    assert advance(read) == FETCH
    bench.now_ns = CHECK_NS - 1
    assert advance(read, OLD) == OLD.value
    return node, bench


def test_the_moment_until_the_next_check_counts_from_the_question():
    """A slow answer makes it no longer."""
    node, bench = checked_node()
    assert advance(node.read("x")) == OLD.value
    bench.now_ns = CHECK_NS
    assert advance(node.read("x")) == Call(ORIGIN, FetchNewer("x", OLD.stamp))


@pytest.mark.parametrize(("answer", "found"), [(None, OLD), (NEW, NEW)])
def test_a_check_confirms_or_replaces(answer: Record | None, found: Record):
    """And so do the reads of the next moment."""
    node, bench = checked_node()
    bench.now_ns = CHECK_NS
    read = node.read("x")
    advance(read)
    assert advance(read, answer) == found.value
    bench.now_ns = 2 * CHECK_NS - 1
    assert advance(node.read("x")) == found.value


def test_a_check_that_fails_fails_the_read():
    """What cannot be checked is not served."""
    node, bench = checked_node()
    bench.now_ns = CHECK_NS
    read = node.read("x")
    advance(read)
    with pytest.raises(Unreachable):
        read.throw(Unreachable())


def test_a_check_that_was_overtaken_changes_nothing():
    """Another one, asked later, has brought something newer."""
    node, bench = checked_node()
    bench.now_ns = CHECK_NS
    slow, quick = node.read("x"), node.read("x")
    advance(slow)
    advance(quick)
    advance(quick, NEW)
    assert advance(slow, None) == OLD.value
    assert node.entries["x"].record == NEW


def test_after_its_life_an_entry_is_fetched_whatever_the_checks_said():
    """The time to live counts from the fetch."""
    node, bench = checked_node()
    for bench.now_ns in range(CHECK_NS, TTL_NS, CHECK_NS):
        read = node.read("x")
        assert advance(read) == Call(ORIGIN, FetchNewer("x", OLD.stamp))
        advance(read, None)
    bench.now_ns = TTL_NS
    assert advance(node.read("x")) == FETCH


def test_what_is_promised():
    """A cut does not make entries older, a slow clock does; what a pause interrupts is put after it, unless lives count from
    the question."""
    hop_ns = 500_000
    promised = ttl.promise(SETTINGS, hop_ns).staleness
    assert promised.steady == TTL_NS + SETTINGS.slow_load_ns + hop_ns
    assert promised.during["partition"].of(10**12) == TTL_NS + SETTINGS.call_timeout_ns
    assert promised.during["pause"].of(10**12) == 10**12 + TTL_NS + SETTINGS.call_timeout_ns
    promised = ttl_check.promise(SETTINGS, hop_ns).staleness
    assert promised.steady == promised.during["pause"].of(10**12) == CHECK_NS
    assert promised.during["clock"].of(10**12) == CHECK_NS * 5 // 4
