from __future__ import annotations

import pytest

from harness.errors import PlanError
from harness.registry import Registry
from harness.topology import Link, Node, Topology

FLEET = Topology(
    nodes=(Node(0, "primary", "primary"), Node(1, "replica-1", "replica"), Node(2, "replica-2", "replica")),
    links=(Link("replica-1", "primary"), Link("replica-2", "primary"), Link("client", "primary")),
    writable=(0,),
    readable=(0, 1, 2),
)


def test_a_target_is_a_name_a_role_or_the_plural_of_a_role():
    """Plans say `replicas`, `replica-1`, `all`."""
    assert [node.name for node in FLEET.named("replicas")] == ["replica-1", "replica-2"]
    assert [node.name for node in FLEET.named("replica-1")] == ["replica-1"]
    assert len(FLEET.named("all")) == 3
    assert FLEET.named("replika") == ()


def test_links_between_two_groups_are_found_from_either_side():
    """A cut between two groups strikes the links, whichever side opened them."""
    assert FLEET.between("primary", "replicas") == FLEET.between("replicas", "primary") == FLEET.links[:2]
    assert FLEET.between("client", "primary") == (Link("client", "primary"),)
    assert FLEET.between("replica-1", "replica-2") == ()


def test_a_cut_leaves_islands():
    """Nodes that no uncut link joins are islands; clients join nothing."""
    assert FLEET.islands(()) == (("primary", "replica-1", "replica-2"),)
    assert FLEET.islands(FLEET.links[:1]) == (("primary", "replica-2"), ("replica-1",))
    assert FLEET.islands(FLEET.links) == (("primary",), ("replica-1",), ("replica-2",))


def test_a_registry_loads_built_ins_and_named_classes_and_suggests_the_near_name():
    """A name in a plan leads to a class, or to advice."""
    registry = Registry[type]("fault", {"cut": "harness.topology:Link"})
    assert registry.load("cut") is Link
    assert registry.load("harness.topology:Node") is Node
    with pytest.raises(PlanError, match="did you mean"):
        registry.load("cutt")
    with pytest.raises(PlanError, match="cannot be loaded"):
        registry.load("nowhere.at_all:Fault")
