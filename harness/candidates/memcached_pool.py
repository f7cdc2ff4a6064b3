"""``memcached-pool``: servers that know nothing of each other, and clients that share keys out among them by a ring.

No server promises anything about another. One that fails is taken out by whoever notices, and its keys are written elsewhere;
after ``dead_time`` it is back in, and whatever it held when it left is served again: values that were superseded meanwhile, and
writes that had timed out and landed later. What a contract can promise is that each server by itself never goes backwards, that
nothing is stale while no server comes or goes, and that misses are allowed: a pool loses what a lost server had.
``flush_on_return = true`` makes every client empty a server before it uses it again, as the cache libraries of OpenStack do: no
client sees old values there, and all of them lose the new ones, once for each client. Clients with different views of the pool
(``ring_skew = true``) never agree on where a key is: they miss each other's writes, or find what a third one left behind.

Options: ``nodes = 3`` (1 to 20), ``hash = "ketama" | "rendezvous"``, ``dead_time = "1s"``, ``flush_on_return = false | true``,
``ring_skew = false | true`` (every other session does not know the last node), ``commands = "classic" | "meta"``,
``memory = 64`` (MiB each), ``image``. Who is let in: ``tls``, ``username``, ``password_env`` (the environment variable
with the password, which goes as the first set of a connection).
"""

from __future__ import annotations

import asyncio
from typing import Literal

from pydantic import Field, model_validator

from harness.candidates.access import AccessOptions, Entrance, launch
from harness.candidates.memcached_access import memcached_arguments, memcached_files
from harness.candidates.memcached_admin import MemcachedAdmin
from harness.candidates.probes import MarkProbe, Probe, opened
from harness.candidates.serving import OnRuntime, served
from harness.clients.access import Access
from harness.clients.memcached import unspeakable
from harness.durations import parse_duration
from harness.errors import StartupError
from harness.plan import CandidateSpec, Duration
from harness.routing.ring import Hash, RingRouting
from harness.runtimes.base import Endpoint, Runtime, Server
from harness.topology import ROUTED, Link, Node, Topology

READY_WITHIN_S = 15.0
"""How long a node may take to serve; it takes milliseconds, on a busy machine more."""

PORT = 11_211


class PoolOptions(AccessOptions):
    """Options of ``memcached-pool``."""

    nodes: int = Field(default=3, ge=1, le=20)
    hash: Hash = "ketama"
    dead_time: Duration = parse_duration("1s")
    """How long clients leave a lost server out."""
    flush_on_return: bool = False
    ring_skew: bool = False
    commands: Literal["classic", "meta"] = "classic"
    memory: int = Field(default=64, ge=1, le=65_536)
    image: str = ""
    """Of the servers; empty for the runtime's own choice."""

    @model_validator(mode="after")
    def _possible(self) -> PoolOptions:
        if self.ring_skew and self.nodes == 1:
            raise ValueError("ring_skew = true needs at least two nodes: a client must know one that the others know, too")
        if refused := unspeakable(self.access):
            raise ValueError(refused)
        return self


class MemcachedPool(OnRuntime):
    """Nodes ``cache-1``, ``cache-2`` and so on.

    Attributes:
        topology, protocol, product: see ``harness.candidates.base.Candidate``.
        routing: see ``harness.candidates.abilities.Routed``.
    """

    def __init__(self, spec: CandidateSpec) -> None:
        options = spec.read(PoolOptions)
        nodes = tuple(Node(index, f"cache-{index + 1}", "cache", "memcached", PORT) for index in range(options.nodes))
        names = tuple(node.name for node in nodes)
        everybody = frozenset(range(options.nodes))
        self.topology = Topology(nodes, tuple(Link("client", name) for name in names), writable=(ROUTED,), readable=(ROUTED,))
        self.protocol = "memcached" if options.commands == "classic" else "memcached-meta"
        self.product = "memcached"
        # Keys go by the nodes' names, not by their addresses: so they lie on the same nodes in every run.
        self.routing = RingRouting(
            names,
            options.hash,
            options.dead_time,
            flush_on_return=options.flush_on_return,
            views=(everybody, everybody - {options.nodes - 1}) if options.ring_skew else (),
        )
        self._options = options
        self._entrance = Entrance(options.access, tls=options.tls)
        self._admins: dict[str, MemcachedAdmin] = {}

    async def start(self, runtime: Runtime) -> None:
        """Start all servers at once. Raises ``StartupError``."""
        self._runtime = runtime
        self._admins = {node.name: self._admin(runtime.endpoint(node.name)) for node in self.topology.nodes}
        await asyncio.gather(*(launch(runtime, self._server(name), self.access) for name in self._admins))
        await asyncio.gather(*map(self.ready, self._admins))
        try:
            versions = [await admin.version() for admin in self._admins.values()]
        except OSError as error:
            raise StartupError("a server does not say its version", why=str(error)) from None
        self.product = f"memcached {', '.join(dict.fromkeys(versions))}"

    def _server(self, node: str) -> Server:
        host, port = self._running.endpoint(node)
        arguments = [
            *("-l", host, "-p", str(port)),
            *("-U", "0"),  # no UDP, whatever the version's default
            *("-u", "root"),  # it refuses to be root unless told so; without being root it stays who it is
            *("-m", str(self._options.memory)),
            *memcached_arguments(self._entrance),
        ]
        files = memcached_files(self._entrance, node)
        return Server(node, "memcached", tuple(arguments), image=self._options.image, files=files)

    def _admin(self, endpoint: Endpoint) -> MemcachedAdmin:
        return MemcachedAdmin(endpoint, self.access)

    @property
    def access(self) -> Access:
        """See ``harness.candidates.abilities.Guarded``."""
        return self._entrance.access

    async def ready(self, node: str) -> None:
        """Return when ``node`` serves; raises ``StartupError`` if it does not in time."""
        await served(self._running, node, self._missing, READY_WITHIN_S)

    async def _missing(self, node: str) -> str:
        await self._admins[node].version()
        return ""

    async def identity(self, node: str) -> str:
        """Process, time of birth and start of ``node``: in containers processes have the same number, and a second is long."""
        birth = await self._admins[node].birth()
        return f"{birth}, start {self._running.incarnation(node)}"

    async def probe(self, link: Link) -> Probe:
        """A question there and back, as a client asks it. Raises ``OSError``."""
        through = self._admin(self._running.via(link))
        node = self._admin(self._running.endpoint(link.target))

        def close() -> None:
            through.close()
            node.close()

        return await opened(MarkProbe(through.version, node.version, close))

    async def close(self) -> None:
        """Close the harness's own connections."""
        for admin in self._admins.values():
            admin.close()
