"""``disk-full``: no room is left where a node keeps its data, until the episode's end.

    [[faults]]
    kind = "disk-full"
    targets = ["primary"]               # names or roles
    every = "20s"
    lasts = "3s"
    at_most = 1                         # how many an episode; one without it

**What it does to a cache.** A server that writes its data down can do so no longer. What it does then is its own choice, and
often one nobody has tried: Redis and Valkey refuse writes (MISCONF) with ``appendfsync everysec``, and end with ``always``, for
they may not acknowledge what they cannot write. Reads go on from memory. A database stops committing.

**How it is proven.** The node's own disk has no byte left, at the start and near the end, and had some before. What becomes of
a write at a server that speaks RESP stands in the evidence: acknowledged, refused, or the end of the process.

**What it is not.** A broken disk: what was written before is there, and there is room again afterwards. A server that writes
nothing down notices nothing. A node whose process has ended is started again when the episode ends, with its data; that is part
of the episode and no crash.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from faults.administering import RESP, administered
from faults.base import Target, UnprovenError
from faults.marks import window
from faults.nodes import NodeOptions, identity_soon, names, revive
from faults.targets import nodes_of
from harness.candidates.abilities import Administered
from harness.candidates.base import Cluster
from harness.candidates.redis_probes import PREFIX
from harness.plan import FaultSpec
from harness.runtimes.base import Capability, Inspecting
from harness.topology import Node, Topology


class DiskFull:
    """Fills the disks of nodes."""

    needs = frozenset({Capability.FILL_DISK})

    def __init__(self, spec: FaultSpec) -> None:
        self.spec = spec
        self.options = spec.read(NodeOptions)

    def targets(self, topology: Topology) -> tuple[Node, ...]:
        """The nodes that it may strike."""
        return nodes_of(self.spec, topology, self.options.targets)

    def strike(self, cluster: Cluster, targets: Sequence[Target]) -> DiskFullStrike:
        """A full disk at some of them."""
        return DiskFullStrike(cluster, [t for t in targets if isinstance(t, Node)], window(self.spec.lasts))


class DiskFullStrike:
    """One full disk; see ``faults.base.Strike``."""

    means = "its own disk"

    def __init__(self, cluster: Cluster, nodes: Sequence[Node], window_ns: int) -> None:
        self.proof_ns = window_ns
        self._cluster = cluster
        self._nodes = nodes

    async def arm(self, within_ns: int) -> tuple[str, ...]:
        """The nodes answer, and have room."""
        await asyncio.gather(*(identity_soon(self._cluster, node, self.proof_ns, within_ns) for node in self._nodes))
        rooms = [(node, await self._room(node)) for node in self._nodes]
        full = [node for node, room in rooms if not room]
        if full:
            raise UnprovenError(f"{names(full)} had no room before")
        return tuple(f"{node.name} had room for {room} bytes" for node, room in rooms)

    async def apply(self) -> None:
        """Fill."""
        for node in self._nodes:
            await self._cluster.runtime.fill_disk(node.name)

    async def prove(self) -> tuple[str, ...]:
        """There is no room."""
        told = []
        for node in self._nodes:
            room = await self._room(node)
            if room:
                raise UnprovenError(f"the disk did not fill: {node.name} has room for {room} bytes")
            told.append(f"{node.name} has no room{await self._what_becomes_of_a_write(node)}")
        return tuple(told)

    async def _what_becomes_of_a_write(self, node: Node) -> str:
        """In words; nothing where that is not known."""
        if not await self._cluster.runtime.state(node.name):
            return "; its process has ended"
        if node.protocol != RESP or not isinstance(self._cluster.candidate, Administered):
            return ""
        admin = administered(self._cluster, node)
        try:
            await admin.call("SET", f"{PREFIX}disk-full", "1", within_ns=self.proof_ns)
        except OSError as error:
            return f"; a write there failed: {error}"
        else:
            return "; a write there was acknowledged"
        finally:
            admin.close()

    async def heal(self) -> None:
        """Make room, and start again what did not survive without."""
        for node in self._nodes:
            await self._cluster.runtime.free_disk(node.name)
        await revive(self._cluster, self._nodes)

    async def confirm(self, within_ns: int) -> tuple[str, ...]:
        """The nodes answer again, and have room."""
        await asyncio.gather(*(identity_soon(self._cluster, node, self.proof_ns, within_ns) for node in self._nodes))
        return tuple([f"{node.name} answered and has room for {await self._room(node)} bytes" for node in self._nodes])

    async def close(self) -> None:
        """Nothing to give back."""

    async def _room(self, node: Node) -> int:
        runtime = self._cluster.runtime
        if not isinstance(runtime, Inspecting):
            raise UnprovenError("this runtime cannot look at a node's disk")
        return await runtime.room(node.name)
