"""A cache that is filled by leases: what its nodes do with each answer of the store."""

from __future__ import annotations

import pytest

from harness.reference.effects import Call, Sleep, Unreachable
from harness.reference.messages import ORIGIN, STORE, Commit, Fetch, Record, Value
from harness.reference.store import Busy, Delete, Found, Lease, SetIf, Won
from harness.reference.strategies.lease import DESIGN, LeaseFill
from tests.reference.workbench import Workbench, advance

SETTINGS = DESIGN.settings
OLD, NEW = Record(Value("x", 1, 10), 1), Record(Value("x", 2, 11), 2)
ASKING = Call(STORE, Lease("x", SETTINGS.lease_ns))


def a_node() -> LeaseFill:
    """A node of the design."""
    return LeaseFill(Workbench(SETTINGS))


def test_what_the_store_has_is_served() -> None:
    """A hit costs one question."""
    read = a_node().read("x")
    assert advance(read) == ASKING
    assert advance(read, Found(OLD, 7)) == OLD.value


def test_who_wins_stores_what_it_fetched_before_it_answers() -> None:
    """A filler answers its reader once the store has the value, stored with the token that it won."""
    read = a_node().read("x")
    advance(read)
    assert advance(read, Won(7)) == Call(ORIGIN, Fetch("x"))
    assert advance(read, NEW) == Call(STORE, SetIf("x", NEW, SETTINGS.ttl_ns, 7))
    assert advance(read, True) == NEW.value


def test_a_fill_that_came_too_late_is_not_served() -> None:
    """A filler whose token was worthless asks the store again: what it fetched may be older than what others have seen."""
    read = a_node().read("x")
    advance(read)
    advance(read, Won(7))
    advance(read, OLD)
    assert advance(read, False) == ASKING
    assert advance(read, Found(NEW, 8)) == NEW.value


def test_who_loses_waits_and_asks_again() -> None:
    """A node that may not fill never reads past the store."""
    read = a_node().read("x")
    advance(read)
    assert advance(read, Busy()) == Sleep(SETTINGS.retry_ns)
    assert advance(read) == ASKING


def test_a_write_is_over_once_it_has_deleted() -> None:
    """A write commits, deletes, and answers after both."""
    write = a_node().write(Value("x", 2, 11))
    assert advance(write) == Call(ORIGIN, Commit(Value("x", 2, 11)))
    assert advance(write, 2) == Call(STORE, Delete("x"))
    assert advance(write, True) is None


def test_nobody_reads_past_a_silent_store() -> None:
    """A read fails when the store does not answer."""
    read = a_node().read("x")
    advance(read)
    with pytest.raises(Unreachable):
        read.throw(Unreachable("no reply in time"))
