"""``http-caches``: Varnish or nginx in front of a small origin; writes go to the origin, reads to the caches.

A cache may serve a copy for ``ttl``, and for ``grace`` after that while it fetches the object anew: that sum is the bound that
holds whatever happens to purges. A purge makes most reads fresh much sooner, and promises nothing: it can be lost on the way,
it comes after the acknowledgement where it is not ``"sync"``, and a fetch that began before the write may end after its purge,
and bring the old object back. That node has then gone backwards. The origin is a program of ours, with its objects in memory:
it gives the order of writes, and forgets everything when it is killed.

nginx has no purge in its free edition: the origin sends the usual substitute, a request that passes the copy by and refreshes
it. It counts whole seconds, so a copy may live one longer. With ``use_stale = true`` (``proxy_cache_use_stale updating error
timeout``) it serves a copy of any age to the first who asks, and to all while the origin does not answer: no bound is left.

Options: ``cache = "varnish" | "nginx"``, ``caches = 2`` (1 to 10), ``purge = "sync" | "async" | "none"``, ``ttl = "2s"`` and
``grace = "1s"`` (whole seconds), ``use_stale = false | true`` (nginx), ``origin_latency = "0ms"`` (how long the origin takes to
answer a read, after it has looked), ``fetch_timeout = "500ms"``, ``purge_timeout = "250ms"``, ``memory = 64`` (MiB each),
``images = { cache = "...", origin = "..." }``. Who is let in: ``tls`` (nginx: Varnish speaks none of its own, and is usually put
behind hitch), ``username``, ``password_env`` (the environment variable with the password, which goes with every request).
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from importlib.resources import files
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from harness.candidates.access import AccessOptions, Entrance, launch
from harness.candidates.http_admin import IDENTITY, MARK, THROUGH, HttpAdmin, client_probe, peer_probe
from harness.candidates.http_servers import CACHE_SERVERS, CacheSettings
from harness.candidates.probes import Probe, opened
from harness.candidates.serving import OnRuntime, served
from harness.clients.access import Access
from harness.clients.http import HOST, authorization, authorization_field
from harness.durations import UNITS, format_duration, parse_duration
from harness.errors import StartupError
from harness.plan import CandidateSpec, Duration, Record
from harness.runtimes.base import File, Runtime, Server
from harness.topology import Link, Node, Topology

READY_WITHIN_S = 30.0
"""How long a node may take to serve: Varnish compiles its configuration at every start, for seconds on a busy machine."""

PORT = 8080
ORIGIN = "origin"


def _whole_seconds(duration_ns: int) -> int:
    if duration_ns % UNITS["s"]:
        raise ValueError(f"{format_duration(duration_ns)} cannot be said in HTTP, which counts whole seconds")
    return duration_ns


Seconds = Annotated[Duration, AfterValidator(_whole_seconds)]


class Images(Record):
    """Container images; empty for the runtime's own choice."""

    cache: str = ""
    origin: str = ""


class HttpOptions(AccessOptions):
    """Options of ``http-caches``."""

    cache: Literal["varnish", "nginx"] = "varnish"
    caches: int = Field(default=2, ge=1, le=10)
    purge: Literal["sync", "async", "none"] = "sync"
    ttl: Seconds = parse_duration("2s")
    grace: Seconds = parse_duration("1s")
    use_stale: bool = False
    origin_latency: Duration = 0
    fetch_timeout: Annotated[Duration, Field(ge=UNITS["ms"])] = parse_duration("500ms")
    """How long a cache waits for the origin."""
    purge_timeout: Annotated[Duration, Field(ge=UNITS["ms"])] = parse_duration("250ms")
    """How long the origin waits for a cache to forget."""
    memory: int = Field(default=64, ge=1, le=65_536)
    images: Images = Images()

    @model_validator(mode="after")
    def _possible(self) -> HttpOptions:
        if self.use_stale and self.cache != "nginx":
            raise ValueError('use_stale = true is nginx\'s (proxy_cache_use_stale); with cache = "varnish" make grace longer')
        if self.tls and self.cache == "varnish":
            raise ValueError(
                'Varnish speaks no TLS of its own (usually hitch does, in front of it): cache = "nginx", or tls = false'
            )
        return self


class HttpCaches(OnRuntime):
    """Nodes ``origin``, ``cache-1``, ``cache-2`` and so on; caches fetch from the origin, which purges them.

    Attributes:
        topology, protocol, product: see ``harness.candidates.base.Candidate``.
    """

    protocol = "http"

    def __init__(self, spec: CandidateSpec) -> None:
        self._options = spec.read(HttpOptions)
        count = self._options.caches
        caches = tuple(Node(index, f"cache-{index}", "cache", "http", PORT) for index in range(1, count + 1))
        nodes = (Node(0, ORIGIN, "origin", "http", PORT), *caches)
        links = (
            *(Link(cache.name, ORIGIN) for cache in caches),
            *(Link(ORIGIN, cache.name) for cache in caches),
            *(Link("client", node.name) for node in nodes),
        )
        self.topology = Topology(nodes, links, writable=(0,), readable=tuple(cache.index for cache in caches))
        self.product: str = self._options.cache
        self._server = CACHE_SERVERS[self._options.cache]
        self._entrance = Entrance(self._options.access, tls=self._options.tls)
        self._secret = secrets.token_hex(16)
        self._caches = tuple(cache.name for cache in caches)
        self._admins: dict[str, HttpAdmin] = {}

    async def start(self, runtime: Runtime) -> None:
        """Start all nodes at once, and wait until they serve and every link between them carries. Raises ``StartupError``."""
        self._runtime = runtime
        self._admins = {node.name: HttpAdmin(runtime.endpoint(node.name), self.access) for node in self.topology.nodes}
        servers = (self._origin(), *map(self._cache, self._caches))
        await asyncio.gather(*(launch(runtime, server, self.access) for server in servers))
        await asyncio.gather(*map(self.ready, self._admins))
        try:
            for link in self.topology.links:
                if link.source != "client":
                    await (await self.probe(link)).close()
            self.product = self._server.product(await self._admins[self._caches[0]].get(THROUGH))
        except OSError as error:
            raise StartupError("the caches and the origin do not reach each other", why=str(error)) from None

    def _origin(self) -> Server:
        runtime, options = self._running, self._options
        told = {
            **runtime.endpoint(ORIGIN)._asdict(),
            "purge": options.purge,
            "purge_within_ms": options.purge_timeout / UNITS["ms"],
            "answers_after_ms": options.origin_latency / UNITS["ms"],
            "max_age_s": options.ttl // UNITS["s"],
            "stale_s": options.grace // UNITS["s"],
            "authorization": authorization(self.access) if self.access.password else "",
            "tls": options.tls,
            "caches": [self._told_of(name) for name in self._caches],
        }
        program = (files("harness.candidates") / "apps" / "origin.py").read_bytes()
        settings = File("origin.json", json.dumps(told).encode(), secret=True)
        # An image has an interpreter of its own; as a process, it is the one that runs the harness.
        python = sys.executable if runtime.name == "process" else "python3"
        arguments = ("origin.py", "origin.json")
        written = (File("origin.py", program), settings, *self._entrance.papers(ORIGIN))
        return Server(ORIGIN, python, arguments, image=options.images.origin, files=written)

    def _told_of(self, cache: str) -> dict[str, object]:
        """What the origin is told of a cache."""
        field = authorization_field(self.access)
        purge = f"{self._server.purge.replace('{secret}', self._secret)}{field}\r\n"
        mark = f"GET {IDENTITY} HTTP/1.1\r\nHost: {HOST}\r\n{field}\r\n"
        return {
            "name": cache,
            "purge": purge,
            "mark": mark,
            "tls": self._options.tls,
            **self._running.via(Link(ORIGIN, cache))._asdict(),
        }

    def _cache(self, name: str) -> Server:
        runtime, options = self._running, self._options
        return self._server.server(
            CacheSettings(
                node=name,
                own=runtime.endpoint(name),
                origin=runtime.via(Link(name, ORIGIN)),
                purger=runtime.endpoint(ORIGIN).host,
                secret=self._secret,
                grace_ms=options.grace // UNITS["ms"],
                timeout_ms=options.fetch_timeout // UNITS["ms"],
                use_stale=options.use_stale,
                memory_mb=options.memory,
                image=options.images.cache,
                access=self.access,
                papers=self._entrance.papers(name),
            )
        )

    @property
    def access(self) -> Access:
        """See ``harness.candidates.abilities.Guarded``."""
        return self._entrance.access

    async def ready(self, node: str) -> None:
        """Return when ``node`` serves; raises ``StartupError`` if it does not in time."""
        await served(self._running, node, self._missing, READY_WITHIN_S)

    async def _missing(self, node: str) -> str:
        await self._admins[node].identity()
        return ""

    async def identity(self, node: str) -> str:
        """What ``node`` says of its process, and which start of it that is. Raises ``OSError`` if it is silent."""
        said = await self._admins[node].identity()
        return f"{said}, start {self._running.incarnation(node)}"

    async def probe(self, link: Link) -> Probe:
        """A probe of ``link``: a client's question, a fetch past the cache, or a question of the origin. Raises ``OSError``."""
        endpoint = self._running.endpoint
        if link.source == "client":
            probe = client_probe(self._running.via(link), endpoint(link.target), self.access)
        else:
            path = MARK + link.target if link.source == ORIGIN else THROUGH
            probe = peer_probe(endpoint(link.source), endpoint(link.target), path, self.access)
        return await opened(probe)

    async def close(self) -> None:
        """Close the harness's own connections."""
        for admin in self._admins.values():
            admin.close()
