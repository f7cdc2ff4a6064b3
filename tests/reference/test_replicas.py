"""Replicas of values with a time to live: when a value dies, and when a replica may answer."""

from __future__ import annotations

import pytest

from harness.reference.effects import Call, Refused, Sleep
from harness.reference.messages import ORIGIN, Value
from harness.reference.strategies.replicas import DESIGN, Change, Changes, Pull, Replica, ReplicatedOrigin
from tests.reference.workbench import Workbench, advance

SETTINGS = DESIGN.settings
ONE = Value("x", 1, 10)


def test_a_replica_without_data_answers_nothing() -> None:
    """Before its first pull a replica does not know that there is no value."""
    with pytest.raises(Refused):
        advance(Replica(Workbench(SETTINGS)).read("x"))


def test_the_time_that_is_left_counts_from_the_asking() -> None:
    """However long a pull takes, its values die no later than at the source."""
    bench = Workbench(SETTINGS)
    node = Replica(bench)
    node.start()
    pulls = bench.spawned[0]
    bench.now_ns = 1_000
    assert advance(pulls) == Call(ORIGIN, Pull(0), SETTINGS.silence_ns)
    bench.now_ns = 1_400
    assert advance(pulls, Changes(1, (Change(ONE, 500),))) == Sleep(SETTINGS.heartbeat_ns)
    bench.now_ns = 1_499
    assert advance(node.read("x")) == ONE
    bench.now_ns = 1_500
    assert advance(node.read("x")) is None
    assert advance(pulls) == Call(ORIGIN, Pull(1), SETTINGS.silence_ns)


def test_the_source_says_what_is_left_when_it_answers() -> None:
    """A pull is answered with the commits after those that the replica has, and the rest of their time."""
    bench = Workbench(SETTINGS)
    source = ReplicatedOrigin(bench)
    source.commit(Value("y", 1, 9))
    source.commit(ONE)
    pull = source.serve("node-1", Pull(1))
    advance(pull)
    bench.now_ns = 300
    assert advance(pull) == Changes(2, (Change(ONE, SETTINGS.ttl_ns - 300),))
