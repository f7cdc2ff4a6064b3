"""A reference fleet as real processes: every place of its design is one, and speaks to the others over sockets.

The origin's process keeps what it has for as long as it lives, and so does the bus; nothing is written to a disk.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import count
from typing import Any

from harness.candidates.app_nodes import BUNDLE, READY_WITHIN_S, bundled
from harness.candidates.asking import TIMEOUT_NS, UnusableAnswerError
from harness.candidates.probes import Probe, opened
from harness.candidates.redis_admin import Admin
from harness.candidates.redis_probes import ClientProbe
from harness.candidates.serving import OnRuntime, served
from harness.clients.access import OPEN
from harness.reference.messages import ORIGIN
from harness.reference.settings import Settings
from harness.runtimes.base import File, Runtime, Server, Way
from harness.topology import Link, Topology

_MODULES = ("__init__", "durations", "errors", "findings", "plan", "plan_errors", "results", "values")
"""What of the harness itself a place imports beside the package of the reference fleet."""

_PROGRAM = "reference"


class Places(OnRuntime):
    """The processes of a fleet.

    Args:
        topology: its places and links.
        strategy: what it is, in the words of a plan.
        settings: its times.
    """

    def __init__(self, topology: Topology, strategy: str, settings: Settings) -> None:
        self._topology = topology
        self._strategy = strategy
        self._settings = settings
        self._admins: dict[str, Admin] = {}
        self._marks = count(1)

    async def start(self, runtime: Runtime) -> None:
        """Start all places, and wait until each serves. Raises ``StartupError``."""
        self._runtime = runtime
        names = [node.name for node in self._topology.nodes]
        self._admins = {name: Admin(runtime.endpoint(name), OPEN) for name in names}
        bundle = File(BUNDLE, bundled(dict(_modules())))
        await asyncio.gather(*(runtime.start(self._server(name, bundle)) for name in names))
        await asyncio.gather(*map(self.ready, names))

    def _server(self, name: str, bundle: File) -> Server:
        runtime = self._running
        host, port = runtime.endpoint(name)
        peers = {link.target: runtime.via(link) for link in self._topology.links if link.source == name}
        told: Mapping[str, Any] = {
            "node": name,
            "listen": (host, port),
            "strategy": self._strategy,
            "nodes": [node.name for node in self._topology.nodes if node.role == "node"],
            "peers": peers,
            "times": asdict(self._settings),
        }
        python = sys.executable if runtime.name == "process" else "python3"
        return Server(name, python, (BUNDLE, _PROGRAM, json.dumps(told)), files=(bundle,))

    async def ready(self, node: str) -> None:
        """Return when ``node`` serves; raises ``StartupError`` if it does not in time."""

        async def missing(name: str) -> str:
            await self._admins[name].call("PING")
            return ""

        await served(self._running, node, missing, READY_WITHIN_S)

    async def identity(self, node: str) -> str:
        """Which start of ``node`` it is, and who it says it is. Raises ``OSError`` if it is silent."""
        return f"start {self._running.incarnation(node)}, {await self._admins[node].call('WHO')}"

    async def audit(self, *, seal: bool) -> Sequence[bytes]:
        """See ``harness.candidates.abilities.Audited``; a fleet without an origin has no audit."""
        if ORIGIN not in self._admins:
            raise UnusableAnswerError("there is no source of truth")
        answer = await self._admins[ORIGIN].call("AUDIT", *(("SEAL",) if seal else ()), within_ns=10 * TIMEOUT_NS)
        return str(answer).encode().split(b"\n") if answer else []

    async def probe(self, link: Link) -> Probe:
        """A probe of ``link``: a ping from a client, or a mark from the place itself. Raises ``OSError``."""
        if link.source == "client":
            return await opened(
                ClientProbe(self._running.via(link), Admin(self._running.endpoint(link.target), OPEN), self._marks)
            )
        return await opened(PlaceProbe(link, Admin(self._running.endpoint(link.source), OPEN), self._marks))

    async def close(self) -> None:
        """Close the harness's own connections."""
        for admin in self._admins.values():
            admin.close()


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


def _modules() -> Iterator[tuple[str, bytes]]:
    """What a place imports, by its path in the bundle."""
    for name in _MODULES:
        yield f"harness/{name}.py", (files("harness") / f"{name}.py").read_bytes()
    yield from _package("harness/reference", files("harness.reference"))


def _package(path: str, package: Traversable) -> Iterator[tuple[str, bytes]]:
    for thing in package.iterdir():
        if thing.is_dir() and not thing.name.startswith("_"):
            yield from _package(f"{path}/{thing.name}", thing)
        elif thing.name.endswith(".py"):
            yield f"{path}/{thing.name}", thing.read_bytes()
