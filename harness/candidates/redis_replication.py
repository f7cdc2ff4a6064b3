"""``redis-replication``: one primary and its replicas, over asynchronous replication.

The primary acknowledges a write before any replica has it. Reads at replicas are therefore stale by the replication lag: a
fraction of a millisecond on a good day, the length of the fault and the time to reconnect when a link is cut, all of the data
set's age while a replica that restarted copies it anew. Reads at the primary alone are as good as ``redis-single``. There is no
fail-over here: a killed primary is written to again when it is back. If it comes back empty, its replicas follow it and forget
everything, too.

Options: ``server = "valkey" | "redis"``, ``replicas = 2`` (1 to 10), ``read_from = "any" | "primary" | "replicas"``,
``persistence = false | true``.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from harness.candidates.redis_server import RedisServers, ServerOptions
from harness.plan import CandidateSpec
from harness.topology import Link, Node, Topology


class ReplicationOptions(ServerOptions):
    """Options of ``redis-replication``."""

    replicas: int = Field(default=2, ge=1, le=10)
    read_from: Literal["primary", "replicas", "any"] = "any"


class RedisReplication(RedisServers):
    """Nodes ``primary``, ``replica-1``, ``replica-2`` and so on; each replica opens a link to the primary."""

    def __init__(self, spec: CandidateSpec) -> None:
        options = spec.read(ReplicationOptions)
        replicas = tuple(Node(index, f"replica-{index}", "replica") for index in range(1, options.replicas + 1))
        nodes = (Node(0, "primary", "primary"), *replicas)
        links = (*(Link(replica.name, "primary") for replica in replicas), *(Link("client", node.name) for node in nodes))
        everyone = tuple(node.index for node in nodes)
        readable = {"primary": (0,), "replicas": everyone[1:], "any": everyone}[options.read_from]
        super().__init__(options, Topology(nodes, links, writable=(0,), readable=readable))
