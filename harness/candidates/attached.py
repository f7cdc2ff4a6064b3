"""``attached``: a deployment that runs already, named by its addresses; for staging as it stands, and gently for production.

    [candidate]
    kind = "attached"
    nodes = [
      { name = "primary", role = "primary", address = "10.0.3.7:6379" },
      { name = "replica", role = "replica", address = "10.0.3.8:6379" },
    ]
    write_to = ["primary"]              # names or roles; the first node if not given
    read_from = ["all"]                 # all nodes if not given
    password_env = "CACHE_PASSWORD"     # the environment variable that holds the password, if there is one
    username = "anachron"               # of an ACL; the default user if not given
    tls = true                          # with tls_authority = "ca.pem", a file of certificates, if the machine trusts others
    load_cap = 50                       # operations a second, of all sessions together
    ttl = "10min"                         # of every key that is written: nothing stays behind

    [run]
    runtime = "attached"

Nothing is started, stopped or configured. Sessions read and write keys of their own, whose names begin with the run's token, and
no others; every node is asked ``INFO`` of two sections twenty times a second. Every workload must name a rate, and all rates
together must keep to ``load_cap``. Other clients go on as they please: what they do to their own keys is not looked at, and if
they flush or evict ours, that is a miss, which a contract of ``misses = "allowed"`` allows.

A node's identity is its run id, its replication id and its role, where the server tells them. What goes wrong is what the
owner's commands do: the fault ``command``. ``anachron run --dry-run`` says beforehand all that would be done.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from itertools import count
from pathlib import Path

from pydantic import Field, field_validator

from harness.candidates.access import AccessOptions
from harness.candidates.asking import UnusableAnswerError
from harness.candidates.probes import Probe, opened
from harness.candidates.redis_admin import Admin
from harness.candidates.redis_probes import ClientProbe
from harness.candidates.redis_server import expiring
from harness.clients.access import Access, Tls
from harness.durations import parse_duration
from harness.errors import StartupError, UnsupportedError, suggestion
from harness.plan import CandidateSpec, Duration, Record
from harness.runtimes.base import Runtime
from harness.topology import Link, Node, Topology

_PORT_MAX = 65_535


class NodeOptions(Record):
    """One node that runs already."""

    name: str = Field(min_length=1)
    role: str = Field(default="node", min_length=1)
    address: str
    """``host:port``; an IPv6 address in brackets."""

    @field_validator("address")
    @classmethod
    def _reachable(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) <= _PORT_MAX:
            raise ValueError(f'"{value}" is no address; write host:port, such as "10.0.3.7:6379"')
        return value

    @property
    def host(self) -> str:
        """The part before the port, without brackets."""
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The part after the host."""
        return int(self.address.rpartition(":")[2])


class ForeignOptions(AccessOptions):
    """Options of every candidate whose servers are not of our making."""

    write_to: tuple[str, ...] = ()
    read_from: tuple[str, ...] = ("all",)
    tls_authority: str = ""
    """A file with the certificates, in PEM, of those who vouch for the nodes; without it, whom this machine trusts."""
    tls_names: bool = True
    """Whether a node's certificate has to name the address at which it is reached."""


class AttachedOptions(ForeignOptions):
    """Options of ``attached``."""

    nodes: tuple[NodeOptions, ...] = Field(min_length=1)
    load_cap: float = Field(default=50.0, gt=0)
    ttl: Duration = parse_duration("10min")
    """How long what is written may live, so that nothing stays behind; it should outlast the run."""


class Attached:
    """Redis-like servers that run already; see ``harness.candidates.base.Candidate``.

    Attributes:
        access: see ``harness.candidates.abilities.Guarded``.
        load_cap: how many operations a second all sessions together may make.
        codec_options: see ``harness.candidates.abilities.Tuned``.
    """

    protocol = "resp"

    def __init__(self, spec: CandidateSpec) -> None:
        options = spec.read(AttachedOptions)
        nodes = tuple(
            Node(index, node.name, node.role, port=node.port, host=node.host) for index, node in enumerate(options.nodes)
        )
        if len({node.name for node in nodes}) < len(nodes):
            raise spec.error("two nodes have the same name", key="nodes", fix="name each of them differently")
        bare = Topology(nodes, tuple(Link("client", node.name) for node in nodes), (), ())
        writable = chosen(spec, bare, "write_to", options.write_to or (nodes[0].name,))
        readable = chosen(spec, bare, "read_from", options.read_from)
        self.topology = Topology(nodes, bare.links, writable, readable)
        self.product = "a deployment that runs already"
        self.access = access_to(spec, options)
        self.load_cap = options.load_cap
        self.codec_options = expiring(options.ttl)
        self._runtime: Runtime | None = None
        self._admins: dict[str, Admin] = {}
        self._marks = count(1)

    async def start(self, runtime: Runtime) -> None:
        """See that every node answers. Raises ``StartupError``, and ``UnsupportedError`` on a runtime that would start nodes."""
        if runtime.name != "attached":
            raise UnsupportedError(
                f'the candidate "attached" starts no nodes, and the runtime "{runtime.name}" has none that run already',
                fix='set run.runtime = "attached"',
            )
        self._runtime = runtime
        self._admins = {node.name: Admin(runtime.endpoint(node.name), self.access) for node in self.topology.nodes}
        await asyncio.gather(*(self.ready(node.name) for node in self.topology.nodes))
        info = await self._admins[self.topology.nodes[0].name].info("server")
        version = info.get("valkey_version") or info.get("redis_version")
        if version:
            self.product = f"{'Valkey' if 'valkey_version' in info else 'Redis'} {version}, running already"

    async def ready(self, node: str) -> None:
        """Return if ``node`` answers; raises ``StartupError`` if it does not."""
        admin = self._admins[node]
        try:
            await admin.call("PING")
        except OSError as error:
            host, port = admin.endpoint
            raise StartupError(
                f"{node} does not answer", where=f"{host}:{port}", why=str(error), fix="is that its address, as seen from here?"
            ) from None

    async def identity(self, node: str) -> str:
        """Run id, replication id and role of ``node``. Raises ``OSError`` if it is silent."""
        server = await self._admins[node].info("server")
        replication = await self._admins[node].info("replication")
        if "run_id" not in server:
            raise UnusableAnswerError(f"{node} does not say its run_id")
        return ", ".join(
            (
                f"run {server['run_id'][:12]}",
                f"replication {replication.get('master_replid', '')[:12]}",
                replication.get("role", "no role"),
            )
        )

    async def probe(self, link: Link) -> Probe:
        """A ping on a connection of its own; links among nodes are not ours to look into. Raises ``OSError``."""
        if self._runtime is None or link.source != "client":
            raise UnusableAnswerError(f"nothing can be sent over {link} from here")
        probe = ClientProbe(self._runtime.via(link), Admin(self._runtime.endpoint(link.target), self.access), self._marks)
        return await opened(probe)

    async def close(self) -> None:
        """Close the harness's own connections."""
        for admin in self._admins.values():
            admin.close()


def access_to(spec: CandidateSpec, options: ForeignOptions) -> Access:
    """What clients need to be let in; raises ``PlanError`` for certificates that cannot be read."""
    if not options.tls:
        return options.access
    tls = Tls(names=options.tls_names)
    if options.tls_authority:
        try:
            tls = Tls(Path(options.tls_authority).read_text(encoding="ascii"), options.tls_names)
            tls.context()
        except (OSError, ssl.SSLError, UnicodeDecodeError) as error:
            raise spec.error(
                f"{options.tls_authority} has no certificates that can be read", key="tls_authority", why=str(error)
            ) from None
    return replace(options.access, tls=tls)


def chosen(spec: CandidateSpec, topology: Topology, key: str, names: tuple[str, ...]) -> tuple[int, ...]:
    """The indices of the nodes that ``names`` mean; raises ``PlanError`` for a name that means none."""
    found = set()
    for name in names:
        nodes = topology.named(name)
        if not nodes:
            known = [word for node in topology.nodes for word in (node.name, node.role)]
            raise spec.error(f'no node is called "{name}"', key=key, fix=suggestion(name, sorted({*known, "all"})))
        found |= {node.index for node in nodes}
    return tuple(sorted(found))
