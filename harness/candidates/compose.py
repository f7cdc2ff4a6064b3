"""``compose``: the services of your own ``docker-compose.yml``, some of them as nodes.

    [candidate]
    kind = "compose"
    file = "docker-compose.yml"         # beside the plan
    nodes = [
      { service = "redis-primary", role = "primary", port = 6379 },
      { service = "redis-replica-1", role = "replica", port = 6379 },
    ]
    links = [ ["redis-replica-1", "redis-primary"] ]    # who connects to whom; default: every replica to the primary
    write_to = ["primary"]              # services or roles; the primary, or the first node, if not given
    read_from = ["all"]                 # all nodes if not given
    protocol = "resp"                   # what clients speak: resp | memcached | http

    [run]
    runtime = "compose"

Everything in the file is started, as a project of the run's own: see the runtime ``compose`` for what is changed in it and what
is not. Nodes are those services that clients ask and faults strike; all others, such as an application, just run. A service is a
node only if it is one container. The servers are configured by the file alone: a contract on staleness should know that a replica
of Redis takes a silent link for alive for ``repl-timeout``, which is a minute if nobody says otherwise.

With ``resp`` a node is known by its run id, its replication id and its role; marks that show whether a link carries are written
at the primary (keys ``anachron:canary:...``) and looked for at the replica. With ``memcached`` and ``http`` faults can strike
nodes and the links of clients: what runs between such nodes, nobody can tell from here. With ``http`` every node must answer a
GET of ``health`` with 200. Clients do not follow a fail-over: they write where ``write_to`` says.

Who is let in, as the servers were told by the file: ``username``, ``password_env`` (the environment variable with the password),
``tls``, ``tls_authority`` (a file with the certificates of who vouches for the nodes), ``tls_names = true | false`` (whether a
certificate has to name the address of its container, which is one of 172.28.0.0/16).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

from pydantic import Field

from harness.candidates.asking import TIMEOUT_NS, UnusableAnswerError
from harness.candidates.attached import ForeignOptions, access_to, chosen
from harness.candidates.base import Candidate
from harness.candidates.http_admin import HttpAdmin
from harness.candidates.memcached_admin import MemcachedAdmin
from harness.candidates.probes import MarkProbe, Probe, opened
from harness.candidates.redis_server import RedisServers, ServerOptions, expiring
from harness.candidates.serving import OnRuntime, served
from harness.clients.access import Access
from harness.errors import StartupError, UnsupportedError, suggestion
from harness.plan import CandidateSpec, Duration, Record
from harness.runtimes.base import Endpoint, Runtime
from harness.topology import Link, Node, Topology

READY_WITHIN_S = 60.0
"""How long a node may take to serve once its container runs: what it does before that is the user's business."""

_PORTS = {"resp": 6379, "memcached": 11_211, "http": 80}
_DIRECT = "the services of a compose file reach each other by their names"


class NodeOptions(Record):
    """One service that is a node."""

    service: str = Field(min_length=1)
    role: str = Field(default="node", min_length=1)
    port: int | None = Field(default=None, ge=1, le=65_535)
    """Where it listens in its container; the protocol's usual port if not given."""


class ComposeOptions(ForeignOptions):
    """Options of ``compose``."""

    file: str = "docker-compose.yml"
    """Relative to the plan's file; if there is none, to where anachron runs."""
    nodes: tuple[NodeOptions, ...] = Field(min_length=1)
    links: tuple[tuple[str, str], ...] | None = None
    """Pairs of services: who connects to whom."""
    protocol: Literal["resp", "memcached", "http"] = "resp"
    ttl: Duration = 0
    """How long every value may live (SET with PX); 0 for ever. Only with resp."""
    health: str = Field(default="/", pattern=r"^/\S*$")
    """What every node answers with 200. Only with http."""


def compose(spec: CandidateSpec) -> Candidate:
    """The candidate that ``spec`` describes; which one depends on its protocol. Raises ``PlanError``."""
    options = spec.read(ComposeOptions)
    for key, protocol in (("ttl", "resp"), ("health", "http")):
        if key in options.model_fields_set and options.protocol != protocol:
            raise spec.error(f'{key} is for protocol = "{protocol}", and this one is "{options.protocol}"', key=key)
    topology, access = _topology(spec, options), access_to(spec, options)
    if options.protocol == "resp":
        return ComposedRedis(options, topology, access)
    if access.password and not access.username:
        raise spec.error(f'protocol = "{options.protocol}" knows no password without a username', key="password_env")
    if options.protocol == "memcached":
        return ComposedCaches(topology, options.protocol, lambda endpoint: Memcached(endpoint, access), access)
    return ComposedCaches(topology, options.protocol, lambda endpoint: Http(endpoint, options.health, access), access)


class ComposedRedis(RedisServers):
    """Redis-like services."""

    def __init__(self, options: ComposeOptions, topology: Topology, access: Access) -> None:
        super().__init__(ServerOptions(), topology)
        self.product = "a compose file of Redis-like services"
        self.codec_options = expiring(options.ttl)
        self._access = access

    @property
    def access(self) -> Access:
        """See ``harness.candidates.abilities.Guarded``."""
        return self._access

    async def start(self, runtime: Runtime) -> None:
        """Return when every node serves, and what is written at the primaries arrives. Raises ``StartupError``."""
        _refuse_others(runtime)
        await super().start(runtime)

    async def _launch(self, node: str) -> None:
        """It runs already."""

    async def identity(self, node: str) -> str:
        """As for servers of our own; every container has its own process 1, so the start is told, too."""
        return f"{await super().identity(node)}, start {self._running.incarnation(node)}"


class Peer(Protocol):
    """The harness's own connection to a node that knows nothing of others. Both questions raise ``OSError``."""

    async def alive(self, within_ns: int = TIMEOUT_NS) -> str:
        """Return if the node answers; what it says of its make, if it does."""

    async def identity(self) -> str:
        """Who it says it is; empty if it does not."""

    def close(self) -> None:
        """Close the connection."""


class Memcached:
    """A ``Peer`` that speaks memcached's protocol."""

    def __init__(self, endpoint: Endpoint, access: Access) -> None:
        self._admin = MemcachedAdmin(endpoint, access)

    async def alive(self, within_ns: int = TIMEOUT_NS) -> str:
        """The version."""
        return f"memcached {await self._admin.version(within_ns)}"

    async def identity(self) -> str:
        """Process and time of birth."""
        return await self._admin.birth()

    def close(self) -> None:
        """See ``Peer``."""
        self._admin.close()


class Http:
    """A ``Peer`` that answers a GET of ``health``."""

    def __init__(self, endpoint: Endpoint, health: str, access: Access) -> None:
        self._admin = HttpAdmin(endpoint, access)
        self._health = health

    async def alive(self, within_ns: int = TIMEOUT_NS) -> str:
        """Nothing is known of its make."""
        await self._admin.get(self._health, within_ns)
        return "an HTTP service"

    async def identity(self) -> str:
        """It says nothing of that; its start tells it from others."""
        await self.alive()
        return "serving"

    def close(self) -> None:
        """See ``Peer``."""
        self._admin.close()


class ComposedCaches(OnRuntime):
    """Services that know nothing of each other, as far as can be told from here.

    Attributes:
        topology, protocol, product: see ``harness.candidates.base.Candidate``.
    """

    def __init__(self, topology: Topology, protocol: str, connect: Callable[[Endpoint], Peer], access: Access) -> None:
        self.topology = topology
        self.protocol = protocol
        self.product = f"a compose file of services that speak {protocol}"
        self.access = access
        self._connect = connect
        self._peers: dict[str, Peer] = {}

    async def start(self, runtime: Runtime) -> None:
        """Return when every node serves. Raises ``StartupError``."""
        _refuse_others(runtime)
        self._runtime = runtime
        self._peers = {node.name: self._connect(runtime.endpoint(node.name)) for node in self.topology.nodes}
        await asyncio.gather(*map(self.ready, self._peers))
        try:
            made = [await peer.alive() for peer in self._peers.values()]
        except OSError as error:
            raise StartupError("a service stopped serving right after it began", why=str(error)) from None
        self.product = ", ".join(dict.fromkeys(made))

    async def ready(self, node: str) -> None:
        """Return when ``node`` serves; raises ``StartupError`` if it does not in time."""
        await served(self._running, node, self._missing, READY_WITHIN_S)

    async def _missing(self, node: str) -> str:
        await self._peers[node].alive()
        return ""

    async def identity(self, node: str) -> str:
        """Who ``node`` says it is, and which start of its container that is. Raises ``OSError`` if it is silent."""
        return f"{await self._peers[node].identity()}, start {self._running.incarnation(node)}"

    async def probe(self, link: Link) -> Probe:
        """A question there and back, as a client asks it; nodes' own links are not ours to look into. Raises ``OSError``."""
        if link.source != "client":
            raise UnusableAnswerError(f"nothing can be sent over {link} from here")
        through, node = self._connect(self._running.via(link)), self._connect(self._running.endpoint(link.target))

        def close() -> None:
            through.close()
            node.close()

        return await opened(MarkProbe(through.alive, node.alive, close))

    async def close(self) -> None:
        """Close the harness's own connections."""
        for peer in self._peers.values():
            peer.close()


def _topology(spec: CandidateSpec, options: ComposeOptions) -> Topology:
    """Nodes and links as the plan names them; raises ``PlanError``."""
    file = next((path for path in (spec.directory / options.file, Path(options.file)) if path.is_file()), None)
    if file is None:
        raise spec.error(f'there is no compose file "{options.file}"', key="file", fix="its path begins where the plan is")
    port = _PORTS[options.protocol]
    nodes = tuple(
        Node(index, node.service, node.role, options.protocol, node.port or port) for index, node in enumerate(options.nodes)
    )
    names = [node.name for node in nodes]
    if len(set(names)) < len(names):
        raise spec.error("a service is a node twice", key="nodes", fix="name each service once")
    links = (*_links(spec, options, nodes), *(Link("client", name) for name in names))
    primaries = [node.name for node in nodes if node.role == "primary"]
    bare = Topology(nodes, links, (), ())
    writable = chosen(spec, bare, "write_to", options.write_to or tuple(primaries or names[:1]))
    readable = chosen(spec, bare, "read_from", options.read_from)
    return Topology(nodes, links, writable, readable, direct=_DIRECT, deployment=str(file.absolute()))


def _links(spec: CandidateSpec, options: ComposeOptions, nodes: Sequence[Node]) -> tuple[Link, ...]:
    """The links among nodes; raises ``PlanError``."""
    by_role = _by_role(nodes)
    if options.links is None:
        primaries = by_role.get("primary", ())
        if options.protocol != "resp" or len(primaries) != 1:
            return ()
        return tuple(Link(replica, primaries[0]) for replica in by_role.get("replica", ()))
    if options.links and options.protocol != "resp":
        raise spec.error(
            "links between nodes cannot be seen into",
            key="links",
            why=f'marks that show whether they carry are only known for protocol = "resp", and this one is "{options.protocol}"',
            fix="leave links out; faults on nodes and on links of clients need none",
        )
    names = [node.name for node in nodes]
    for name in (name for pair in options.links for name in pair):
        if name not in names:
            raise spec.error(f'no node is called "{name}"', key="links", fix=suggestion(name, names))
    sources = [source for source, _ in options.links]
    if len(set(sources)) < len(sources) or any(source == target for source, target in options.links):
        raise spec.error(
            "a replica follows one other node", key="links", fix="write one pair for each replica: [replica, whom it follows]"
        )
    return tuple(Link(source, target) for source, target in options.links)


def _by_role(nodes: Sequence[Node]) -> Mapping[str, Sequence[str]]:
    return {node.role: [other.name for other in nodes if other.role == node.role] for node in nodes}


def _refuse_others(runtime: Runtime) -> None:
    """Raise ``UnsupportedError`` on a runtime that would not start what the file describes."""
    if runtime.name != "compose":
        raise UnsupportedError(
            f'the runtime "{runtime.name}" does not start the services of a compose file', fix='set run.runtime = "compose"'
        )
