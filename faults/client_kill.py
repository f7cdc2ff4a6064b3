"""``client-kill``: a node closes all connections of one type, once, at the episode's start.

    [[faults]]
    kind = "client-kill"
    targets = ["primary"]               # names or roles
    clients = "pubsub"                  # normal | pubsub | replica | master
    every = "10s"
    lasts = "1s"
    at_most = 1                         # how many an episode; one without it

**What it does to a cache.** An orderly loss of connections: both ends learn of it at once. Subscribers lose what is published
until they have subscribed again, and whoever cached by the word of such a connection must forget all of it. Operations in
flight on a normal connection are answered by nobody. Replicas come back and ask for what they missed.

**How it is proven.** The node lists the connections of that type before, and none of them after, at the start and near the end;
those that came back meanwhile are new ones.

**What it is not.** A cut: the network is whole, and reconnecting succeeds at once. It is over when it is applied; the episode
goes on until its intended end to say what is put down to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from faults.administering import AdminFault, AdminStrike, client_ids
from faults.base import Target, UnprovenError
from faults.nodes import NodeOptions
from harness.candidates.base import Cluster
from harness.candidates.redis_admin import Admin
from harness.plan import FaultSpec
from harness.topology import Node


class ClientKillOptions(NodeOptions):
    """Options of ``client-kill``."""

    clients: Literal["normal", "pubsub", "replica", "master"] = "normal"


class ClientKill(AdminFault):
    """Makes nodes close connections."""

    def __init__(self, spec: FaultSpec) -> None:
        self.spec = spec
        self.options: ClientKillOptions = spec.read(ClientKillOptions)

    def strike(self, cluster: Cluster, targets: Sequence[Target]) -> ClientKillStrike:
        """The end of such connections at some of them."""
        return ClientKillStrike(cluster, targets, self.spec.lasts, self.options.clients)


class ClientKillStrike(AdminStrike):
    """One end of connections; see ``faults.base.Strike``."""

    def __init__(self, cluster: Cluster, targets: Sequence[Target], lasts_ns: int, kind: str) -> None:
        super().__init__(cluster, targets, lasts_ns)
        self._kind = kind
        self._before: dict[Node, frozenset[str]] = {}

    async def look(self, node: Node, admin: Admin) -> str:
        """There are such connections."""
        before = await client_ids(admin, self._kind)
        if not before:
            raise UnprovenError(f"{node.name} has no {self._kind} connection that it could close")
        return f"{node.name} had {len(before)} {self._kind} connections"

    async def tell(self, node: Node, admin: Admin) -> None:
        """List them, and close them."""
        self._before[node] = await client_ids(admin, self._kind)
        await admin.call("CLIENT", "KILL", "TYPE", self._kind)

    async def see(self, node: Node, admin: Admin) -> str:
        """None of them is left."""
        before, now = self._before[node], await client_ids(admin, self._kind)
        if not before:
            raise UnprovenError(f"{node.name} had no {self._kind} connection when it was told to close them")
        if left := before & now:
            raise UnprovenError(f"the kill did not bite: {node.name} still has {len(left)} of {len(before)} connections")
        return f"none of {len(before)} {self._kind} connections of {node.name} is left; {len(now)} new ones"
