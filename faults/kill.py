"""``kill``: a node dies, its process alone or the host with it, and is started again at the episode's end.

    [[faults]]
    kind = "kill"
    targets = ["primary"]               # names or roles; "current-primary" for whoever is primary when an episode begins
    what = "process"                    # process: peers see a reset; host: they see nothing any more
    keep_data = true                    # false: it comes back with an empty directory
    every = "20s"
    lasts = "2s"
    at_most = 1                         # how many an episode; one without it

**What it does to a cache.** When a process dies (SIGKILL), peers and clients see their connections reset at once. When the host
dies, nobody tells them: connections hang until their own time-outs, and so do new ones. With ``keep_data`` the node comes back
with what its disk has, which for a candidate without persistence is nothing either; without it, it comes back empty as on a new
machine. An empty primary makes its replicas forget as well.

**How it is proven.** At the start and near the end the process is gone. A node whose process died refuses connections; one whose
host died neither answers nor refuses. After the restart it is a new incarnation and says that it is someone else: another
process, another run id. A node that still says who it was did not die.

**What it is not.** A partition, even where the host dies: the node forgets what it had not written down, and who it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal

from faults.base import Target, UnprovenError
from faults.marks import window
from faults.nodes import NodeOptions, identity, identity_soon, names
from faults.targets import nodes_of
from harness.candidates.base import Cluster
from harness.durations import format_duration
from harness.errors import StartupError
from harness.plan import FaultSpec
from harness.runtimes.base import Capability
from harness.topology import Node, Topology


class KillOptions(NodeOptions):
    """Options of ``kill``."""

    what: Literal["process", "host"] = "process"
    keep_data: bool = True


class Kill:
    """Kills nodes, and starts them again."""

    def __init__(self, spec: FaultSpec) -> None:
        self.spec = spec
        self.options = spec.read(KillOptions)
        self.needs = frozenset({Capability.KILL_HOST if self.options.what == "host" else Capability.KILL})

    def targets(self, topology: Topology) -> tuple[Node, ...]:
        """The nodes that it may strike."""
        return nodes_of(self.spec, topology, self.options.targets)

    def strike(self, cluster: Cluster, targets: Sequence[Target]) -> KillStrike:
        """The death of some of them."""
        nodes = [t for t in targets if isinstance(t, Node)]
        return KillStrike(cluster, nodes, window(self.spec.lasts), self.options)


class KillStrike:
    """One death and restart; see ``faults.base.Strike``."""

    def __init__(self, cluster: Cluster, nodes: Sequence[Node], window_ns: int, options: KillOptions) -> None:
        self._of_host = options.what == "host"
        self.means = "host" if self._of_host else "signal"
        self.proof_ns = window_ns * len(nodes)
        self._cluster = cluster
        self._nodes = nodes
        self._keep_data = options.keep_data
        self._window_ns = window_ns
        self._before: dict[Node, tuple[int, str]] = {}
        self._dead: list[Node] = []

    async def arm(self, within_ns: int) -> tuple[str, ...]:
        """Who the nodes are."""
        for node in self._nodes:
            who = await identity_soon(self._cluster, node, self._window_ns, within_ns)
            self._before[node] = (self._cluster.runtime.incarnation(node.name), who)
        return tuple(f"{node.name} is {before}" for node, (_, before) in self._before.items())

    async def apply(self) -> None:
        """Kill."""
        for node in self._nodes:
            self._dead.append(node)
            await (self._cluster.runtime.kill_host if self._of_host else self._cluster.runtime.kill)(node.name)

    async def prove(self) -> tuple[str, ...]:
        """The processes are gone; the nodes refuse connections, or are silent where their hosts are gone."""
        for node in self._nodes:
            if state := await self._cluster.runtime.state(node.name):
                raise UnprovenError(f"the kill did not bite: the process of {node.name} is in state {state}")
            await self._prove_dead(node)
        how = "nothing answers or refuses there" if self._of_host else "connections are refused"
        return (f"the process of {names(self._nodes)} is gone, and {how}",)

    async def _prove_dead(self, node: Node) -> None:
        try:
            answer = await identity(self._cluster, node, self._window_ns)
        except ConnectionError as error:
            if self._of_host:
                raise UnprovenError(f"the process of {node.name} is gone, but its host still says so: {error}") from None
        except OSError as error:
            if not self._of_host:
                raise UnprovenError(f"{node.name} is silent, but does not refuse connections as the dead do: {error}") from None
        else:
            raise UnprovenError(f"the kill did not bite: {node.name} answered ({answer})")

    async def heal(self) -> None:
        """Start the dead again."""
        while self._dead:
            name = self._dead[0].name
            await self._cluster.runtime.kill(name)  # again: a cancellation may have come between the signal and the death
            await self._cluster.runtime.restart(name, keep_data=self._keep_data)
            self._dead.pop(0)

    async def confirm(self, within_ns: int) -> tuple[str, ...]:
        """The nodes serve again, as someone else."""
        return tuple(await asyncio.gather(*(self._reborn(node, within_ns) for node in self._before)))

    async def _reborn(self, node: Node, within_ns: int) -> str:
        incarnation, before = self._before[node]
        now = self._cluster.runtime.incarnation(node.name)
        if now <= incarnation:
            raise UnprovenError(f"{node.name} is still incarnation {now}: it was not killed")
        try:
            async with asyncio.timeout(within_ns / 1e9):
                await self._cluster.candidate.ready(node.name)
            after = await identity(self._cluster, node, self._window_ns)
        except StartupError as error:
            return error.what
        except OSError as error:
            return f"{node.name} does not serve: {error or 'it was given ' + format_duration(within_ns)}"
        if after == before:
            raise UnprovenError(f"{node.name} says that it is still {after}")
        return f"{node.name} is {after}, incarnation {now}"

    async def close(self) -> None:
        """Nothing to give back."""
