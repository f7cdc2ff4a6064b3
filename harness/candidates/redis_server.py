"""Redis and Valkey servers as nodes: how they are started, when they serve, who they say they are.

Everything that is set differently from the server's own defaults stands in ``_arguments``, with its reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import count
from typing import Any, Literal

from pydantic import Field

from harness.candidates.access import AccessOptions, launch
from harness.candidates.asking import UnusableAnswerError
from harness.candidates.probes import Probe, opened
from harness.candidates.redis_access import Guard
from harness.candidates.redis_admin import Admin
from harness.candidates.redis_probes import ClientProbe, ReplicationProbe
from harness.candidates.serving import OnRuntime, not_serving, served
from harness.clients.access import Access
from harness.durations import UNITS, parse_duration
from harness.plan import Duration
from harness.runtimes.base import Preparing, Runtime, Server
from harness.topology import Link, Topology

READY_WITHIN_S = 15.0
"""How long a node may take to serve; a node without data takes milliseconds, a replica up to a second more."""


class ServerOptions(AccessOptions):
    """Options of every candidate made of Redis-like servers."""

    server: Literal["valkey", "redis"] = "valkey"
    persistence: bool = False
    """Every write is on disk before it is acknowledged (``appendfsync always``); without it, nothing ever is."""
    wait: int = Field(default=0, ge=0, le=10)
    """Every write is followed by WAIT for so many replicas; 0 for no WAIT."""
    wait_timeout: Duration = parse_duration("100ms")
    """How long WAIT waits for them."""
    ttl: Duration = 0
    """How long every value may live (SET with PX); 0 for ever. A contract that promises ``ttl`` needs one."""

    @property
    def codec_options(self) -> tuple[tuple[str, Any], ...]:
        """What the clients' codec takes."""
        waits = (("wait", self.wait), ("wait_ms", max(1, self.wait_timeout // UNITS["ms"]))) if self.wait else ()
        return (*waits, *expiring(self.ttl))


def expiring(ttl_ns: int) -> tuple[tuple[str, Any], ...]:
    """What the clients' codec takes for values that live so long; 0 for ever."""
    return (("expire_ms", max(1, ttl_ns // UNITS["ms"])),) if ttl_ns else ()


class RedisServers(OnRuntime):
    """Servers of one topology: one primary, and replicas that follow it over the topology's links.

    Attributes:
        topology, protocol, product: see ``harness.candidates.base.Candidate``.
        codec_options: see ``harness.candidates.abilities.Tuned``.
    """

    def __init__(self, options: ServerOptions, topology: Topology, upstream: Mapping[str, Link] | None = None) -> None:
        if upstream is None:
            upstream = {link.source: link for link in topology.links if link.source != "client"}
        self.topology = topology
        self.product = options.server.capitalize()
        self.protocol = "resp-wait" if options.wait else "resp"
        self.codec_options = options.codec_options
        self._options = options
        self._guard = Guard(options.access, tls=options.tls)
        self._admins: dict[str, Admin] = {}
        self._marks = count(1)
        self._upstream = upstream

    async def start(self, runtime: Runtime) -> None:
        """Start the primary, then its replicas, and wait until all of them serve. Raises ``StartupError``."""
        self._begin(runtime)
        await self._start_servers([node.name for node in self.topology.nodes])

    async def _start_servers(self, names: Sequence[str]) -> None:
        """Start those of the nodes that are primaries, then their replicas; return when all are in step."""
        if isinstance(self._running, Preparing):
            await self._running.prepare([self._server(name) for name in names])
        primaries = [name for name in names if name not in self._upstream]
        # A replica that finds no primary tries again a second later; so the primary comes first.
        for batch in (primaries, list(self._upstream)):
            await asyncio.gather(*(self._launch(name) for name in batch))
            await asyncio.gather(*map(self.ready, batch))
        await asyncio.gather(*map(self._streaming, self._upstream.values()))
        self.product = await self._product(primaries[0])

    async def _launch(self, node: str) -> None:
        """Start a node's process; raises ``StartupError``."""
        await launch(self._running, self._server(node), self.access)

    def _begin(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._admins = {node.name: self.admin(node.name) for node in self.topology.nodes}

    def _server(self, node: str) -> Server:
        return Server(
            node,
            f"{self._options.server}-server",
            (*self._arguments(node), *self._replicaof(node)),
            files=self._guard.files(node),
        )

    def _arguments(self, node: str) -> tuple[str, ...]:
        runtime = self._running
        own = runtime.endpoint(node)
        arguments = [
            *self._guard.arguments(own),
            *("--protected-mode", "no"),  # the address is a loopback one; nobody else is there
            *("--save", ""),  # snapshots by the number of writes would pause runs at random
            *("--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0"),  # a replica's sync waits for no other replica
            # A silent link is given up after five seconds (default sixty), so that a replica is back soon after a fault, and with
            # pings every second a stall of the machine is not taken for one.
            *("--repl-ping-replica-period", "1", "--repl-timeout", "5"),
            *("--replica-serve-stale-data", "yes"),  # the default, and what a contract on staleness is about
            # The primary sees its replicas through the runtime's links; their own addresses tell them apart.
            *("--replica-announce-ip", own.host, "--replica-announce-port", str(own.port)),
        ]
        if self._options.persistence:
            arguments += ["--appendonly", "yes", "--appendfsync", "always"]
        else:
            # Without it the file of the last sync would come back to life at a restart.
            arguments += ["--appendonly", "no", "--rdb-del-sync-files", "yes"]
        return tuple(arguments)

    def _replicaof(self, node: str) -> tuple[str, ...]:
        """The arguments that make ``node`` follow its primary, if it has one."""
        if node not in self._upstream:
            return ()
        upstream = self._running.via(self._upstream[node])
        return ("--replicaof", upstream.host, str(upstream.port))

    async def ready(self, node: str) -> None:
        """Return when ``node`` serves; a replica also has to be in step with its primary. Raises ``StartupError``."""
        await self._until(node, self._missing)

    async def _until(self, node: str, missing: Callable[[str], Awaitable[str]]) -> None:
        """Return when ``node`` lacks nothing any more. Raises ``StartupError`` with what it lacks."""
        await served(self._running, node, missing, READY_WITHIN_S)

    async def _missing(self, node: str) -> str:
        """What ``node`` still lacks before it serves; empty if nothing."""
        if await self._admins[node].call("PING") != "PONG":
            return "it does not answer PING with PONG"
        replication = await self._admins[node].info("replication")
        if replication.get("role") == "slave" and replication.get("master_link_status") != "up":
            return f"its link to the primary is {replication.get('master_link_status')}"
        return ""

    async def _streaming(self, link: Link) -> None:
        """Return when what is written at the primary arrives at the replica. Raises ``StartupError``.

        A replica calls its link up as soon as it has loaded the primary's data. If the primary has not yet reaped the child that
        sent them, it misses the acknowledgement that starts the stream, and the replica's next one comes a second later: a fleet
        that is called ready before that looks stale from the start.
        """
        try:
            probe = await self.probe(link)
            try:
                took_ns = await probe.carry(int(READY_WITHIN_S * 1e9))
            finally:
                await probe.close()
        except OSError as error:
            raise not_serving(self._running, link.source, str(error)) from None
        if took_ns is None:
            raise not_serving(
                self._running, link.source, f"after {READY_WITHIN_S:.0f}s nothing that was written at {link.target} arrives"
            )

    async def _product(self, node: str) -> str:
        try:
            info = await self._admins[node].info("server")
        except OSError:
            return self.product
        if "valkey_version" in info:
            return f"Valkey {info['valkey_version']}"
        return f"Redis {info['redis_version']}" if "redis_version" in info else self.product

    async def identity(self, node: str) -> str:
        """Process, run id, replication id and role of ``node``, shortened. Raises ``OSError`` if it is silent.

        A replica in a full synchronisation is somebody of its own: it drops its data first and takes on the new replication id
        last.
        """
        server = await self._admins[node].info("server")
        replication = await self._admins[node].info("replication")
        try:
            process, run = server["process_id"], server["run_id"]
            history, role = replication["master_replid"], replication["role"]
        except KeyError as error:
            raise UnusableAnswerError(f"{node} does not say its {error.args[0]}") from None
        synchronising = ", in full sync" if replication.get("master_sync_in_progress") == "1" else ""
        return f"process {process}, run {run[:12]}, replication {history[:12]}, {role}{synchronising}"

    @property
    def access(self) -> Access:
        """See ``harness.candidates.abilities.Guarded``."""
        return self._guard.access

    def admin(self, node: str) -> Admin:
        """See ``harness.candidates.abilities.Administered``."""
        return Admin(self._running.endpoint(node), self.access)

    async def current(self, role: str) -> tuple[str, ...]:
        """The nodes that have ``role`` now, ``primary`` or ``replica``, by their own word; silent ones have none."""
        roles = await asyncio.gather(*(self._role(node.name) for node in self.topology.nodes))
        return tuple(node.name for node, now in zip(self.topology.nodes, roles, strict=True) if now == role)

    async def _role(self, node: str) -> str:
        try:
            role = (await self._admins[node].info("replication")).get("role", "")
        except OSError:
            return ""
        return {"master": "primary", "slave": "replica"}.get(role, role)

    async def probe(self, link: Link) -> Probe:
        """A probe of ``link``: a ping from a client, or a mark in the replication stream. Raises ``OSError``."""
        node = self.admin(link.target)
        probe: ClientProbe | ReplicationProbe
        if link.source == "client":
            probe = ClientProbe(self._running.via(link), node, self._marks)
        else:
            own = self._running.endpoint(link.source)
            probe = ReplicationProbe(link, node, self.admin(link.source), own, self._marks)
        return await opened(probe)

    async def close(self) -> None:
        """Close the harness's own connections."""
        for admin in self._admins.values():
            admin.close()
