"""Partitions by a rule, held against what the rule says."""

from __future__ import annotations

from itertools import permutations
from random import Random

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faults import FAULTS, schedule
from faults.groups import Groups, Side, cut_links
from harness.errors import PlanError
from harness.runtimes.base import Capability
from harness.topology import Link, Node, Topology
from tests.faults.fake_cluster import FLEET, MS, spec


def mesh(count: int) -> Topology:
    """Nodes that all open links to each other, half of them primaries, and clients of all."""
    nodes = tuple(Node(n, f"n{n}", "primary" if n % 2 == 0 else "replica") for n in range(count))
    links = (*(Link(a.name, b.name) for a, b in permutations(nodes, 2)), *(Link("client", n.name) for n in nodes))
    return Topology(nodes, links, (0,), (0,))


def views(topology: Topology, cut: tuple[Link, ...]) -> dict[str, set[str]]:
    """Whom each node, and the clients, can still talk to; themselves included."""
    seen = {name: {name} for name in ("client", *(node.name for node in topology.nodes))}
    for link in topology.links:
        if link not in cut:
            seen[link.source].add(link.target)
            seen[link.target].add(link.source)
    return seen


def drawn(groups: Groups, count: int, seed: int, side: Side = Side.BOTH) -> dict[str, set[str]]:
    """Who sees whom after one draw on a mesh."""
    topology = mesh(count)
    return views(topology, cut_links(groups, side, topology.nodes, topology.links, Random(seed)))


seeds = st.integers(0, 2**32)


@given(st.integers(4, 12), seeds)
def test_on_a_ring_everybody_sees_a_majority_and_no_two_the_same(count, seed):
    """The partition that no leader survives for long: it is symmetric, and nobody sees everybody unless four cannot help it."""
    seen = drawn(Groups.RING, count, seed)
    seen.pop("client")
    nodes = {name: frozenset(others - {"client"}) for name, others in seen.items()}
    assert all(len(view) > count / 2 for view in nodes.values())
    assert len(set(nodes.values())) == count
    assert all((a in nodes[b]) == (b in nodes[a]) for a in nodes for b in nodes)


@given(st.integers(2, 12), seeds, st.sampled_from(Side))
def test_halves_are_two_islands_and_clients_are_where_the_plan_has_them(count, seed, side):
    """Sizes differ by one at most; within a half everybody sees everybody."""
    seen = drawn(Groups.HALVES, count, seed, side)
    clients = seen.pop("client")
    halves = {frozenset(view - {"client"}) for view in seen.values()}
    assert len(halves) == 2
    sizes = sorted(map(len, halves))
    assert sum(sizes) == count
    assert sizes[1] - sizes[0] == count % 2
    reached = clients - {"client"}
    if side is Side.BOTH:
        assert len(reached) == count
    else:
        assert reached in halves
        assert len(reached) == sizes[side is Side.LARGER]


@given(st.integers(3, 12), seeds)
def test_a_bridge_sees_both_halves_and_they_not_each_other(count, seed):
    """Without the bridge there are two islands, with it one."""
    seen = drawn(Groups.BRIDGE, count, seed)
    seen.pop("client")
    graph = nx.Graph([(a, b) for a, view in seen.items() for b in view - {"client"}])
    bridges = [name for name, view in seen.items() if len(view - {"client"}) == count]
    assert len(bridges) == 1
    assert nx.is_connected(graph)
    graph.remove_nodes_from(bridges)
    assert nx.number_connected_components(graph) == 2


@given(st.integers(2, 12), seeds, st.sampled_from([Groups.ISOLATE_ONE, Groups.PRIMARY_FROM_REST]))
def test_one_is_alone_and_the_clients_may_be_with_it(count, seed, groups):
    """The rest is whole; where it is a primary that is cut off, a primary it is."""
    topology = mesh(count)
    seen = drawn(groups, count, seed, Side.SMALLER)
    (alone,) = seen.pop("client") - {"client"}
    assert seen[alone] == {alone, "client"}
    assert all(view == set(seen) - {alone} for name, view in seen.items() if name != alone)
    if groups is Groups.PRIMARY_FROM_REST:
        assert alone in {node.name for node in topology.named("primary")}


def partition(**options: object):
    return FAULTS.load("partition")(spec("partition", **options))


def test_each_episode_draws_anew_and_the_seed_decides():
    """Twenty episodes do not cut the same links; the same seed does."""
    fault = partition(groups="isolate-one", every="1s")
    planned = schedule([fault], mesh(5), 3, 20_000 * MS)
    assert len({e.targets for e in planned}) > 1
    assert all(len(e.targets) == 8 for e in planned), "four others, links both ways"
    assert schedule([fault], mesh(5), 3, 20_000 * MS) == planned


def test_a_draw_avoids_what_another_fault_holds():
    """A node that is paused is not half of what a partition proves: another one is isolated, or nobody."""
    pause = FAULTS.load("pause")(spec("pause", targets="replica-1", every="1s", lasts="400ms"))
    both = schedule([pause, partition(groups="isolate-one", every="1s", lasts="200ms", after="100ms")], FLEET, 1, 9_000 * MS)
    cuts = [e for e in both if e.kind == "partition"]
    assert {e.targets for e in cuts} == {(Link("replica-2", "primary"),)}
    with pytest.raises(PlanError, match="never finds a free target"):
        schedule([pause, partition(groups="primary-from-rest", every="1s", lasts="200ms", after="100ms")], FLEET, 1, 9_000 * MS)


def test_only_those_among_fall_apart():
    """Nodes that are not named keep all their links."""
    fault = partition(groups="halves", among=("n0", "n1"))
    assert fault.targets(mesh(4)) == (Link("n0", "n1"), Link("n1", "n0"))
    assert fault.needs == {Capability.CUT}
    assert partition(groups="halves", clients="smaller").needs == {Capability.CUT, Capability.CUT_CLIENTS}


@pytest.mark.parametrize(
    ("topology", "options", "what"),
    [
        (FLEET, {"groups": "ring-of-majorities"}, "takes 4 nodes"),
        (FLEET, {"groups": "halves", "among": "primary"}, "takes 2 nodes"),
        (FLEET, {"groups": "primary-from-rest", "among": "replicas"}, "finds no primary"),
        (FLEET, {"groups": "halves", "among": "replicas"}, "no link among replica-1, replica-2"),
        (FLEET, {"groups": "halves", "among": "sentinels"}, 'no node or role "sentinels"'),
        (mesh(4), {"groups": "halves", "way": "forward"}, "would cut both ways"),
    ],
)
def test_groups_that_a_topology_does_not_have_are_errors(topology, options, what):
    """A rule that would cut nothing, or something else than it says, is refused."""
    with pytest.raises(PlanError, match=what):
        partition(**options).targets(topology)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"between": ("primary", "replicas"), "groups": "halves"}, "either"),
        ({"between": ("primary", "replicas"), "clients": "smaller"}, "belong to groups"),
        ({"groups": "quarters"}, "'quarters' should be"),
        ({"groups": "ring-of-majorities", "clients": "larger"}, "no sides"),
        ({"groups": "halves", "at_most": 1}, "leaves links of a group uncut"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, what):
    """In words, before anything starts."""
    with pytest.raises(PlanError, match=what):
        partition(**options)
