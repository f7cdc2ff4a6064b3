"""From the names in a plan to nodes and links of a topology, and the errors for names that lead nowhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import BeforeValidator, Field

from faults.offices import office
from harness.errors import suggestion
from harness.plan import FaultSpec
from harness.runtimes.base import Capability
from harness.topology import Link, Node, Topology

CLIENT = "client"

Names = Annotated[
    tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value), Field(min_length=1)
]
"""Names of nodes, roles, roles' plurals, or ``all``; on a side of a link also ``client``, as targets of a fault on nodes also
``current-primary`` and the like. One name may stand alone.
"""


def nodes_of(spec: FaultSpec, topology: Topology, names: Iterable[str], key: str = "targets") -> tuple[Node, ...]:
    """The nodes that ``names`` mean, each once, in the topology's order; raises ``PlanError`` for a name that means none.

    As a target, ``current-primary`` means whoever is primary when the episode begins (see ``faults.offices``).
    """
    offices = {name: post for name in names if key == "targets" and (post := office(topology, name))}
    found = {node for name in names if name not in offices for node in _known(spec, topology, name, key)}
    return (*(node for node in topology.nodes if node in found), *offices.values())


def links_of(spec: FaultSpec, topology: Topology, between: tuple[Names, Names]) -> tuple[Link, ...]:
    """The links between two sides, each once, in the topology's order; raises ``PlanError`` if there are none."""
    left, right = between
    for name in (*left, *right):
        if name != CLIENT:
            _known(spec, topology, name, "between")
    found = {link for one in left for other in right for link in topology.between(one, other)}
    if not found:
        raise spec.error(
            f"there is no link between {' and '.join(', '.join(side) for side in between)}",
            key="between",
            fix="the links are " + ", ".join(str(link) for link in topology.links),
        )
    return tuple(link for link in topology.links if link in found)


def capabilities_of(
    between: tuple[Names, Names], *, inside: Capability, with_clients: Capability = Capability.CUT_CLIENTS
) -> frozenset[Capability]:
    """What it takes to strike the links between two sides: ``inside`` for those between nodes."""
    to_clients = any(CLIENT in side for side in between)
    among_nodes = all(any(name != CLIENT for name in side) for side in between)
    return frozenset(({with_clients} if to_clients else set()) | ({inside} if among_nodes else set()))


def _known(spec: FaultSpec, topology: Topology, name: str, key: str) -> tuple[Node, ...]:
    nodes = topology.named(name)
    if not nodes:
        known = sorted({node.role for node in topology.nodes} | {node.name for node in topology.nodes})
        advice = suggestion(name, [*known, *([CLIENT] if key == "between" else [])])
        raise spec.error(f'this candidate has no node or role "{name}"', key=key, why=f"it has {', '.join(known)}", fix=advice)
    return nodes
