"""The nodes of a cluster, their roles and links: all that workloads and faults know of a candidate."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import networkx as nx

ROUTED = -1
"""In place of a node's index: wherever the client's own routing leads."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a candidate.

    Attributes:
        index: its place in ``Topology.nodes``.
        name, role: ``replica-1``, ``replica``.
        protocol: what is spoken at its port: ``resp``, ``memcached``, ``http``, ``sql``.
        port: where it listens if it has an address of its own.
        host: its address, if it runs already; empty for a node that the runtime starts.
    """

    index: int
    name: str
    role: str
    protocol: str = "resp"
    port: int = 6379
    host: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A directed connection: ``source`` opens it to ``target`` (both names; a client is ``client``)."""

    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.source}->{self.target}"


@dataclass(frozen=True, slots=True)
class Topology:
    """Nodes, links, and which nodes clients may write to and read from.

    Attributes:
        nodes: all nodes, by index.
        links: the connections between nodes, and from clients to nodes.
        writable, readable: indices into ``nodes``; ``ROUTED`` where clients find their way by themselves.
        direct: why the nodes must reach each other at their own addresses, so that no proxy can stand between them; empty if
            they need not.
        deployment: the file that describes the nodes, where the runtime does not make them itself; empty if it does.
    """

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    writable: tuple[int, ...]
    readable: tuple[int, ...]
    direct: str = ""
    deployment: str = ""

    def named(self, target: str) -> tuple[Node, ...]:
        """The nodes that ``target`` names: a node, a role, or a role's plural; empty if none."""
        return tuple(n for n in self.nodes if target in ("all", n.name, n.role, _plural(n.role)))

    def between(self, left: str, right: str) -> tuple[Link, ...]:
        """The links, either way, between the nodes that ``left`` and ``right`` name."""
        lefts = {node.name for node in self.named(left)} | ({left} if left == "client" else set())
        rights = {node.name for node in self.named(right)} | ({right} if right == "client" else set())
        return tuple(
            link
            for link in self.links
            if (link.source in lefts and link.target in rights) or (link.source in rights and link.target in lefts)
        )

    def islands(self, without: Collection[Link]) -> tuple[tuple[str, ...], ...]:
        """The groups of nodes that are still connected once the links in ``without`` are cut; largest first."""
        graph: nx.Graph[str] = nx.Graph()
        graph.add_nodes_from(node.name for node in self.nodes)
        graph.add_edges_from(
            (link.source, link.target) for link in self.links if link not in without and {link.source, link.target} <= set(graph)
        )
        groups = (tuple(sorted(group)) for group in nx.connected_components(graph))
        return tuple(sorted(groups, key=lambda group: (-len(group), group)))


def _plural(role: str) -> str:
    return f"{role[:-1]}ies" if role.endswith("y") else f"{role}s"
