"""``output-buffer``: a node tolerates next to no backlog on connections of one class, until the episode's end.

    [[faults]]
    kind = "output-buffer"
    targets = ["primary"]               # names or roles
    clients = "pubsub"                  # normal | pubsub | replica
    limit = 1024                        # bytes that a connection may be behind before the node closes it
    every = "10s"
    lasts = "2s"
    at_most = 1                         # how many an episode; one without it

**What it does to a cache.** What a burst does to slow readers, without the burst: the node drops whoever is behind. A subscriber
that is dropped misses invalidations until it is back, and need not notice. A replica that is dropped asks for what it missed, or
for everything if the backlog has no more of it, and may be dropped again while it is given that.

**How it is proven.** A connection of that class is sent more than the limit at once, and is closed for it, at the start and near
the end: the harness's own for ``normal`` (an ECHO) and ``pubsub`` (a message on a channel of its own). For ``replica`` it is the
real ones, by a message that replicates; there the server's limit is never below its replication backlog, which shrinks with it.
With the limits of before, the same was sent without harm.

**What it is not.** A slow network. Connections that keep up never notice, so under a light load nothing else may happen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Literal

from pydantic import Field

from faults.administering import AdminFault, AdminStrike, administered, client_ids, setting
from faults.base import Target, UnprovenError
from faults.nodes import NodeOptions
from harness.candidates.base import Cluster
from harness.candidates.redis_admin import Admin
from harness.candidates.redis_probes import PREFIX
from harness.plan import FaultSpec
from harness.topology import Node

_CHANNEL = f"{PREFIX}output-buffer"
_BEYOND = 256 << 10
"""How much more than the limit is sent at once: more than any reply buffer of fixed size."""
_LEAST_BACKLOG = 16 << 10
_POLL_S = 0.005
_LIMITS = "client-output-buffer-limit"


class OutputBufferOptions(NodeOptions):
    """Options of ``output-buffer``."""

    clients: Literal["normal", "pubsub", "replica"] = "pubsub"
    limit: Annotated[int, Field(ge=1, le=1 << 20)] = 1024


class OutputBuffer(AdminFault):
    """Makes nodes drop slow readers."""

    def __init__(self, spec: FaultSpec) -> None:
        self.spec = spec
        self.options: OutputBufferOptions = spec.read(OutputBufferOptions)

    def strike(self, cluster: Cluster, targets: Sequence[Target]) -> OutputBufferStrike:
        """A tight limit at some of them."""
        return OutputBufferStrike(cluster, targets, self.spec.lasts, self.options)


class OutputBufferStrike(AdminStrike):
    """One tight limit; see ``faults.base.Strike``."""

    def __init__(self, cluster: Cluster, targets: Sequence[Target], lasts_ns: int, options: OutputBufferOptions) -> None:
        super().__init__(cluster, targets, lasts_ns)
        self._cluster = cluster
        self._class = options.clients
        self._limit = options.limit
        self._before: dict[Node, dict[str, str]] = {}

    async def look(self, node: Node, admin: Admin) -> str:
        """What will be too much does no harm yet."""
        await self._remember(node, admin)
        closed, of = await self._provoke(node, admin)
        if not of:
            raise UnprovenError(f"{node.name} has no {self._class} connection that it could close")
        if closed:
            raise UnprovenError(
                f"{node.name} closed {closed} {self._class} connections for {self._size} bytes with its own limits"
            )
        return f"{node.name} sent {self._size} bytes at once to a {self._class} connection"

    async def tell(self, node: Node, admin: Admin) -> None:
        """Set the limits."""
        await self._remember(node, admin)
        if self._class == "replica":
            await admin.call("CONFIG", "SET", "repl-backlog-size", str(max(_LEAST_BACKLOG, self._limit)))
        await admin.call("CONFIG", "SET", _LIMITS, f"{self._class} {self._limit} 0 0")

    async def see(self, node: Node, admin: Admin) -> str:
        """What was no harm before is now."""
        closed, of = await self._provoke(node, admin)
        if of and not closed:
            raise UnprovenError(f"the limit did not bite: {node.name} sent {self._size} bytes to a {self._class} connection")
        if not of:
            return f"{node.name} has no {self._class} connection left"
        return f"{node.name} closed {closed} of {of} {self._class} connections that were to be sent {self._size} bytes"

    async def untell(self, node: Node, admin: Admin) -> None:
        """Set the limits of before."""
        for name, value in self._before.get(node, {}).items():
            await admin.call("CONFIG", "SET", name, value)

    async def regard(self, node: Node, admin: Admin) -> str:
        """Its limits."""
        return f"the limits of {node.name} are {await setting(admin, _LIMITS)}"

    @property
    def _size(self) -> int:
        return self._limit + _BEYOND

    async def _remember(self, node: Node, admin: Admin) -> None:
        """What to set again, as it was before the first change."""
        if node not in self._before:
            names = (_LIMITS, "repl-backlog-size") if self._class == "replica" else (_LIMITS,)
            self._before[node] = {name: await setting(admin, name) for name in names}

    async def _provoke(self, node: Node, admin: Admin) -> tuple[int, int]:
        """Send too much at once; how many of how many connections were closed for it."""
        if self._class == "replica":
            ids = await client_ids(admin, "replica")
            await admin.call("PUBLISH", _CHANNEL, "x" * self._size)
            return await self._closed(admin, ids), len(ids)
        witness = administered(self._cluster, node)
        try:
            own = frozenset({str(await witness.call("CLIENT", "ID"))})
            if self._class == "pubsub":
                await witness.call("SUBSCRIBE", _CHANNEL)
                await admin.call("PUBLISH", _CHANNEL, "x" * self._size)
            else:
                with suppress(ConnectionError):
                    await witness.call("ECHO", "x" * self._size)
            return await self._closed(admin, own), len(own)
        finally:
            witness.close()

    async def _closed(self, admin: Admin, ids: frozenset[str]) -> int:
        """How many of the connections are gone, as soon as one is, or the time for it is over."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self.proof_ns / 2e9
        while True:
            gone = len(ids - await client_ids(admin, self._class))
            if gone or loop.time() > give_up:
                return gone
            await asyncio.sleep(_POLL_S)
