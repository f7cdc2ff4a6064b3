"""``limit``: a node may use only so much of its machine's processors or memory, until the episode's end.

    [[faults]]
    kind = "limit"
    targets = ["primary"]               # names or roles
    cpus = 0.1                          # of one processor
    memory = 67108864                   # bytes; what runs there is killed if it needs more
    every = "20s"
    lasts = "5s"
    at_most = 1                         # how many an episode; one without it

**What it does to a cache.** A noisy neighbour: the node does everything, at a crawl, in fits and starts of tenths of a second. It
answers pings in time and nothing else, so that failure detectors change their minds. With too little memory the kernel kills the
process, at a moment of its own choosing.

**How it is proven.** The control group, as the node itself sees it, says what was meant, at the start and near the end, and said
something else before.

**What it is not.** A promise that anybody notices: a node that needs less than its limit is as fast as ever. A node whose process
was killed for its memory is started again when the episode ends, with its data; that is part of the episode and no crash.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, model_validator

from faults.base import Target, UnprovenError
from faults.marks import window
from faults.nodes import NodeOptions, identity_soon, names, revive
from faults.targets import nodes_of
from harness.candidates.base import Cluster
from harness.plan import FaultSpec
from harness.runtimes.base import Capability, Inspecting, Limits
from harness.topology import Node, Topology

_SHARE = 0.02
"""Of a number of processors: how far what is set may be from what was meant."""
_PAGE = 4096


class LimitOptions(NodeOptions):
    """Options of ``limit``."""

    cpus: Annotated[float, Field(ge=0.01, le=64)] | None = None
    memory: Annotated[int, Field(ge=8 << 20)] | None = None

    @model_validator(mode="after")
    def _limited(self) -> LimitOptions:
        if self.cpus is None and self.memory is None:
            raise ValueError('nothing is limited: give it "cpus", "memory", or both')
        return self


class Limit:
    """Limits what nodes may use."""

    needs = frozenset({Capability.LIMIT})

    def __init__(self, spec: FaultSpec) -> None:
        self.spec = spec
        self.options = spec.read(LimitOptions)

    def targets(self, topology: Topology) -> tuple[Node, ...]:
        """The nodes that it may strike."""
        return nodes_of(self.spec, topology, self.options.targets)

    def strike(self, cluster: Cluster, targets: Sequence[Target]) -> LimitStrike:
        """A limit for some of them."""
        limits = Limits(self.options.cpus, self.options.memory)
        return LimitStrike(cluster, [t for t in targets if isinstance(t, Node)], limits, window(self.spec.lasts))


class LimitStrike:
    """One limit; see ``faults.base.Strike``."""

    means = "control group"

    def __init__(self, cluster: Cluster, nodes: Sequence[Node], limits: Limits, window_ns: int) -> None:
        self.proof_ns = window_ns
        self._cluster = cluster
        self._nodes = nodes
        self._limits = limits

    async def arm(self, within_ns: int) -> tuple[str, ...]:
        """The nodes answer, and are not limited yet."""
        await asyncio.gather(*(identity_soon(self._cluster, node, self.proof_ns, within_ns) for node in self._nodes))
        found = [(node, await self._found(node)) for node in self._nodes]
        limited = [node for node, limits in found if self._is_meant(limits)]
        if limited:
            raise UnprovenError(f"{names(limited)} was limited like that before")
        return tuple(f"{node.name} may use {_in_words(limits)}" for node, limits in found)

    async def apply(self) -> None:
        """Limit."""
        for node in self._nodes:
            await self._cluster.runtime.limit(node.name, self._limits)

    async def prove(self) -> tuple[str, ...]:
        """The nodes' own machines say so."""
        told = []
        for node in self._nodes:
            found = await self._found(node)
            if not self._is_meant(found):
                raise UnprovenError(f"the limit did not bite: {node.name} may use {_in_words(found)}")
            ended = "" if await self._cluster.runtime.state(node.name) else "; its process has ended"
            told.append(f"{node.name} may use {_in_words(found)}{ended}")
        return tuple(told)

    async def heal(self) -> None:
        """Take the limits away, and start again what did not survive them."""
        for node in self._nodes:
            await self._cluster.runtime.limit(node.name, Limits())
        await revive(self._cluster, self._nodes)

    async def confirm(self, within_ns: int) -> tuple[str, ...]:
        """The nodes answer again."""
        await asyncio.gather(*(identity_soon(self._cluster, node, self.proof_ns, within_ns) for node in self._nodes))
        return (f"{names(self._nodes)} answered",)

    async def close(self) -> None:
        """Nothing to give back."""

    async def _found(self, node: Node) -> Limits:
        runtime = self._cluster.runtime
        if not isinstance(runtime, Inspecting):
            raise UnprovenError("this runtime cannot look at a node's machine")
        return await runtime.limits(node.name)

    def _is_meant(self, found: Limits) -> bool:
        cpus, memory = self._limits.cpus, self._limits.memory_bytes
        cpus_are = cpus is None or (found.cpus is not None and abs(found.cpus - cpus) <= _SHARE * cpus)
        memory_is = memory is None or (found.memory_bytes is not None and abs(found.memory_bytes - memory) < _PAGE)
        return cpus_are and memory_is


def _in_words(limits: Limits) -> str:
    cpus = "all processors" if limits.cpus is None else f"{limits.cpus:g} of a processor"
    memory = "all memory" if limits.memory_bytes is None else f"{limits.memory_bytes >> 20} MiB of memory"
    return f"{cpus} and {memory}"
