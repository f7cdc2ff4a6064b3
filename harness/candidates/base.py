"""What a candidate is: a cache deployment that can be built on a runtime, asked who it is, and probed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.candidates.probes import Probe
from harness.plan import CandidateSpec
from harness.runtimes.base import Runtime
from harness.topology import Link, Topology


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


class Clients(Protocol):
    """Those who drive the candidate."""

    def cancel(self, share: float, nodes: Sequence[int]) -> None:
        """Let this share of the operations at ``nodes`` be given up in flight from now on; 0 for none."""

    def cancelled(self) -> int:
        """How many were given up so far."""

    def leave_out(self, nodes: Sequence[int], *, every: bool) -> None:
        """From now on, let sessions take ``nodes`` for no members of the pool; every session, or every other one."""

    def diverted(self) -> int:
        """How many operations went elsewhere for that so far."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A candidate that runs on a runtime.

    Attributes:
        candidate, runtime: those.
        clients: who drives it; None where nobody does.
    """

    candidate: Candidate
    runtime: Runtime
    clients: Clients | None = None

    @property
    def topology(self) -> Topology:
        """The candidate's topology."""
        return self.candidate.topology
