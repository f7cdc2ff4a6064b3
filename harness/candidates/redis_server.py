"""Redis and Valkey servers as nodes: how they are started, when they serve, who they say they are.

Everything that is set differently from the server's own defaults stands in ``_arguments``, with its reason.
"""

from __future__ import annotations

import asyncio
from itertools import count
from time import monotonic_ns
from typing import Literal

from harness.candidates.base import Probe
from harness.candidates.redis_admin import Admin, UnusableAnswerError
from harness.candidates.redis_probes import ClientProbe, ReplicationProbe
from harness.errors import StartupError
from harness.plan import Record
from harness.runtimes.base import Runtime, Server
from harness.topology import Link, Topology

READY_WITHIN_S = 15.0
"""How long a node may take to serve; a node without data takes milliseconds, a replica up to a second more."""

_POLL_S = 0.01


class ServerOptions(Record):
    """Options of every candidate made of Redis-like servers."""

    server: Literal["valkey", "redis"] = "valkey"
    persistence: bool = False
    """Every write is on disk before it is acknowledged (``appendfsync always``); without it, nothing ever is."""


class RedisServers:
    """Servers of one topology: one primary, and replicas that follow it over the topology's links.

    Attributes:
        topology, protocol, product: see ``harness.candidates.base.Candidate``.
    """

    protocol = "resp"

    def __init__(self, options: ServerOptions, topology: Topology) -> None:
        self.topology = topology
        self.product = options.server.capitalize()
        self._options = options
        self._runtime: Runtime | None = None
        self._admins: dict[str, Admin] = {}
        self._marks = count(1)
        self._upstream = {link.source: link for link in topology.links if link.source != "client"}

    async def start(self, runtime: Runtime) -> None:
        """Start the primary, then its replicas, and wait until all of them serve. Raises ``StartupError``."""
        self._runtime = runtime
        self._admins = {node.name: Admin(runtime.endpoint(node.name)) for node in self.topology.nodes}
        primaries = [node.name for node in self.topology.nodes if node.name not in self._upstream]
        # A replica that finds no primary tries again a second later; so the primary comes first.
        for batch in (primaries, list(self._upstream)):
            for name in batch:
                await runtime.start(Server(name, f"{self._options.server}-server", self._arguments(name)))
            for name in batch:
                await self.ready(name)
        await asyncio.gather(*map(self._streaming, self._upstream.values()))
        self.product = await self._product(primaries[0])

    def _arguments(self, node: str) -> tuple[str, ...]:
        runtime = self._running
        own = runtime.endpoint(node)
        arguments = [
            *("--bind", own.host, "--port", str(own.port)),
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
        if node in self._upstream:
            upstream = runtime.via(self._upstream[node])
            arguments += ["--replicaof", upstream.host, str(upstream.port)]
        return tuple(arguments)

    async def ready(self, node: str) -> None:
        """Return when ``node`` serves; a replica also has to be in step with its primary. Raises ``StartupError``."""
        deadline_ns = monotonic_ns() + int(READY_WITHIN_S * 1e9)
        missing = "nothing was heard of it"
        while monotonic_ns() < deadline_ns:
            if not self._running.state(node):
                raise self._not_serving(node, "its process has ended")
            try:
                missing = await self._missing(node)
            except OSError as error:
                missing = str(error)
            if not missing:
                return
            await asyncio.sleep(_POLL_S)
        raise self._not_serving(node, f"after {READY_WITHIN_S:.0f}s {missing}")

    async def _missing(self, node: str) -> str:
        """What ``node`` still lacks before it serves; empty if nothing."""
        if await self._admins[node].call("PING") != "PONG":
            return "it does not answer PING with PONG"
        if node in self._upstream:
            status = (await self._admins[node].info("replication")).get("master_link_status")
            if status != "up":
                return f"its link to the primary is {status}"
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
            raise self._not_serving(link.source, str(error)) from None
        if took_ns is None:
            raise self._not_serving(link.source, f"after {READY_WITHIN_S:.0f}s nothing that was written at {link.target} arrives")

    def _not_serving(self, node: str, what: str) -> StartupError:
        log = self._running.log_end(node)
        return StartupError(f"{node} does not serve: {what}", why=f"the end of its log:\n{log}" if log else "its log is empty")

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

    async def probe(self, link: Link) -> Probe:
        """A probe of ``link``: a ping from a client, or a mark in the replication stream. Raises ``OSError``."""
        node = Admin(self._running.endpoint(link.target))
        probe: ClientProbe | ReplicationProbe
        if link.source == "client":
            probe = ClientProbe(self._running.via(link), node, self._marks)
        else:
            own = self._running.endpoint(link.source)
            probe = ReplicationProbe(link, node, Admin(own), own, self._marks)
        try:
            await probe.open()
        except BaseException:
            await probe.close()
            raise
        return probe

    async def close(self) -> None:
        """Close the harness's own connections."""
        for admin in self._admins.values():
            admin.close()

    @property
    def _running(self) -> Runtime:
        if self._runtime is None:
            raise RuntimeError("the candidate was not started")
        return self._runtime
