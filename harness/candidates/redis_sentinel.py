"""``redis-sentinel``: a primary with replicas, sentinels that promote one of these when most of them miss the primary, and
clients that ask the sentinels who the primary is.

Promotion is best effort. A killed primary takes with it what it had acknowledged and not yet sent. One that is cut off together
with some clients goes on acknowledging for as long as it is not told better, and all of that is lost when it comes back: the
sentinels make it a replica of the new primary, some ten seconds after they see it again. ``min_replicas_to_write`` ends the
acknowledging ``max_lag`` after the cut. What is read at replicas lags behind.

Options: ``server = "valkey" | "redis"``, ``replicas = 2`` (1 to 10), ``sentinels = 3`` (1 to 9), ``quorum = 2``,
``down_after = "1s"``, ``failover_timeout = "3s"``, ``min_replicas_to_write = 0``, ``max_lag = "1s"``,
``read_from = "primary" | "replicas" | "any"``, ``persistence = false | true``, ``wait = 0``, ``wait_timeout = "100ms"``.
Who is let in: ``tls = false | true`` (the Valkey of the wheel has none), ``username`` (of an ACL),
``password_env`` (the environment variable with the password).

Nodes are ``primary``, ``replica-1``, ``replica-2`` and so on, named for the roles in which they start, and ``sentinel-1`` to
``sentinel-3``. Where ``read_from`` names nodes, sessions go on asking these, whatever becomes of their roles.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from itertools import combinations
from typing import Any, Literal

from pydantic import Field

from harness.candidates.asking import UnusableAnswerError
from harness.candidates.probes import IdleLinkError, Probe, opened
from harness.candidates.redis_bus import BusProbe
from harness.candidates.redis_probes import PingProbe, ReplicationProbe, StreamProbe
from harness.candidates.redis_server import RedisServers, ServerOptions
from harness.durations import UNITS, parse_duration
from harness.plan import CandidateSpec, Duration
from harness.routing.cluster import address
from harness.routing.sentinel import SentinelRouting
from harness.runtimes.base import File, Runtime, Server, Way
from harness.topology import ROUTED, Link, Node, Topology

NAME = "cache"
"""What the sentinels call the primary."""

SENTINEL_PORT = 26_379

_ALONE = (
    "sentinels tell each other and their clients one address for each node, so that nothing can stand between any two of them"
)
_QUICK_MS, _USUAL_MS = "50", "2000"


class SentinelOptions(ServerOptions):
    """Options of ``redis-sentinel``."""

    replicas: int = Field(default=2, ge=1, le=10)
    sentinels: int = Field(default=3, ge=1, le=9)
    quorum: int = Field(default=2, ge=1, le=9)
    """How many sentinels have to miss the primary; to promote another one takes most of all sentinels."""
    down_after: Duration = parse_duration("1s")
    """How long a node does not answer before a sentinel misses it (``down-after-milliseconds``)."""
    failover_timeout: Duration = parse_duration("3s")
    min_replicas_to_write: int = Field(default=0, ge=0, le=10)
    """How many replicas have to be in touch for a primary to take writes (``min-replicas-to-write``)."""
    max_lag: Duration = parse_duration("1s")
    """How recent their last word must be (``min-replicas-max-lag``); whole seconds."""
    read_from: Literal["primary", "replicas", "any"] = "primary"


class RedisSentinel(RedisServers):
    """Servers that keep the roles they are given, and the sentinels that give them."""

    failovers = frozenset({"force"})

    def __init__(self, spec: CandidateSpec) -> None:
        options = spec.read(SentinelOptions)
        if options.quorum > options.sentinels:
            raise spec.error(
                f"{options.quorum} of {options.sentinels} sentinels can never agree",
                key="quorum",
                fix=f"quorum = {options.sentinels // 2 + 1}",
            )
        replicas = [Node(index, f"replica-{index}", "replica") for index in range(1, options.replicas + 1)]
        data = (Node(0, "primary", "primary"), *replicas)
        sentinels = tuple(
            Node(len(data) + index, f"sentinel-{index + 1}", "sentinel", port=SENTINEL_PORT) for index in range(options.sentinels)
        )
        nodes = (*data, *sentinels)
        links = (
            *(Link(later.name, earlier.name) for earlier, later in combinations(nodes, 2)),
            *(Link("client", node.name) for node in nodes),
        )
        everyone = tuple(node.index for node in data)
        readable = {"primary": (ROUTED,), "replicas": everyone[1:], "any": everyone}[options.read_from]
        topology = Topology(nodes, links, writable=(ROUTED,), readable=readable, direct=_ALONE)
        super().__init__(options, topology, upstream={node.name: Link(node.name, "primary") for node in replicas})
        self._quorum = options.quorum
        self._down_after_ms = max(1, options.down_after // UNITS["ms"])
        self._failover_ms = max(1, options.failover_timeout // UNITS["ms"])
        self._min_replicas = options.min_replicas_to_write
        self._max_lag_s = max(1, options.max_lag // UNITS["s"])
        self._data = tuple(node.name for node in data)
        self._sentinels = tuple(node.name for node in sentinels)
        self.routing = SentinelRouting(NAME, 0, tuple(node.index for node in sentinels), {})

    def _arguments(self, node: str) -> tuple[str, ...]:
        return (
            *super()._arguments(node),
            *("--min-replicas-to-write", str(self._min_replicas), "--min-replicas-max-lag", str(self._max_lag_s)),
        )

    def _server(self, node: str) -> Server:
        if node in self._sentinels:
            file = File("sentinel.conf", self._sentinel_file(node).encode(), once=True, secret=True)
            arguments = (file.name, "--sentinel", *self._guard.arguments(self._running.endpoint(node)))
            return Server(node, f"{self._options.server}-server", arguments, files=(file, *self._guard.files(node)))
        # The role stands in a file, as where people run this: a sentinel that gives another role has the server rewrite it.
        role = " ".join(self._replicaof(node)).removeprefix("--")
        file = File("server.conf", f"{role}\n".encode(), once=True, secret=True)
        arguments = (file.name, *self._arguments(node))
        return Server(node, f"{self._options.server}-server", arguments, files=(file, *self._guard.files(node)))

    def _sentinel_file(self, node: str) -> str:
        own, primary = self._running.endpoint(node), self._running.endpoint("primary")
        lines = (
            "protected-mode no",
            f"sentinel announce-ip {own.host}",  # where it may be seen from does not matter
            f"sentinel announce-port {own.port}",
            f"sentinel monitor {NAME} {primary.host} {primary.port} {self._quorum}",
            f"sentinel down-after-milliseconds {NAME} {self._down_after_ms}",
            f"sentinel failover-timeout {NAME} {self._failover_ms}",
            f"sentinel parallel-syncs {NAME} {len(self._data)}",
            *self._guard.sentinel(NAME),
        )
        return "".join(f"{line}\n" for line in lines)

    async def start(self, runtime: Runtime) -> None:
        """Start primary and replicas, and once these are in step the sentinels; wait until all of them know all others.

        A sentinel that starts too early looks for replicas again only ten seconds later.
        """
        self._begin(runtime)
        await self._start_servers(self._data)
        await asyncio.gather(*(self._launch(name) for name in self._sentinels))
        await asyncio.gather(*(self._until(name, self._watching) for name in self._sentinels))
        places = {address(runtime.endpoint(node.name)): node.index for node in self.topology.nodes if node.name in self._data}
        self.routing = SentinelRouting(NAME, 0, self.routing.sentinels, places)

    async def _watching(self, node: str) -> str:
        """What the sentinel ``node`` does not know yet. It learns of the others when they say hello, every two seconds."""
        await self._pace(node, "publish-period", _QUICK_MS)
        seen = [other for other in await self.seen_by(node) if other.get("link-refcount", "0") != "0" and not _is_down(other)]
        wanted = len(self._data) + len(self._sentinels) - 1
        if len(seen) < wanted:
            return f"it knows of {len(seen)} of {wanted} other nodes"
        await self._pace(node, "publish-period", _USUAL_MS)
        # A cut has to show within a quarter of a second. Pinged once a second, every link would be silent for longer than that.
        await self._pace(node, "ping-period", _QUICK_MS)
        return ""

    async def _pace(self, sentinel: str, what: str, period_ms: str) -> None:
        with suppress(UnusableAnswerError):  # before Redis 7.0, its times cannot be changed
            await self._admins[sentinel].call("SENTINEL", "DEBUG", what, period_ms)

    async def seen_by(self, sentinel: str) -> list[dict[str, str]]:
        """All nodes that ``sentinel`` knows, each by the fields that it tells of them. Raises ``OSError``."""
        admin = self._admins[sentinel]
        found = [await admin.call("SENTINEL", "MASTER", NAME)]
        for kind in ("REPLICAS", "SENTINELS"):
            others = await admin.call("SENTINEL", kind, NAME)
            found += others if isinstance(others, list) else [others]
        return [_fields(one) for one in found]

    async def primary_seen_by(self, sentinel: str) -> str | None:
        """The node that ``sentinel`` holds for the primary; None if it names none of ours. Raises ``OSError``."""
        fields = _fields(await self._admins[sentinel].call("SENTINEL", "MASTER", NAME))
        place = f"{fields.get('ip')}:{fields.get('port')}"
        return next((name for name in self._data if address(self._running.endpoint(name)) == place), None)

    async def current(self, role: str) -> tuple[str, ...]:
        """See ``RedisServers.current``; of several primaries, the one that the first sentinel names comes first."""
        found = await super().current(role)
        named = None
        for sentinel in self._sentinels:
            with suppress(OSError):
                named = await self.primary_seen_by(sentinel)
                break
        return tuple(sorted(found, key=lambda name: name != named))

    async def fail_over(self, node: str, how: str) -> str:  # noqa: ARG002 - there is one primary, and one way
        """See ``harness.candidates.abilities.FailsOver``: the first sentinel is told, and asks no other for its agreement."""
        before = await self.primary_seen_by(self._sentinels[0])
        await self._admins[self._sentinels[0]].call("SENTINEL", "FAILOVER", NAME)
        return before or "nobody"

    async def fall_back(self) -> None:
        """Clients follow the sentinels: whoever is primary stays it."""

    async def _missing(self, node: str) -> str:
        if node in self._sentinels:
            return "" if await self._admins[node].call("PING") == "PONG" else "it does not answer PING with PONG"
        return await super()._missing(node)

    async def identity(self, node: str) -> str:
        """See ``RedisServers.identity``; a sentinel is a process and its run id."""
        if node not in self._sentinels:
            return await super().identity(node)
        server = await self._admins[node].info("server")
        if "run_id" not in server or "process_id" not in server:
            raise UnusableAnswerError(f"{node} does not say its run_id")
        return f"process {server['process_id']}, run {server['run_id'][:12]}, sentinel"

    async def probe(self, link: Link) -> Probe:
        """A probe of ``link`` by what runs on it: a sentinel's pings, or the stream from whoever is primary now to its replica.

        Raises ``OSError``, and ``IdleLinkError`` between two nodes of which neither follows the other.
        """
        if link.source == "client":
            return await super().probe(link)
        return await opened(await self._stream(link) if link.source in self._data else self._pings(link))

    def _pings(self, link: Link) -> PingProbe:
        target = self._running.endpoint(link.target)

        async def age_ms() -> int | None:
            for other in await self.seen_by(link.source):
                if (other.get("ip"), other.get("port")) == (target.host, str(target.port)):
                    age = other.get("last-ok-ping-reply", "")
                    return int(age) if age.isdecimal() else None
            return None

        return PingProbe(self.admin(link.source), self.admin(link.target), age_ms)

    async def _stream(self, link: Link) -> StreamProbe:
        ends = (link.source, link.target)
        for replica, primary, data in ((*ends, Way.BACKWARD), (*ends[::-1], Way.FORWARD)):
            follows = partial(self._follows, replica, primary)
            if await follows():
                bus = BusProbe(link, self.admin(link.source), self.admin(link.target), self._marks)
                own = self._running.endpoint(replica)
                acknowledged = ReplicationProbe(link, self.admin(primary), self.admin(replica), own, self._marks)
                return StreamProbe(bus, acknowledged, data, follows)
        raise IdleLinkError(f"neither of {link.source} and {link.target} follows the other: nothing runs between them")

    async def _follows(self, replica: str, primary: str) -> bool:
        upstream = self._running.endpoint(primary)
        replication = await self._admins[replica].info("replication")
        return (replication.get("master_host"), replication.get("master_port")) == (upstream.host, str(upstream.port))


def _fields(answer: Any) -> dict[str, str]:
    """A list of names and values by turns. Raises ``UnusableAnswerError``."""
    if not isinstance(answer, list) or len(answer) % 2 or not all(isinstance(word, str) for word in answer):
        raise UnusableAnswerError(f"a sentinel answered with {answer!r:.80}")
    return dict(zip(answer[::2], answer[1::2], strict=True))


def _is_down(fields: dict[str, str]) -> bool:
    return bool({"s_down", "o_down", "disconnected"} & set(fields.get("flags", "").split(",")))
