"""``evict``: a node has too little memory for what it holds, until the episode's end.

    [[faults]]
    kind = "evict"
    targets = ["primary"]               # names or roles
    policy = "allkeys-lru"              # what the server does about it: any maxmemory-policy
    share = 0.5                         # of the memory that its data need: how much is taken away
    every = "20s"
    lasts = "3s"
    at_most = 1                         # how many an episode; one without it

**What it does to a cache.** The server evicts keys to make room, and goes on evicting with every write. Which ones is the
policy's choice: markers, leases and versions of a coherence protocol are keys like any other, and what was only kept in the
cache is gone. With ``noeviction``, or a ``volatile-`` policy and no key that may expire, it refuses writes instead.

**How it is proven.** The server's own counts of evicted keys, or of writes refused for want of memory, have grown since before
the episode; the numbers stand in the evidence. A write of the harness's own makes sure that there is one to make room for.

**What it is not.** A machine without memory: the process itself is not short of any, so that nothing is slow, swapped or killed
(``limit`` does that). Replicas do not evict of their own accord, by default: they follow their primary, and as targets prove
nothing. A few hundred small keys weigh less than a server's buffers: of those all may go, and writes be refused. What a
contract says of ``misses`` decides whether this fault may break it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Literal

from pydantic import Field

from faults.administering import AdminFault, AdminStrike, counted, setting
from faults.base import Target, UnprovenError
from faults.nodes import NodeOptions
from harness.candidates.asking import UnusableAnswerError
from harness.candidates.base import Cluster
from harness.candidates.redis_admin import Admin
from harness.candidates.redis_probes import PREFIX
from harness.plan import FaultSpec
from harness.topology import Node

_SETTINGS = ("maxmemory", "maxmemory-policy")
_COUNTERS = (("stats", "evicted_keys"), ("errorstats", "errorstat_OOM"))
_POLL_S = 0.02


class EvictOptions(NodeOptions):
    """Options of ``evict``."""

    policy: Literal[
        "noeviction",
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
    ] = "allkeys-lru"
    share: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5


class Evict(AdminFault):
    """Takes memory from nodes."""

    def __init__(self, spec: FaultSpec) -> None:
        self.spec = spec
        self.options: EvictOptions = spec.read(EvictOptions)

    def strike(self, cluster: Cluster, targets: Sequence[Target]) -> EvictStrike:
        """Less memory for some of them."""
        return EvictStrike(cluster, targets, self.spec.lasts, self.options)


class EvictStrike(AdminStrike):
    """One shortage of memory; see ``faults.base.Strike``."""

    def __init__(self, cluster: Cluster, targets: Sequence[Target], lasts_ns: int, options: EvictOptions) -> None:
        super().__init__(cluster, targets, lasts_ns)
        self._options = options
        self._counts: dict[Node, list[int]] = {}
        self._settings: dict[Node, dict[str, str]] = {}

    async def look(self, node: Node, admin: Admin) -> str:
        """What it may use, and what it has evicted and refused so far."""
        await self._remember(node, admin)
        self._counts[node] = await _counts(admin)
        used = await admin.info_number("memory", "used_memory")
        return f"{node.name} used {used} bytes of {self._settings[node]['maxmemory']} (0: no limit)"

    async def _remember(self, node: Node, admin: Admin) -> None:
        """What to give back, as it was before the first change."""
        if node not in self._settings:
            self._settings[node] = {name: await setting(admin, name) for name in _SETTINGS}

    async def tell(self, node: Node, admin: Admin) -> None:
        """Leave it less than it uses."""
        await self._remember(node, admin)
        used = await admin.info_number("memory", "used_memory")
        data = await admin.info_number("memory", "used_memory_dataset")
        await admin.call("CONFIG", "SET", "maxmemory-policy", self._options.policy)
        await admin.call("CONFIG", "SET", "maxmemory", str(max(1, used - round(self._options.share * data))))

    async def see(self, node: Node, admin: Admin) -> str:
        """Keys were evicted, or writes refused."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self.proof_ns / 1e9
        while True:
            evicted, refused = (now - before for now, before in zip(await _counts(admin), self._counts[node], strict=True))
            if evicted > 0 or refused > 0:
                break
            if loop.time() > give_up:
                raise UnprovenError(f"the shortage did not bite: {node.name} evicted no key and refused no write")
            with suppress(UnusableAnswerError):  # refused, or not a node for this key: the counts tell
                await admin.call("SET", f"{PREFIX}evict", "x" * 1024)
            await asyncio.sleep(_POLL_S)
        return (
            f"{node.name} has evicted {evicted} keys and refused {refused} commands, of {await setting(admin, 'maxmemory')} bytes"
        )

    async def untell(self, node: Node, admin: Admin) -> None:
        """Give it back what it had."""
        for name, value in self._settings.get(node, {}).items():
            await admin.call("CONFIG", "SET", name, value)

    async def regard(self, node: Node, admin: Admin) -> str:
        """It may use what it might before."""
        return f"{node.name} may use {await setting(admin, 'maxmemory')} bytes (0: no limit)"


async def _counts(admin: Admin) -> list[int]:
    """How many keys were evicted, and how many commands refused for want of memory."""
    return [await counted(admin, section, field) for section, field in _COUNTERS]
