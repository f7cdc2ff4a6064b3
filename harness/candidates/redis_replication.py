"""``redis-replication``: one primary and its replicas, over asynchronous replication.

The primary acknowledges a write before any replica has it. Reads at replicas are therefore stale by the replication lag: a
fraction of a millisecond on a good day, the length of the fault and the time to reconnect when a link is cut, all of the data
set's age while a replica that restarted copies it anew. Reads at the primary alone are as good as ``redis-single``. There is no
fail-over here: a killed primary is written to again when it is back. If it comes back empty, its replicas follow it and forget
everything, too.

Options: ``server = "valkey" | "redis"``, ``replicas = 2`` (1 to 10), ``read_from = "any" | "primary" | "replicas"``,
``persistence = false | true``. Who is let in: ``tls = false | true`` (the Valkey of the wheel has none), ``username`` (of an
ACL), ``password_env`` (the environment variable with the password).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from harness.candidates.asking import UnusableAnswerError
from harness.candidates.redis_server import RedisServers, ServerOptions
from harness.plan import CandidateSpec
from harness.topology import Link, Node, Topology

PRIMARY = "primary"

_ORDERLY_MS = "2000"
"""How long an orderly fail-over may wait for the replica to have everything."""


class ReplicationOptions(ServerOptions):
    """Options of ``redis-replication``."""

    replicas: int = Field(default=2, ge=1, le=10)
    read_from: Literal["primary", "replicas", "any"] = "any"


class RedisReplication(RedisServers):
    """Nodes ``primary``, ``replica-1``, ``replica-2`` and so on; each replica opens a link to the primary."""

    failovers = frozenset({"orderly", "force"})

    def __init__(self, spec: CandidateSpec) -> None:
        options = spec.read(ReplicationOptions)
        replicas = tuple(Node(index, f"replica-{index}", "replica") for index in range(1, options.replicas + 1))
        nodes = (Node(0, "primary", "primary"), *replicas)
        links = (*(Link(replica.name, "primary") for replica in replicas), *(Link("client", node.name) for node in nodes))
        everyone = tuple(node.index for node in nodes)
        readable = {"primary": (0,), "replicas": everyone[1:], "any": everyone}[options.read_from]
        super().__init__(options, Topology(nodes, links, writable=(0,), readable=readable))

    async def fail_over(self, node: str, how: str) -> str:  # noqa: ARG002 - there is one primary
        """See ``harness.candidates.abilities.FailsOver``: the first replica takes over; clients go on asking ``primary``.

        The others follow the new primary at its own address, past the links of the topology.
        """
        primaries, replicas = await self.current("primary"), await self.current("replica")
        if not primaries or not replicas:
            raise UnusableAnswerError("there is no primary, or no replica that could take over")
        old, new = primaries[0], replicas[0]
        host, port = self._running.endpoint(new)
        if how == "orderly":
            await self._admins[old].call("FAILOVER", "TO", host, str(port), "TIMEOUT", _ORDERLY_MS)
        else:
            await self._admins[new].call("REPLICAOF", "NO", "ONE")
            await self._admins[old].call("REPLICAOF", host, str(port))
        for name in replicas[1:]:
            await self._admins[name].call("REPLICAOF", host, str(port))
        return old

    async def fall_back(self) -> None:
        """Give the roles back: once ``primary`` has all that the present primary has, it is that again, and all follow it."""
        await self.ready(PRIMARY)
        await self._admins[PRIMARY].call("REPLICAOF", "NO", "ONE")
        for name, link in self._upstream.items():
            host, port = self._running.via(link)
            await self._admins[name].call("REPLICAOF", host, str(port))
