"""``invalidation-bus``: applications with near caches, and a Redis channel that tells all of them of every write.

Each application keeps what it read in its own process. A write is committed at the source of truth, then its key is published on
the bus, then it is acknowledged; every subscriber drops the key. A fill that was under way when its key was named is not kept, so
that no late fill survives its invalidation. What is left is the bus itself: Redis pub/sub delivers at most once, to those who are
subscribed at that moment.

What a node makes of a lost subscription decides what it promises:

``reconnect = "flush"``    The near cache is not used without a subscription, and empty after a new one. With a ``heartbeat`` a
                           silent cut is noticed after at most three of its intervals, so a read is stale by no more than that
                           and the way of a message. Without one it lasts until the system gives the connection up.
``reconnect = "nothing"``  The classic mistake: subscribe again and go on as if nothing had been missed. What was published
                           meanwhile is stale in this process until the next write of the key or the end of its ``ttl``.

A cut alone loses nothing: the system repeats what the connection lost, and messages arrive late. Messages are lost when the
server gives a subscriber up during the cut: by ``client-kill`` of ``pubsub`` connections, or by its output buffer's limit.

Nodes ``app-1`` and so on, ``bus``, ``origin``. Options: ``apps = 2`` (1 to 10), ``server = "redis" | "valkey"`` of the bus,
``source = "redis" | "postgres"``, ``reconnect``, ``heartbeat = "200ms"`` (``"0ms"`` for none),
``failed_publish = "retry" | "report" | "ignore"`` (a write whose message could not be sent is left unknown, and its message sent
as soon as the bus is reached; or only left unknown; or even acknowledged), ``ttl`` (off), ``timeout = "500ms"`` of every question
to a server, ``images``. Who is let in, at the applications and by the servers: ``tls``, ``username``, ``password_env`` (the
environment variable with the password; PostgreSQL has one user, ``anachron``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from harness.candidates.access import AccessOptions
from harness.candidates.app_nodes import AppNodes, app_topology
from harness.candidates.backends import Backend, PostgresBackend, RedisBackend
from harness.durations import UNITS
from harness.plan import CandidateSpec, Duration, Record
from harness.runtimes.base import Endpoint, Runtime
from harness.topology import Link, Node

_MS = UNITS["ms"]


class BusImages(Record):
    """Container images by the part that they play; empty for the runtime's own choice."""

    app: str = ""
    bus: str = ""
    origin: str = ""


class InvalidationBusOptions(AccessOptions):
    """Options of ``invalidation-bus``."""

    apps: int = Field(default=2, ge=1, le=10)
    server: Literal["redis", "valkey"] = "redis"
    source: Literal["redis", "postgres"] = "redis"
    reconnect: Literal["flush", "nothing"] = "flush"
    heartbeat: Duration = 200 * _MS
    failed_publish: Literal["retry", "report", "ignore"] = "retry"
    ttl: Duration = 0
    timeout: Duration = Field(default=500 * _MS, ge=_MS)
    images: BusImages = BusImages()


class InvalidationBus(AppNodes):
    """See the module."""

    def __init__(self, spec: CandidateSpec) -> None:
        self._options = spec.read(InvalidationBusOptions)
        origin = ("sql", 5_432) if self._options.source == "postgres" else ("resp", 6_379)
        topology = app_topology(self._options.apps, Node(0, "bus", "bus"), Node(0, "origin", "origin", *origin))
        backends = {"bus": self._bus, "origin": self._origin}
        super().__init__(
            topology, "invalidation-bus", backends, self._told, options=self._options, image=self._options.images.app
        )

    def _bus(self, endpoint: Endpoint) -> Backend:
        return RedisBackend("bus", self._options.server, self._options.images.bus, endpoint, self._guard)

    def _origin(self, endpoint: Endpoint) -> Backend:
        image = self._options.images.origin
        if self._options.source == "postgres":
            return PostgresBackend("origin", image, endpoint, self._guard)
        return RedisBackend("origin", self._options.server, image, endpoint, self._guard)

    def _told(self, runtime: Runtime, node: str) -> Mapping[str, Any]:
        options = self._options
        return {
            "origin": runtime.via(Link(node, "origin")),
            "source": options.source,
            "bus": runtime.via(Link(node, "bus")),
            "reconnect": options.reconnect,
            "heartbeat_ms": options.heartbeat // _MS,
            "failed_publish": options.failed_publish,
            "ttl_ms": options.ttl // _MS,
            "timeout_ms": options.timeout // _MS,
        }
