"""Two tiers: the order of a purge, and the fills of the outer tier that it spoils."""

from __future__ import annotations

from typing import Any

from harness.reference.effects import Call, Flow
from harness.reference.messages import BUS, STORE, Delivery, Invalidate, Publish, Record, Value
from harness.reference.store import Delete, Found, Lease
from harness.reference.strategies.two_tier import DESIGN, TwoTier
from tests.reference.workbench import Workbench, advance

SETTINGS = DESIGN.settings
OLD, NEW = Record(Value("x", 1, 10), 1), Record(Value("x", 2, 11), 2)


def a_node() -> tuple[TwoTier, Workbench]:
    """A node of the design, and where it runs."""
    bench = Workbench(SETTINGS)
    return TwoTier(bench), bench


def asking(node: TwoTier) -> Flow[Any]:
    """A read of x that waits for the store."""
    read = node.read("x")
    assert advance(read) == Call(STORE, Lease("x", SETTINGS.lease_ns))
    return read


def purge(node: TwoTier) -> None:
    """The bus tells ``node`` of a write of x."""
    node.hear(BUS, Delivery(1, Invalidate("x", 2)))


def test_a_copy_is_served_until_its_time_is_up() -> None:
    """A read is answered from the node's memory for a time to live, counted from when the store was asked."""
    node, bench = a_node()
    read = asking(node)
    bench.now_ns = 5
    assert advance(read, Found(OLD, 7)) == OLD.value
    bench.now_ns = SETTINGS.ttl_ns - 1
    assert advance(node.read("x")) == OLD.value
    bench.now_ns = SETTINGS.ttl_ns
    asking(node)


def test_a_purge_drops_the_copy() -> None:
    """After a purge the store is asked."""
    node, _ = a_node()
    advance(asking(node), Found(OLD, 7))
    purge(node)
    asking(node)


def test_a_purge_spoils_the_fills_under_way() -> None:
    """What was asked for before a purge is served to who asked, and not kept."""
    node, _ = a_node()
    read = asking(node)
    purge(node)
    assert advance(read, Found(OLD, 7)) == OLD.value
    assert node.copies == {}


def test_a_fill_that_began_after_the_purge_is_kept() -> None:
    """A purge spoils the fills that it meets, and none of the later ones."""
    node, _ = a_node()
    before = asking(node)
    purge(node)
    after = asking(node)
    advance(after, Found(NEW, 8))
    advance(before, Found(OLD, 7))
    assert node.copies["x"].record == NEW


def test_an_older_record_does_not_take_the_place_of_a_newer_one() -> None:
    """Of two fills the one with the newer record is kept, whichever comes last."""
    node, _ = a_node()
    first, second = asking(node), asking(node)
    advance(second, Found(NEW, 8))
    assert advance(first, Found(OLD, 7)) == OLD.value
    assert node.copies["x"].record == NEW


def test_nothing_is_remembered_of_fills_that_are_over() -> None:
    """A fill that has ended or failed leaves no trace."""
    node, _ = a_node()
    advance(asking(node), Found(OLD, 7))
    purge(node)
    asking(node).close()
    assert node.fills == {}


def test_the_store_is_purged_before_any_copy() -> None:
    """A write commits, deletes in the store, then drops its own copy, and last tells the others."""
    node, _ = a_node()
    advance(asking(node), Found(OLD, 7))
    write = node.write(Value("x", 2, 11))
    advance(write)
    assert advance(write, 2) == Call(STORE, Delete("x"))
    assert "x" in node.copies
    assert advance(write, True) == Call(BUS, Publish(Invalidate("x", 2)))
    assert node.copies == {}
    assert advance(write, 1) is None
