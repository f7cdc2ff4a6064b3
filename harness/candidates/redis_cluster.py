"""``redis-cluster``: primaries that share 16,384 slots, each with replicas, and clients that find the owner of a slot.

It acknowledges before it replicates, and promotes a replica when a primary was not heard of for ``node_timeout``. So writes are
lost: what a killed primary had not sent yet, and on the smaller side of a partition what an owner acknowledged until it gave up,
``node_timeout`` after the cut. Its own specification says so: "there are small windows where acknowledged writes can be lost".
The last fail-over wins. Reads at replicas lag behind.

Options: ``server = "valkey" | "redis"``, ``primaries = 3`` (3 to 10), ``replicas = 1`` (of each primary, 0 to 3),
``node_timeout = "1s"``, ``read_from = "primary" | "replicas" | "any"``, ``persistence = false | true``, ``wait = 0``,
``wait_timeout = "100ms"``. Who is let in: ``tls = false | true`` (the Valkey of the wheel has
none), ``username`` (of an ACL), ``password_env`` (the environment variable with the password).

Nodes are ``primary-1`` to ``primary-3``, and ``replica-1`` to ``replica-3``: named for the roles in which they start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Literal

from pydantic import Field

from harness.candidates.asking import UnusableAnswerError
from harness.candidates.probes import Probe, opened
from harness.candidates.redis_bus import BusProbe
from harness.candidates.redis_server import RedisServers, ServerOptions
from harness.candidates.redis_slots import Nodes, move_slot, parse_nodes
from harness.candidates.serving import not_serving
from harness.durations import UNITS, parse_duration
from harness.plan import CandidateSpec, Duration
from harness.routing.cluster import SLOTS, ClusterRouting, Slots, address
from harness.runtimes.base import Runtime
from harness.topology import ROUTED, Link, Node, Topology

_ALONE = (
    "the nodes of a cluster tell each other and their clients one address each, and talk at that port and at another, "
    "so that nothing can stand between them"
)


class ClusterOptions(ServerOptions):
    """Options of ``redis-cluster``."""

    primaries: int = Field(default=3, ge=3, le=10)
    replicas: int = Field(default=1, ge=0, le=3)
    """Of each primary."""
    node_timeout: Duration = parse_duration("1s")
    """How long a node is not heard of before it is taken for failed (``cluster-node-timeout``)."""
    read_from: Literal["primary", "replicas", "any"] = "primary"


class RedisCluster(RedisServers):
    """A cluster, formed by commands; every pair of nodes has a link, for each talks to all others."""

    failovers = frozenset({"orderly", "force", "takeover"})

    def __init__(self, spec: CandidateSpec) -> None:
        options = spec.read(ClusterOptions)
        if options.read_from == "replicas" and options.replicas == 0:
            raise spec.error("there are no replicas to read from", key="read_from", fix="replicas = 1")
        primaries = [Node(index, f"primary-{index + 1}", "primary") for index in range(options.primaries)]
        first = len(primaries)
        replicas = [
            Node(first + index, f"replica-{index + 1}", "replica") for index in range(options.primaries * options.replicas)
        ]
        nodes = (*primaries, *replicas)
        links = (
            *(Link(later.name, earlier.name) for earlier, later in combinations(nodes, 2)),
            *(Link("client", node.name) for node in nodes),
        )
        topology = Topology(nodes, links, writable=(ROUTED,), readable=(ROUTED,), direct=_ALONE)
        super().__init__(options, topology, upstream={})
        self._node_timeout_ms = options.node_timeout // UNITS["ms"]
        self._read_from = options.read_from
        self._primaries = tuple(node.name for node in primaries)
        self._shards = {
            node.name: tuple(replica.name for replica in replicas[place :: len(primaries)])
            for place, node in enumerate(primaries)
        }
        self.routing = ClusterRouting((), {}, options.read_from)

    def _arguments(self, node: str) -> tuple[str, ...]:
        return (
            *super()._arguments(node),
            *("--cluster-announce-ip", self._running.endpoint(node).host),  # where it may be seen from does not matter
            *("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"),
            *("--cluster-node-timeout", str(self._node_timeout_ms)),
        )

    async def start(self, runtime: Runtime) -> None:
        """Start all nodes, form the cluster, and wait until every node knows all of it. Raises ``StartupError``."""
        self._begin(runtime)
        names = [node.name for node in self.topology.nodes]
        await asyncio.gather(*(self._launch(name) for name in names))
        await asyncio.gather(*(self._until(name, self._pong) for name in names))
        try:
            await self._form(names)
        except OSError as error:
            raise not_serving(self._running, names[0], f"the cluster could not be formed: {error}") from None
        await asyncio.gather(*(self._until(name, self._whole) for name in names))
        await asyncio.gather(*map(self.ready, names))
        self.product = await self._product(names[0])
        self.routing = self._routing()

    async def _form(self, names: list[str]) -> None:
        """Make one cluster of the nodes: epochs that differ, slots, acquaintance, then replicas."""
        shares = dict(zip(self._primaries, _shares(len(self._primaries)), strict=True))
        for number, name in enumerate(names, start=1):
            await self._admins[name].call("CLUSTER", "SET-CONFIG-EPOCH", str(number))
        for name, (begin, end) in shares.items():
            await self._admins[name].call("CLUSTER", "ADDSLOTSRANGE", str(begin), str(end))
        # Everybody meets everybody at once; left to gossip, it takes seconds more.
        for name in names:
            for other in names:
                if other != name:
                    host, port = self._running.endpoint(other)
                    await self._admins[name].call("CLUSTER", "MEET", host, str(port))
        await asyncio.gather(*(self._until(name, self._acquainted) for name in names))
        for primary, replicas in self._shards.items():
            identity = str(await self._admins[primary].call("CLUSTER", "MYID"))
            for replica in replicas:
                await self._admins[replica].call("CLUSTER", "REPLICATE", identity)

    async def nodes(self, node: str) -> Nodes:
        """The cluster as ``node`` sees it. Raises ``OSError``."""
        return parse_nodes(await self._admins[node].call("CLUSTER", "NODES"))

    def name_of(self, place: str) -> str | None:
        """The node that has the address ``host:port``."""
        return next((node.name for node in self.topology.nodes if address(self._running.endpoint(node.name)) == place), None)

    async def owners(self) -> dict[str, tuple[tuple[int, int], ...]]:
        """See ``harness.candidates.abilities.Sharded``: as the node with the newest configuration sees it."""
        views = await asyncio.gather(*(self.nodes(node.name) for node in self.topology.nodes), return_exceptions=True)
        seen = [view for view in views if not isinstance(view, BaseException)]
        if not seen:
            raise ConnectionError("no node of the cluster answers")
        newest = max(seen, key=lambda view: max(known.epoch for known in view.values()))
        owned = {self.name_of(known.address): known.slots for known in newest.values() if known.slots}
        return {name: slots for name, slots in owned.items() if name is not None}

    async def move(self, slot: int, source: str, target: str) -> int:
        """See ``harness.candidates.abilities.Sharded``."""
        others = [self._admins[name] for name in await self.current("primary") if name not in (source, target)]
        return await move_slot(slot, self._admins[source], self._admins[target], others)

    async def fail_over(self, node: str, how: str) -> str:
        """See ``harness.candidates.abilities.FailsOver``: a replica of the shard is told."""
        shard = next({name, *replicas} for name, replicas in self._shards.items() if node == name or node in replicas)
        before = [name for name in await self.current("primary") if name in shard]
        after = [name for name in await self.current("replica") if name in shard]
        if not before or not after:
            raise UnusableAnswerError(f"among {', '.join(sorted(shard))} there is no primary, or no replica that could take over")
        await self._admins[after[0]].call("CLUSTER", "FAILOVER", *([] if how == "orderly" else [how.upper()]))
        return before[0]

    async def fall_back(self) -> None:
        """Clients follow the slots: whoever owns them keeps them."""

    async def probe(self, link: Link) -> Probe:
        """A probe of ``link``: a ping from a client, or a message on the cluster's bus. Raises ``OSError``."""
        if link.source == "client":
            return await super().probe(link)
        return await opened(BusProbe(link, self.admin(link.source), self.admin(link.target), self._marks))

    async def _missing(self, node: str) -> str:
        missing = await super()._missing(node)
        if missing:
            return missing
        state = (await self._cluster_info(node)).get("cluster_state")
        return "" if state == "ok" else f"for it, the state of the cluster is {state}"

    async def _pong(self, node: str) -> str:
        return "" if await self._admins[node].call("PING") == "PONG" else "it does not answer PING with PONG"

    async def _acquainted(self, node: str) -> str:
        known = (await self.nodes(node)).values()
        linked = sum(other.linked for other in known)
        return "" if linked == len(self.topology.nodes) else f"it has met {linked} of {len(self.topology.nodes)} nodes"

    async def _whole(self, node: str) -> str:
        """What ``node`` does not know yet of the roles and slots of all."""
        known = (await self.nodes(node)).values()
        replicas = sum(other.role == "replica" for other in known)
        slots = sum(end - begin + 1 for other in known for begin, end in other.slots)
        wanted = len(self.topology.nodes) - len(self._primaries)
        return "" if (replicas, slots) == (wanted, SLOTS) else f"it knows of {replicas} replicas and {slots} slots"

    async def _cluster_info(self, node: str) -> dict[str, str]:
        text = str(await self._admins[node].call("CLUSTER", "INFO"))
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def _routing(self) -> ClusterRouting:
        index = {node.name: node.index for node in self.topology.nodes}
        slots = [
            Slots(begin, end, index[name], tuple(index[replica] for replica in self._shards[name]))
            for name, (begin, end) in zip(self._primaries, _shares(len(self._primaries)), strict=True)
        ]
        addresses = {address(self._running.endpoint(name)): number for name, number in index.items()}
        return ClusterRouting(tuple(slots), addresses, self._read_from)


def _shares(primaries: int) -> Iterator[tuple[int, int]]:
    """The slots of each primary: as even as can be."""
    bounds = [SLOTS * place // primaries for place in range(primaries + 1)]
    return ((begin, end - 1) for begin, end in pairwise(bounds))
