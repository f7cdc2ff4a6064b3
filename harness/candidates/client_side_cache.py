"""``client-side-cache``: applications that read Redis or Valkey through redis-py's own client-side cache.

The library asks the server to track what a connection reads (RESP3), answers repeated reads from memory, and drops what the
server names as changed. The server's documentation asks clients to forget everything when that connection is lost. Healthy, a
read is stale by the way of one push. A connection that is cut *silently* is not lost to anybody: hits never touch it, so the
cache goes on answering, without an error, for as long as the cut lasts, and after it until the system repeats what it could not
deliver, which takes the longer the longer the cut was. If the server restarts during the cut there is nothing left to repeat: old
values are served until the connection is found dead. So this candidate promises bounded staleness on whole links alone. One
command that has to be sent ends it: its time-out closes the connection, and with it goes the cache. Let ``writers = 1`` write at
``app-1`` only, and cut another one off, to see what applications see that read the same few keys again and again.

redis-py (8.1 at the time of writing) refuses servers that call themselves older than 7.4 (``MIN_ALLOWED_VERSION``), although
tracking is there since 6.0, and servers that do not call themselves ``redis`` in their greeting. Debian has Redis 7.0, Valkey
calls itself ``valkey``. So both checks are off unless ``check_version = true``; what the library then does is the same.

With several ``threads`` the library breaks without any fault: a connection that asks for a key which another one is just reading
takes the entry in progress for a hit, sends nothing, and waits for a reply until its time-out.

Nodes ``app-1`` and so on, ``server``. Options: ``apps = 2`` (1 to 10), ``writers`` (all), ``server = "redis" | "valkey"``,
``check_version = false``, ``threads = 1`` (of each application: it has as many connections at most), ``retries = 0`` (the
library's own default of 3 sends a write again that may have been carried out), ``entries = 10000``, ``timeout = "500ms"`` of a
command that is sent, ``images``. Who is let in, at the applications and by the server: ``tls``, ``username``, ``password_env``
(the environment variable with the password).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from harness.candidates.access import AccessOptions
from harness.candidates.app_nodes import AppNodes, app_topology
from harness.candidates.backends import Backend, RedisBackend
from harness.durations import UNITS
from harness.plan import CandidateSpec, Duration, Record
from harness.runtimes.base import Endpoint, Runtime
from harness.topology import Link, Node

_MS = UNITS["ms"]


class CscImages(Record):
    """Container images by the part that they play; empty for the runtime's own choice."""

    app: str = ""
    server: str = ""


class ClientSideCacheOptions(AccessOptions):
    """Options of ``client-side-cache``."""

    apps: int = Field(default=2, ge=1, le=10)
    server: Literal["redis", "valkey"] = "redis"
    writers: int | None = Field(default=None, ge=1)
    """How many applications take writes; without it all of them."""
    check_version: bool = False
    threads: int = Field(default=1, ge=1, le=64)
    retries: int = Field(default=0, ge=0, le=10)
    entries: int = Field(default=10_000, ge=1)
    timeout: Duration = Field(default=500 * _MS, ge=_MS)
    images: CscImages = CscImages()


class ClientSideCache(AppNodes):
    """See the module."""

    def __init__(self, spec: CandidateSpec) -> None:
        self._options = spec.read(ClientSideCacheOptions)
        if (self._options.writers or 0) > self._options.apps:
            raise spec.error(
                f"{self._options.writers} applications cannot take writes, for there are {self._options.apps}",
                key="writers",
                fix="raise apps or lower writers",
            )
        topology = app_topology(self._options.apps, Node(0, "server", "origin"), writers=self._options.writers)
        backends = {"server": self._server}
        super().__init__(
            topology, "client-side-cache", backends, self._told, options=self._options, image=self._options.images.app
        )

    async def start(self, runtime: Runtime) -> None:
        """See ``harness.candidates.base.Candidate``; the library's version is part of the product."""
        await super().start(runtime)
        library = self.admin("app-1")
        try:
            self.product = (
                f"{await library.call('VERSION')} with its client-side cache over {self.product.partition(' over ')[2]}"
            )
        finally:
            library.close()

    def _server(self, endpoint: Endpoint) -> Backend:
        return RedisBackend("server", self._options.server, self._options.images.server, endpoint, self._guard)

    def _told(self, runtime: Runtime, node: str) -> Mapping[str, Any]:
        options = self._options
        return {
            "server": runtime.via(Link(node, "server")),
            "kind": options.server,
            "check_version": options.check_version,
            "threads": options.threads,
            "retries": options.retries,
            "entries": options.entries,
            "timeout_ms": options.timeout // _MS,
        }
