"""The candidates' topologies, and what a plan may ask of them."""

from __future__ import annotations

import pytest

from harness.candidates import CANDIDATES
from harness.errors import PlanError
from harness.plan import CandidateSpec
from harness.topology import Link


def candidate(kind: str, **options: object):
    return CANDIDATES.load(kind)(CandidateSpec.model_validate({"kind": kind, **options}))


def test_a_single_server_is_written_and_read_by_all():
    """One node, one link."""
    topology = candidate("redis-single").topology
    assert [(n.name, n.role) for n in topology.nodes] == [("primary", "primary")]
    assert topology.links == (Link("client", "primary"),)
    assert topology.writable == topology.readable == (0,)


@pytest.mark.parametrize(("read_from", "readable"), [("any", (0, 1, 2, 3)), ("primary", (0,)), ("replicas", (1, 2, 3))])
def test_replicas_follow_the_primary(read_from, readable):
    """Each replica opens a link to the primary; clients write there, and read where the plan says."""
    topology = candidate("redis-replication", replicas=3, read_from=read_from).topology
    assert [n.name for n in topology.nodes] == ["primary", "replica-1", "replica-2", "replica-3"]
    assert [n.index for n in topology.nodes] == [0, 1, 2, 3]
    assert topology.between("primary", "replicas") == tuple(Link(f"replica-{i}", "primary") for i in (1, 2, 3))
    assert len(topology.between("client", "all")) == 4
    assert topology.writable == (0,)
    assert topology.readable == readable


@pytest.mark.parametrize(
    ("kind", "options", "what"),
    [
        ("redis-single", {"replicas": 2}, 'unknown key "replicas"'),
        ("redis-single", {"server": "memcached"}, "'memcached' is not possible here"),
        ("redis-replication", {"replicas": 0}, "greater than or equal to 1"),
        ("redis-replication", {"replicas": 11}, "less than or equal to 10"),
        ("redis-replication", {"read_from": "replica"}, "'replica' is not possible here"),
        ("redis-replication", {"image": "redis:7.2"}, 'unknown key "image"'),
        ("redis-replication", {"persistence": "yes"}, "should be a valid boolean"),
    ],
)
def test_wrong_options_are_refused(kind, options, what):
    """A plan with an option that is not there, or a value that cannot be, is no plan."""
    with pytest.raises(PlanError, match=what):
        candidate(kind, **options)
