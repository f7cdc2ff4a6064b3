"""``pause``: the process of a node stands still (SIGSTOP), and goes on at the episode's end (SIGCONT).

    [[faults]]
    kind = "pause"
    targets = ["replicas"]              # names or roles; "current-primary" for whoever is primary when an episode begins
    every = "10s"
    lasts = "2s"
    at_most = 1                         # how many an episode; one without it

**What it does to a cache.** What a long garbage collection, a swapped-out host or a frozen virtual machine does: the node keeps
all it had, believes that no time has passed, and goes on from there. Leases and time-outs that the others count have run out
meanwhile.

**How it is proven.** At the start and near the end, the process is in state T, and the node does not answer on the harness's own
connection, on which it answered before.

**What it is not.** A partition. The kernel goes on in the node's name: it accepts connections and acknowledges what is sent, up
to the size of the socket buffers, and the node will execute all of it when it goes on. Timed-out writes take effect late. Cutting
the link loses what a pause only delays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from faults.base import Target, UnprovenError
from faults.marks import window
from faults.nodes import NodeOptions, answers, identity_soon, names
from faults.targets import nodes_of
from harness.candidates.base import Cluster
from harness.durations import format_duration
from harness.plan import FaultSpec
from harness.runtimes.base import Capability
from harness.topology import Node, Topology


class Pause:
    """Pauses nodes."""

    def __init__(self, spec: FaultSpec) -> None:
        self.spec = spec
        self.options = spec.read(NodeOptions)
        self.needs = frozenset({Capability.PAUSE})

    def targets(self, topology: Topology) -> tuple[Node, ...]:
        """The nodes that it may strike."""
        return nodes_of(self.spec, topology, self.options.targets)

    def strike(self, cluster: Cluster, targets: Sequence[Target]) -> PauseStrike:
        """A pause of some of them."""
        return PauseStrike(cluster, [t for t in targets if isinstance(t, Node)], window(self.spec.lasts))


class PauseStrike:
    """One pause; see ``faults.base.Strike``."""

    means = "signal"

    def __init__(self, cluster: Cluster, nodes: Sequence[Node], window_ns: int) -> None:
        self.proof_ns = window_ns
        self._cluster = cluster
        self._nodes = nodes

    async def arm(self, within_ns: int) -> tuple[str, ...]:
        """The nodes answer."""
        await asyncio.gather(*(identity_soon(self._cluster, node, self.proof_ns, within_ns) for node in self._nodes))
        return (f"{names(self._nodes)} answered",)

    async def apply(self) -> None:
        """Pause."""
        for node in self._nodes:
            await self._cluster.runtime.pause(node.name)

    async def prove(self) -> tuple[str, ...]:
        """The processes are in state T, and the nodes do not answer."""
        answered = await asyncio.gather(*(answers(self._cluster, node, self.proof_ns) for node in self._nodes))
        for node, has_answered in zip(self._nodes, answered, strict=True):
            state = await self._cluster.runtime.state(node.name)
            if state != "T":
                raise UnprovenError(f"the pause did not bite: the process of {node.name} is in state {state or 'gone'}")
            if has_answered:
                raise UnprovenError(f"the pause did not bite: {node.name} answered")
        return (f"{names(self._nodes)} in state T, no answer within {format_duration(self.proof_ns)}",)

    async def heal(self) -> None:
        """Resume."""
        for node in self._nodes:
            await self._cluster.runtime.resume(node.name)

    async def confirm(self, within_ns: int) -> tuple[str, ...]:
        """The nodes answer again."""
        await asyncio.gather(*(identity_soon(self._cluster, node, self.proof_ns, within_ns) for node in self._nodes))
        return (f"{names(self._nodes)} answered again",)

    async def close(self) -> None:
        """Nothing to give back."""
