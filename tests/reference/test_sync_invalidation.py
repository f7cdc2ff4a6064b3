"""Synchronous invalidation: leases at the node, and what the source waits for."""

from __future__ import annotations

import pytest

from harness.reference.clocks import SLOWEST_CLOCK
from harness.reference.effects import Call, Calls, Refused, Sleep
from harness.reference.messages import ORIGIN, Commit, Record, Value
from harness.reference.strategies.sync_invalidation import (
    DESIGN,
    Drop,
    Fetched,
    FetchToKeep,
    RenewLease,
    SyncInvalidation,
    SyncOrigin,
)
from tests.reference.workbench import Workbench, advance

SETTINGS = DESIGN.settings
OLD, NEW = Record(Value("x", 1, 10), 1), Record(Value("x", 2, 11), 2)


def a_node() -> tuple[SyncInvalidation, Workbench]:
    """A node with lease 1 and an entry for x."""
    bench = Workbench(SETTINGS)
    node = SyncInvalidation(bench)
    node.start()
    assert advance(bench.spawned[0]) == Call(ORIGIN, RenewLease())
    advance(bench.spawned[0], 1)
    node.entries["x"] = OLD
    return node, bench


def test_entries_are_served_as_long_as_the_lease_surely_lasts() -> None:
    """A node counts its lease from its asking, by a clock that may be slow."""
    node, bench = a_node()
    bench.now_ns = round(SETTINGS.lease_ns * SLOWEST_CLOCK) - 1
    assert advance(node.read("x")) == OLD.value
    bench.now_ns += 1
    assert advance(node.read("x")) == Call(ORIGIN, FetchToKeep("x"))


def test_a_new_lease_is_for_an_empty_cache() -> None:
    """Writes may have passed by between two leases of different numbers; a renewed lease keeps its number."""
    node, bench = a_node()
    for number, left in ((1, {"x": OLD}), (2, {})):
        assert advance(bench.spawned[0]) == Call(ORIGIN, RenewLease())
        advance(bench.spawned[0], number)
        assert node.entries == left


@pytest.mark.parametrize("keep", [True, False])
def test_a_record_is_kept_if_the_source_says_so(keep: bool) -> None:  # noqa: FBT001
    """While a key is about to change its record may be read but not kept."""
    node, _ = a_node()
    node.entries.clear()
    read = node.read("x")
    advance(read)
    assert advance(read, Fetched(OLD, keep)) == OLD.value
    assert ("x" in node.entries) == keep


def test_a_fill_that_a_drop_has_overtaken_is_not_kept() -> None:
    """A node that has dropped a key keeps nothing that it asked for before."""
    node, _ = a_node()
    node.entries.clear()
    read = node.read("x")
    advance(read)
    assert advance(node.serve(ORIGIN, Drop("x"))) is True
    assert advance(read, Fetched(OLD, keep=True)) == OLD.value
    assert node.entries == {}


def test_a_write_waits_for_all_who_hold_a_lease() -> None:
    """A node that does not answer is asked again, and not granted more time, until its lease is over."""
    bench = Workbench(SETTINGS)
    source = SyncOrigin(bench)
    assert (source.renew("node-1"), source.renew("node-2")) == (1, 2)
    write = source.serve("node-1", Commit(NEW.value))
    assert advance(write) == Sleep(0)
    asked = advance(write)
    assert asked == Calls(tuple(Call(node, Drop("x"), SETTINGS.heartbeat_ns) for node in ("node-1", "node-2")))
    assert advance(write, (True, None)) == Calls((Call("node-2", Drop("x"), SETTINGS.heartbeat_ns),))
    with pytest.raises(Refused):
        source.renew("node-2")
    assert source.renew("node-1") == 1
    bench.now_ns = SETTINGS.lease_ns + 1
    assert advance(write, (None,)) == Sleep(SETTINGS.commit_ns)
    advance(write)
    assert source.records["x"].value == NEW.value


def test_what_is_about_to_change_is_not_to_be_kept() -> None:
    """From before the first drop until the commit nobody may keep the old record."""
    source = SyncOrigin(Workbench(SETTINGS))
    source.renew("node-2")
    write = source.serve("node-1", Commit(NEW.value))
    advance(write)
    fetch = source.serve("node-2", FetchToKeep("x"))
    reply = advance(fetch)
    while isinstance(reply, Sleep):
        reply = advance(fetch)
    assert not reply.keep


def test_a_restarted_source_waits_for_the_leases_of_before() -> None:
    """It does not know who holds one, so it commits nothing until all are over."""
    bench = Workbench(SETTINGS)
    source = SyncOrigin(bench)
    source.renew("node-2")
    again = source.survivor()
    assert advance(again.serve("node-1", Commit(NEW.value))) == Sleep(SETTINGS.lease_ns)
    assert again.renew("node-2") == 2
