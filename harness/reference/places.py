"""The places of a reference fleet: how many cache nodes there are, what they share, and who talks to whom."""

from __future__ import annotations

from harness.reference.design import Design
from harness.reference.messages import BUS, ORIGIN, STORE
from harness.topology import Link, Node, Topology

CLIENT = "client"
"""The source of the links between clients and nodes."""


def node_names(count: int) -> tuple[str, ...]:
    """The cache nodes of a fleet of ``count``."""
    return tuple(f"node-{number}" for number in range(1, count + 1))


def topology_of(design: Design, count: int) -> Topology:
    """Cache nodes that clients ask, and what the nodes share: origin, bus, store; everybody may talk to everybody."""
    names = node_names(count)
    shared = list(design.shared)
    nodes = [Node(index, name, "node") for index, name in enumerate(names)]
    nodes += [Node(count + index, place, STORE if place in design.stores else place) for index, place in enumerate(shared)]
    links = [Link(CLIENT, name) for name in names]
    links += [Link(name, place) for name in names for place in shared]
    links += [Link(ORIGIN, place) for place in shared if design.origin and place != ORIGIN]
    links += [Link(one, other) for at, one in enumerate(names) for other in names[at + 1 :]] if design.talks else []
    links += [Link(BUS, place) for place in design.stores if design.bus and design.store]
    every = tuple(range(count))
    return Topology(tuple(nodes), tuple(links), writable=every, readable=every)
