"""Partitions by a rule: who still sees whom, drawn anew for each episode. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import combinations
from random import Random

from faults.targets import CLIENT
from harness.topology import Link, Node

Pair = frozenset[str]
"""Two parties, by name; clients are one party."""


class Groups(StrEnum):
    """How the nodes fall apart."""

    HALVES = "halves"
    """Into two halves, or nearly."""
    ISOLATE_ONE = "isolate-one"
    """One node sees no other."""
    PRIMARY_FROM_REST = "primary-from-rest"
    """A primary sees no other."""
    BRIDGE = "bridge"
    """Into two halves, and one node that sees both."""
    RING = "ring-of-majorities"
    """Every node sees a majority, and no two of them the same."""


LEAST = {Groups.BRIDGE: 3, Groups.RING: 4}
"""How many nodes it takes; two for the others."""

PRIMARY = "primary"


class Side(StrEnum):
    """Where the clients are when the nodes fall apart in two."""

    BOTH = "both"
    """They reach all nodes."""
    LARGER = "larger"
    SMALLER = "smaller"
    """Of halves of the same size, either."""


def cut_links(groups: Groups, side: Side, nodes: Sequence[Node], links: Sequence[Link], random: Random) -> tuple[Link, ...]:
    """The links that are cut when ``nodes`` fall apart as ``groups`` has it; one draw. Who is not among them sees everybody."""
    if groups is Groups.RING:
        apart = _apart_on_a_ring([node.name for node in nodes], random)
    else:
        smaller, larger = _sides(groups, nodes, random)
        apart = {frozenset((one, other)) for one in smaller for other in larger}
        if side is not Side.BOTH:
            apart |= {frozenset((CLIENT, name)) for name in (larger if side is Side.SMALLER else smaller)}
    return tuple(link for link in links if frozenset((link.source, link.target)) in apart)


def _sides(groups: Groups, nodes: Sequence[Node], random: Random) -> tuple[list[str], list[str]]:
    """The names on the smaller and on the larger side; a bridge is on neither."""
    order = random.sample(nodes, len(nodes))
    if groups is Groups.PRIMARY_FROM_REST:
        order.sort(key=lambda node: node.role != PRIMARY)  # whichever primary was drawn first
    names = [node.name for node in order]
    if groups is Groups.BRIDGE:
        names.pop()
    size = len(names) // 2 if groups in (Groups.HALVES, Groups.BRIDGE) else 1
    return names[:size], names[size:]


def _apart_on_a_ring(names: Sequence[str], random: Random) -> set[Pair]:
    """Pairs that do not see each other when everybody on a shuffled ring sees as many to either side as make a majority."""
    count = len(names)
    reach = (count // 2 + 1) // 2
    ring = random.sample(names, count)
    apart = set()
    for (here, one), (there, other) in combinations(enumerate(ring), 2):
        distance = there - here
        if min(distance, count - distance) > reach:
            apart.add(frozenset((one, other)))
    return apart
