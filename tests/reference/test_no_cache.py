"""No cache."""

from __future__ import annotations

import pytest

from harness.reference.effects import Call, Unreachable
from harness.reference.messages import ORIGIN, Commit, Fetch, Record, Value
from harness.reference.strategies.no_cache import DESIGN, NoCache
from tests.reference.workbench import Workbench, advance

VALUE = Value("x", 1, 10)


def test_every_read_asks_the_source():
    """Also the second one."""
    node = NoCache(Workbench(DESIGN.settings))
    for _ in range(2):
        read = node.read("x")
        assert advance(read) == Call(ORIGIN, Fetch("x"))
        assert advance(read, Record(VALUE, 1)) == VALUE


def test_without_the_source_there_is_no_answer():
    """Neither to reads nor to writes."""
    node = NoCache(Workbench(DESIGN.settings))
    for flow, call in ((node.read("x"), Fetch("x")), (node.write(VALUE), Commit(VALUE))):
        assert advance(flow) == Call(ORIGIN, call)
        with pytest.raises(Unreachable):
            flow.throw(Unreachable())


def test_nothing_is_ever_stale():
    """Not even while something is broken."""
    promised = DESIGN.promise(DESIGN.settings, 500_000)
    assert promised.linearizable
    assert promised.staleness.steady == 0
    assert {bound.of(10**12) for bound in promised.staleness.during.values()} == {0}
