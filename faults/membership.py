"""``membership``: clients of a pool take nodes for no members of it, although nothing is wrong with them.

    [[faults]]
    kind = "membership"
    targets = ["cache-3"]               # names or roles: who leaves the pool
    whom = "all"                        # which sessions hear of it: "all"; or "some", every other one: their views are skewed
    flap = "300ms"                      # they come and go this often; without it they are out until the episode's end
    every = "10s"
    lasts = "3s"
    at_most = 1                         # how many nodes an episode; one without it

**What it does to a cache.** A list of servers is changed, a health check flaps, a deployment reaches half of the clients: keys
move to other nodes, and the node that they left keeps what it has. When it is back, it serves what was superseded meanwhile.
While only some clients know, two nodes serve the same key, each with the writes of its own clients, for as long as it lasts.

**How it is proven.** The drivers count the operations that they sent elsewhere because their node was out: at least one by the
start's proof, and near the end more than by then.

**What it is not.** A fault of a node or of the network: the node answers whoever asks it. Only clients that decide by themselves
who is in the pool (``memcached-pool``) can be struck.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

from faults.base import Target
from faults.clients import ClientStrike
from faults.nodes import NodeOptions
from faults.targets import nodes_of
from harness.candidates.base import Cluster
from harness.plan import Duration, FaultSpec
from harness.runtimes.base import Capability
from harness.topology import ROUTED, Node, Topology


class MembershipOptions(NodeOptions):
    """Options of ``membership``."""

    whom: Literal["all", "some"] = "all"
    flap: Duration = 0
    """How long they are out, and then in, in turns; 0 for out until the end."""


class Membership:
    """Leaves nodes out."""

    def __init__(self, spec: FaultSpec) -> None:
        self.spec = spec
        self.options = spec.read(MembershipOptions)
        self.needs: frozenset[Capability] = frozenset()
        if self.options.flap * 2 > spec.lasts:
            raise spec.error(
                "nodes that flap have no time to come back",
                key="flap",
                fix="let the episode last at least twice as long as flap",
            )

    def targets(self, topology: Topology) -> tuple[Node, ...]:
        """The nodes that it may strike. Raises ``PlanError`` where clients do not decide who is a member."""
        if ROUTED not in topology.writable or any(node.protocol != "memcached" for node in topology.nodes):
            raise self.spec.error(
                "the clients of this candidate do not decide who is a member", key="kind", fix="it is a fault of memcached-pool"
            )
        found = nodes_of(self.spec, topology, self.options.targets)
        if (self.spec.at_most or 1) >= len(topology.nodes):
            raise self.spec.error("nobody would be left in the pool", key="at_most", fix="leave one node in, or more")
        return found

    def strike(self, cluster: Cluster, targets: Sequence[Target]) -> MembershipStrike:
        """Some of them leave."""
        return MembershipStrike(cluster, [t for t in targets if isinstance(t, Node)], self.options, self.spec.lasts)


class MembershipStrike(ClientStrike):
    """One change of the pool and back; see ``faults.base.Strike``."""

    done = "sent elsewhere"

    def __init__(self, cluster: Cluster, nodes: Sequence[Node], options: MembershipOptions, lasts_ns: int) -> None:
        super().__init__(cluster, nodes, lasts_ns)
        self._every = options.whom == "all"
        self._flap_s = options.flap / 1e9
        self._flapping: asyncio.Task[None] | None = None

    def count(self) -> int:
        """As the drivers count."""
        return self._clients.diverted()

    async def apply(self) -> None:
        """Leave them out, and take them in again in turns if they flap."""
        self._leave_out(self._nodes)
        if self._flap_s:
            self._flapping = asyncio.create_task(self._flap())

    async def heal(self) -> None:
        """Take everybody in again."""
        if self._flapping is not None:
            self._flapping.cancel()
            with suppress(asyncio.CancelledError):
                await self._flapping
        self._leave_out([])

    async def _flap(self) -> None:
        while True:
            await asyncio.sleep(self._flap_s)
            self._leave_out([])
            await asyncio.sleep(self._flap_s)
            self._leave_out(self._nodes)

    def _leave_out(self, nodes: Sequence[Node]) -> None:
        self._clients.leave_out([node.index for node in nodes], every=self._every)
