"""What a candidate is: a cache deployment that can be built on a runtime, asked who it is, and probed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from harness.plan import CandidateSpec
from harness.runtimes.base import Runtime, Way
from harness.topology import Link, Topology


class Probe(Protocol):
    """A mark that real peers send over one link, on connections that already exist."""

    async def carry(self, within_ns: int, way: Way = Way.BOTH) -> int | None:
        """How long a fresh mark took to arrive, in ns; None if it did not arrive in time although both ends serve.

        Args:
            within_ns: how long to wait for it.
            way: which direction of the link the mark has to travel: ``BOTH`` leaves it to the protocol that runs on the link.

        Raises ``OSError`` if an end of the link does not serve: then its silence says nothing about the link.
        """

    async def close(self) -> None:
        """Give the probe's connections back."""


class Candidate(Protocol):
    """A topology, and how to bring it to life.

    Attributes:
        topology: nodes, links, who may be written to and read from.
        protocol: the wire protocol of its clients: a name in ``harness.clients``.
        product: the server software in words, with its version once started: ``Valkey 8.1.1``.
    """

    topology: Topology
    protocol: str
    product: str

    def __init__(self, spec: CandidateSpec) -> None: ...

    async def start(self, runtime: Runtime) -> None:
        """Start all nodes on an opened ``runtime``, and return when every node serves. Raises ``StartupError``."""

    async def ready(self, node: str) -> None:
        """Return when ``node`` serves again after a restart; raises ``StartupError`` if it does not in time."""

    async def identity(self, node: str) -> str:
        """Who the node is as a source of answers: process, run id, replication id, role. Raises ``OSError`` if it is silent."""

    async def probe(self, link: Link) -> Probe:
        """A probe of ``link`` over connections opened now; links from ``client`` included."""

    async def close(self) -> None:
        """Close the candidate's own connections; the runtime stops the nodes."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A candidate that runs on a runtime."""

    candidate: Candidate
    runtime: Runtime

    @property
    def topology(self) -> Topology:
        """The candidate's topology."""
        return self.candidate.topology
