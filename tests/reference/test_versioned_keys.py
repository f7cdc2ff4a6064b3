"""Versioned keys: what is served for a pointer, and what a sweep leaves."""

from __future__ import annotations

from harness.reference.effects import Call
from harness.reference.messages import ORIGIN, Fetch, Record, Stamp, Value
from harness.reference.strategies.versioned_keys import DESIGN, VersionedKeys
from tests.reference.workbench import Workbench, advance

OLD, NEW = Record(Value("x", 1, 10), 1), Record(Value("x", 2, 11), 2)


def a_node() -> VersionedKeys:
    """A node that has two generations of x."""
    node = VersionedKeys(Workbench(DESIGN.settings))
    node.entries = {("x", 1): OLD, ("x", 2): NEW}
    return node


def test_the_pointer_at_the_source_chooses_the_entry() -> None:
    """A read asks for the pointer each time, and serves the generation that it points to."""
    node = a_node()
    for generation, record in ((1, OLD), (2, NEW)):
        read = node.read("x")
        assert advance(read) == Call(ORIGIN, Stamp("x"))
        assert advance(read, generation) == record.value


def test_what_is_fetched_is_kept_under_its_own_generation() -> None:
    """A record that is newer than the pointer which was read is served and kept as what it is."""
    node = a_node()
    node.entries = {}
    read = node.read("x")
    advance(read)
    assert advance(read, 1) == Call(ORIGIN, Fetch("x"))
    assert advance(read, NEW) == NEW.value
    assert node.entries == {("x", 2): NEW}


def test_a_sweep_leaves_what_was_asked_for() -> None:
    """An entry that nobody asks for between two sweeps is dropped: old generations do not fill the memory."""
    node = a_node()
    for _ in range(2):
        read = node.read("x")
        advance(read)
        advance(read, 2)
        node.sweep()
        assert list(node.entries) == [("x", 2)]
    node.sweep()
    assert node.entries == {}
