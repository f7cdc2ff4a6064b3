"""Targets by the role that somebody has when an episode begins: ``current-primary``, where roles move.

Until then an *office* stands for whoever it will be: a node that the topology does not have, and that clashes with every other
target, for it may turn out to be any of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from faults.base import Target, UnprovenError
from harness.candidates.abilities import Roles
from harness.candidates.base import Cluster
from harness.topology import Node, Topology

PREFIX = "current-"
_OPEN = -1


def office(topology: Topology, name: str) -> Node | None:
    """The office that ``name`` means in a plan; None if it means none."""
    role = name.removeprefix(PREFIX)
    holders = [node for node in topology.nodes if node.role == role]
    return Node(_OPEN, name, role, holders[0].protocol, holders[0].port) if name != role and holders else None


def is_office(target: Target) -> bool:
    """Whether ``target`` stands for whoever it will be."""
    return isinstance(target, Node) and target.index == _OPEN


async def filled(cluster: Cluster, targets: Sequence[Target]) -> tuple[Target, ...]:
    """``targets`` with the nodes that hold the offices now, each once; raises ``UnprovenError`` if nobody does.

    Where several say that they do, it is the first one that is not a target yet.
    """
    found: list[Target] = [target for target in targets if not is_office(target)]
    for target in targets:
        if isinstance(target, Node) and is_office(target):
            found.append(await _holder(cluster, target, found))
    return tuple(found)


async def _holder(cluster: Cluster, wanted: Node, taken: Sequence[Target]) -> Node:
    if not isinstance(cluster.candidate, Roles):
        raise UnprovenError(f"this candidate cannot tell who is {wanted.role} now")
    holders = await cluster.candidate.current(wanted.role)
    nodes = {node.name: node for node in cluster.topology.nodes}
    for holder in holders:
        if nodes[holder] not in taken:
            return nodes[holder]
    raise UnprovenError(f"nobody says that he is {wanted.role}")
