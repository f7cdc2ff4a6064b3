"""``rolling-restart``: nodes are restarted one after the other, each as soon as the one before serves again.

    [[faults]]
    kind = "rolling-restart"
    targets = ["replicas", "primary"]   # names or roles; all of them in each episode, in the topology's order
    keep_data = true                    # false: each comes back with an empty directory
    every = "60s"
    lasts = "10s"                       # long enough for all of them
    at_most = 2                         # how many an episode; without it all of them

    [[faults]]
    kind = "rolling-restart"
    targets = ["all"]
    image = "valkey/valkey:8.1"         # an upgrade: each is stopped in order and goes on from this image, with its data
    every = "60s"
    lasts = "20s"

**What it does to a cache.** Every deployment does it. Most of the fleet is there at any moment, and in the end everybody is
somebody else: caches without persistence are cold, subscriptions and tracked keys are gone, roles have moved. Between two
versions, both speak to each other for a while.

**How it is proven.** At the start one node is a new incarnation; after the episode all of them are, and each says that it is
someone else than before: another process, another run id. With an image, the version that a server of Redis or Valkey tells
stands in the evidence.

**What it is not.** A clean shutdown, without an image: the process is killed, as an impatient supervisor does. An episode that
ends before all nodes had their turn is unproven; those that had not keep running. What was upgraded stays upgraded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

from faults.administering import RESP, administered
from faults.base import Target, UnprovenError
from faults.marks import window
from faults.nodes import NodeOptions, identity_soon, names, revive
from faults.targets import nodes_of
from harness.candidates.abilities import Administered
from harness.candidates.base import Cluster
from harness.errors import AnachronError
from harness.plan import FaultSpec
from harness.runtimes.base import Capability
from harness.topology import Node, Topology

_POLL_S = 0.02


class RollingRestartOptions(NodeOptions):
    """Options of ``rolling-restart``."""

    image: str = ""
    """The container image that every node goes on from; empty for the one that it has."""
    keep_data: bool = True


class RollingRestart:
    """Restarts nodes one by one."""

    def __init__(self, spec: FaultSpec) -> None:
        self.spec = spec
        self.options = spec.read(RollingRestartOptions)
        self.needs = frozenset({Capability.REPLACE if self.options.image else Capability.KILL})
        if self.options.image and not self.options.keep_data:
            raise spec.error("an upgrade keeps the data", key="keep_data", fix="leave it out, or leave the image out")

    def targets(self, topology: Topology) -> tuple[Node, ...]:
        """The nodes that it restarts."""
        return nodes_of(self.spec, topology, self.options.targets)

    def draw(self, topology: Topology, random: Random, free: Sequence[Target]) -> Sequence[Target]:  # noqa: ARG002 - see Drawing
        """All of them, or as many as the plan says."""
        return random.sample(free, min(self.spec.at_most or len(free), len(free)))

    def strike(self, cluster: Cluster, targets: Sequence[Target]) -> RollingRestartStrike:
        """One round through some of them."""
        return RollingRestartStrike(cluster, [t for t in targets if isinstance(t, Node)], self.options, self.spec.lasts)


class RollingRestartStrike:
    """One round; see ``faults.base.Strike``."""

    def __init__(self, cluster: Cluster, nodes: Sequence[Node], options: RollingRestartOptions, lasts_ns: int) -> None:
        self.means = "image" if options.image else "signal"
        self.proof_ns = lasts_ns // 3
        self._cluster = cluster
        self._nodes = nodes
        self._options = options
        self._window_ns = window(lasts_ns)
        self._before: dict[Node, tuple[int, str]] = {}
        self._round: asyncio.Task[None] | None = None
        self._over = False

    async def arm(self, within_ns: int) -> tuple[str, ...]:
        """Who the nodes are."""
        for node in self._nodes:
            who = await identity_soon(self._cluster, node, self._window_ns, within_ns)
            self._before[node] = (self._cluster.runtime.incarnation(node.name), who)
        return tuple([f"{node.name} is {before}{await self._version(node)}" for node, (_, before) in self._before.items()])

    async def apply(self) -> None:
        """Begin the round."""
        self._round = asyncio.create_task(self._go_round())

    async def _go_round(self) -> None:
        runtime = self._cluster.runtime
        for node in self._nodes:
            if self._over:
                return
            if self._options.image:
                await runtime.replace(node.name, self._options.image)
            else:
                await runtime.kill(node.name)
                await runtime.restart(node.name, keep_data=self._options.keep_data)
            await self._cluster.candidate.ready(node.name)

    async def prove(self) -> tuple[str, ...]:
        """The first is a new incarnation; once the round is over, all of them are."""
        if self._round is None:
            raise UnprovenError("the round has not begun")
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self.proof_ns / 1e9
        while not (new := self._restarted()):
            if self._round.done() or loop.time() > give_up:
                raise UnprovenError(f"no node of {names(self._nodes)} was restarted{self._stopped()}")
            await asyncio.sleep(_POLL_S)
        return (f"{names(new)} restarted: {len(new)} of {len(self._nodes)}",)

    def _restarted(self) -> list[Node]:
        runtime = self._cluster.runtime
        return [node for node, (first, _) in self._before.items() if runtime.incarnation(node.name) > first]

    def _stopped(self) -> str:
        """What has ended the round before its time, in words; empty if nothing has."""
        error = self._round.exception() if self._round is not None and self._round.done() else None
        return f": {error.what if isinstance(error, AnachronError) else error}" if error else ""

    async def heal(self) -> None:
        """Let the node that is down come back, and end the round."""
        self._over = True
        if self._round is not None:
            await asyncio.wait([self._round])
        await revive(self._cluster, self._nodes)

    async def confirm(self, within_ns: int) -> tuple[str, ...]:
        """All of them are somebody else."""
        new = self._restarted()
        if late := [node for node in self._nodes if node not in new]:
            why = self._stopped() or ": the episode was too short"
            raise UnprovenError(f"{len(new)} of {len(self._nodes)} nodes were restarted, but not {names(late)}{why}")
        told = []
        for node in self._nodes:
            who = await identity_soon(self._cluster, node, self._window_ns, within_ns)
            if who == self._before[node][1]:
                raise UnprovenError(f"{node.name} says that it is still {who}")
            told.append(f"{node.name} is {who}{await self._version(node)}")
        return tuple(told)

    async def close(self) -> None:
        """Nothing to give back."""

    async def _version(self, node: Node) -> str:
        """The version of a server that an upgrade is about; empty where it is not told."""
        if not self._options.image or node.protocol != RESP or not isinstance(self._cluster.candidate, Administered):
            return ""
        admin = administered(self._cluster, node)
        try:
            info = await admin.info("server")
        except OSError:
            return ""
        finally:
            admin.close()
        return f", version {info.get('valkey_version') or info.get('redis_version') or 'unknown'}"
