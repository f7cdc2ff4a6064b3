"""Application nodes and the servers behind them: how a topology of both is started, asked and probed.

Clients know the application nodes alone. Those speak RESP, so that a Redis client drives them; what they do with a key is the
program's business (``harness.candidates.apps``).
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
import zipfile
from collections.abc import Callable, Mapping
from importlib.resources import files
from itertools import count
from typing import Any

from harness.candidates.access import AccessOptions, launch, secret_lines
from harness.candidates.asking import TIMEOUT_NS, UnusableAnswerError
from harness.candidates.backends import Backend
from harness.candidates.probes import Probe, opened
from harness.candidates.redis_access import Guard
from harness.candidates.redis_admin import Admin
from harness.candidates.redis_probes import ClientProbe
from harness.candidates.serving import OnRuntime, served
from harness.clients.access import Access
from harness.errors import StartupError
from harness.runtimes.base import Endpoint, File, Runtime, Server, Way
from harness.topology import Link, Node, Topology

READY_WITHIN_S = 30.0
"""How long a node may take to serve: a database that is made anew takes seconds on a busy machine."""

BUNDLE = "anachron-apps.pyz"
_ACCESS = "access.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MS = 1_000_000

Settings = Callable[[Runtime, str], Mapping[str, Any]]
"""What an application node is told, by the runtime and its name."""


class AppNodes(OnRuntime):
    """Application nodes that all run one program, and the servers behind them.

    Args:
        topology: of role ``app`` the application nodes; every other node has a backend.
        program: of ``harness.candidates.apps``.
        backends: makes the backend of a node, by its name, for its address.
        settings: what the program is told.
        options: how clients and applications are let in.
        image: of the application nodes.

    Attributes:
        topology, protocol, product: see ``harness.candidates.base.Candidate``.
        one_by_one: see ``harness.candidates.abilities.OneByOne``.
    """

    protocol = "resp"
    one_by_one = "its application reads and writes one key at a time"

    def __init__(
        self,
        topology: Topology,
        program: str,
        backends: Mapping[str, Callable[[Endpoint], Backend]],
        settings: Settings,
        *,
        options: AccessOptions,
        image: str = "",
    ) -> None:
        self._guard = Guard(options.access, tls=options.tls)
        self.topology = topology
        self.product = f"{program} over {', '.join(backends)}"
        self._program = program
        self._makers = backends
        self._settings = settings
        self._image = image
        self._backends: dict[str, Backend] = {}
        self._apps: dict[str, Admin] = {}
        self._marks = count(1)

    async def start(self, runtime: Runtime) -> None:
        """Start the servers, then the applications, and wait until all serve. Raises ``StartupError``."""
        self._runtime = runtime
        self._backends = {name: make(runtime.endpoint(name)) for name, make in self._makers.items()}
        self._apps = {name: Admin(runtime.endpoint(name), self.access) for name in self._names if name not in self._makers}
        bundle = File(BUNDLE, bundled(self.modules()))
        servers = [backend.server(runtime) for backend in self._backends.values()]
        await asyncio.gather(*(launch(runtime, server, self.access) for server in servers))
        await asyncio.gather(*map(self.ready, self._backends))
        await asyncio.gather(*(runtime.start(self._app(name, bundle)) for name in self._apps))
        await asyncio.gather(*map(self.ready, self._apps))
        try:
            products = [await backend.product() for backend in self._backends.values()]
        except OSError as error:
            raise StartupError("a server does not say its version", why=str(error)) from None
        self.product = f"{self._program} over {', '.join(dict.fromkeys(products))}"

    def _app(self, name: str, bundle: File) -> Server:
        host, port = self._running.endpoint(name)
        told = json.dumps({"node": name, "listen": (host, port), **self._settings(self._running, name)})
        # The interpreter that runs the harness has the libraries of its installation; an image has its own.
        python = sys.executable if self._running.name == "process" else "python3"
        access = self.access
        if access.password or access.tls:
            words = {"username": access.username, "password": access.password, "tls": access.tls is not None}
            secret = secret_lines(_ACCESS, json.dumps(words))
            arguments = (BUNDLE, self._program, told, _ACCESS)
            return Server(name, python, arguments, image=self._image, files=(bundle, secret, *self._guard.papers(name)))
        return Server(name, python, (BUNDLE, self._program, told), image=self._image, files=(bundle,))

    def modules(self) -> Mapping[str, bytes]:
        """What the program imports beside the package of the applications, by its path in the bundle."""
        return {}

    @property
    def access(self) -> Access:
        """See ``harness.candidates.abilities.Guarded``."""
        return self._guard.access

    async def ready(self, node: str) -> None:
        """Return when ``node`` serves; raises ``StartupError`` if it does not in time."""
        await served(self._running, node, self._missing, READY_WITHIN_S)

    async def _missing(self, node: str) -> str:
        if node in self._backends:
            await self._backends[node].identity()
        else:
            await self._apps[node].call("PING")
        return ""

    async def identity(self, node: str) -> str:
        """Which start of ``node`` it is, and who it says it is. Raises ``OSError`` if it is silent."""
        start = self._running.incarnation(node)
        said = await (self._backends[node].identity() if node in self._backends else self._apps[node].call("WHO"))
        return f"start {start}, {said}"

    async def probe(self, link: Link) -> Probe:
        """A probe of ``link``: a ping from a client, or a mark from the application itself. Raises ``OSError``."""
        probe: ClientProbe | AppProbe
        if link.source == "client":
            probe = ClientProbe(self._running.via(link), self.admin(link.target), self._marks)
        else:
            probe = AppProbe(link, self.admin(link.source), self._backends[link.target], self._marks)
        return await opened(probe)

    def admin(self, node: str) -> Admin:
        """A connection of the caller's own to ``node``, which speaks RESP."""
        return Admin(self._running.endpoint(node), self.access)

    async def ask_any(self, *words: str, within_ns: int = TIMEOUT_NS) -> Any:
        """The answer of the first application that gives one; raises ``OSError`` if none does."""
        failures = []
        for admin in self._apps.values():
            try:
                return await admin.call(*words, within_ns=within_ns)
            except OSError as error:
                failures.append(str(error))
        raise UnusableAnswerError("; ".join(failures))

    async def close(self) -> None:
        """Close the harness's own connections."""
        for admin in self._apps.values():
            admin.close()
        for backend in self._backends.values():
            backend.close()

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(node.name for node in self.topology.nodes)


class AppProbe:
    """Probes a link from an application to a server behind it: a question and its answer, so always both ways.

    The application itself sends the mark, over a connection that it opened at the first one and keeps.
    """

    def __init__(self, link: Link, app: Admin, backend: Backend, marks: count[int]) -> None:
        self._link = link
        self._app = app
        self._backend = backend
        self._marks = marks

    async def open(self) -> None:
        """Let the application connect; raises ``OSError``."""
        if await self.carry(2 * TIMEOUT_NS) is None:
            raise UnusableAnswerError(f"{self._link} does not carry")

    async def carry(self, within_ns: int, way: Way = Way.BOTH) -> int | None:  # noqa: ARG002 - an answer needs both ways
        """See ``harness.candidates.probes.Probe``."""
        words = ("PROBE", self._link.target, str(next(self._marks)), str(max(1, within_ns // _MS)))
        took_ns = await self._app.call(*words, within_ns=within_ns + TIMEOUT_NS)
        if isinstance(took_ns, int):
            return took_ns
        await self._backend.identity()  # a server that does not serve raises: its silence would prove nothing
        return None

    async def close(self) -> None:
        """See ``harness.candidates.probes.Probe``."""
        self._app.close()


def app_topology(apps: int, *backends: Node, writers: int | None = None) -> Topology:
    """Nodes ``app-1`` and so on, which clients read from, and the servers behind them, each linked to every one of them.

    ``backends`` are given with the index 0. Clients write to the first ``writers`` applications; to all of them if not given.
    """
    nodes = tuple(Node(index, f"app-{index + 1}", "app") for index in range(apps))
    behind = tuple(Node(apps + at, node.name, node.role, node.protocol, node.port) for at, node in enumerate(backends))
    everyone = tuple(range(apps))
    return Topology(
        (*nodes, *behind),
        (
            *(Link(app.name, node.name) for app in nodes for node in behind),
            *(Link("client", app.name) for app in nodes),
        ),
        writable=everyone[:writers],
        readable=everyone,
    )


def bundled(modules: Mapping[str, bytes]) -> bytes:
    """The package of the applications and ``modules`` as one file that Python runs; the same bytes for the same programs."""
    package = files("harness.candidates") / "apps"
    sources = {f"apps/{source.name}": source.read_bytes() for source in package.iterdir() if source.name.endswith(".py")}
    sources |= modules
    sources["__main__.py"] = b"from apps.main import main\n\nmain()\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        for name in sorted(sources):
            bundle.writestr(zipfile.ZipInfo(name, _EPOCH), sources[name], zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
