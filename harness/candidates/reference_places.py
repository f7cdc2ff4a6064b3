"""A reference fleet as real processes: every place of its design is one, and speaks to the others over sockets.

The bus may be Redis, and the origin PostgreSQL, in place of processes of our own. What is our own keeps what it has for as long
as it lives; nothing of it is written to a disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import count
from typing import Any

from harness.candidates.access import AccessOptions
from harness.candidates.app_nodes import AppNodes
from harness.candidates.asking import TIMEOUT_NS
from harness.candidates.backends import Backend
from harness.candidates.probes import Probe, opened
from harness.candidates.redis_admin import Admin
from harness.reference.messages import ORIGIN
from harness.reference.settings import Settings
from harness.runtimes.base import Endpoint, Runtime, Way
from harness.topology import Link, Topology

_MODULES = ("__init__", "durations", "errors", "findings", "plan", "plan_errors", "results", "values")
"""What of the harness itself a place imports beside the package of the reference fleet."""


@dataclass(frozen=True, slots=True)
class ServerInPlace:
    """A server that plays the part of a place.

    Attributes:
        kind: how its places call it: ``postgres``, ``redis``.
        backend: makes it, for its address.
    """

    kind: str
    backend: Callable[[Endpoint], Backend]


class Places(AppNodes):
    """The processes of a fleet.

    Args:
        topology: its places and links.
        strategy: what it is, in the words of a plan.
        settings: its times.
        servers: those that play the part of a place, by its name.
        options: how clients, and the places themselves, are let in.
    """

    one_by_one = ""
    """See ``AppNodes``: its places take requests of several keys."""

    def __init__(
        self,
        topology: Topology,
        strategy: str,
        settings: Settings,
        servers: Mapping[str, ServerInPlace],
        *,
        options: AccessOptions,
    ) -> None:
        backends = {name: server.backend for name, server in servers.items()}
        super().__init__(topology, "reference", backends, self._told, options=options)
        self._strategy = strategy
        self._times = settings
        self._servers = servers
        self._place_marks = count(1)

    def modules(self) -> Mapping[str, bytes]:
        """The reference fleet, and what it stands on."""
        own = {f"harness/{name}.py": (files("harness") / f"{name}.py").read_bytes() for name in _MODULES}
        return own | dict(_package("harness/reference", files("harness.reference")))

    def _told(self, runtime: Runtime, node: str) -> Mapping[str, Any]:
        peers = {link.target: runtime.via(link) for link in self.topology.links if link.source == node}
        return {
            "strategy": self._strategy,
            "nodes": [each.name for each in self.topology.nodes if each.role == "node"],
            "peers": peers,
            "services": {name: server.kind for name, server in self._servers.items() if name in peers},
            "times": asdict(self._times),
        }

    async def audit(self, *, seal: bool) -> Sequence[bytes]:
        """See ``harness.candidates.abilities.Audited``; a fleet without an origin has no audit, and raises ``OSError``."""
        words = ("AUDIT", *(("SEAL",) if seal else ()))
        if ORIGIN in self._apps:
            answer = await self._apps[ORIGIN].call(*words, within_ns=10 * TIMEOUT_NS)
        else:
            answer = await self.ask_any(*words, within_ns=10 * TIMEOUT_NS)
        return str(answer).encode().split(b"\n") if answer else []

    async def probe(self, link: Link) -> Probe:
        """See ``AppNodes``; between two places a mark goes there and back."""
        if link.source == "client" or link.target in self._servers:
            return await super().probe(link)
        return await opened(PlaceProbe(link, self.admin(link.source), self._place_marks))


class PlaceProbe:
    """Probes a link from one place to another: a question and its answer, so always both ways."""

    def __init__(self, link: Link, source: Admin, marks: count[int]) -> None:
        self._link = link
        self._source = source
        self._marks = marks

    async def open(self) -> None:
        """Let the place connect; raises ``OSError``."""
        if await self.carry(2 * TIMEOUT_NS) is None:
            raise ConnectionError(f"{self._link} does not carry")

    async def carry(self, within_ns: int, way: Way = Way.BOTH) -> int | None:  # noqa: ARG002 - an answer needs both ways
        """See ``harness.candidates.probes.Probe``."""
        words = ("PROBE", self._link.target, str(next(self._marks)), str(max(1, within_ns // 1_000_000)))
        took_ns = await self._source.call(*words, within_ns=within_ns + TIMEOUT_NS)
        return took_ns if isinstance(took_ns, int) else None

    async def close(self) -> None:
        """See ``harness.candidates.probes.Probe``."""
        self._source.close()


def _package(path: str, package: Traversable) -> Iterator[tuple[str, bytes]]:
    for thing in package.iterdir():
        if thing.is_dir() and not thing.name.startswith("_"):
            yield from _package(f"{path}/{thing.name}", thing)
        elif thing.name.endswith(".py"):
            yield f"{path}/{thing.name}", thing.read_bytes()
