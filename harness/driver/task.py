"""What a driver worker is told: everything it needs to play its part of a run."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.clients.access import OPEN, Access
from harness.plan import WorkloadSpec
from harness.routing import Routing
from harness.runtimes.base import Endpoint
from harness.topology import Topology


@dataclass(frozen=True, slots=True)
class Task:
    """One run, from the driver's point of view; sent to every worker as it is.

    Attributes:
        workloads: the plan's workloads.
        seed: the plan's seed.
        topology: the candidate's nodes.
        endpoints: where clients reach each node, in the order of ``topology.nodes``.
        protocol: name of the wire protocol in ``harness.clients.CODECS``.
        codec_options: what the protocol's codec takes beside its defaults.
        routing: how clients find their way by themselves; None where every operation names its node.
        access: what clients need to be let in.
        timeout_ns: how long an operation may take before it is ``info``.
        origin_ns: the run's start on CLOCK_MONOTONIC, which all processes of a machine share; all other times count from it.
        directory: where the journals go; it exists and is empty.
        workers: number of driver processes.
        load_cap: how many operations a second the probes after the run may make; None for no limit.
    """

    workloads: tuple[WorkloadSpec, ...]
    seed: int
    topology: Topology
    endpoints: tuple[Endpoint, ...]
    protocol: str
    timeout_ns: int
    origin_ns: int
    directory: Path
    workers: int = 1
    load_cap: float | None = None
    codec_options: tuple[tuple[str, Any], ...] = ()
    routing: Routing | None = None
    access: Access = OPEN

    @property
    def token(self) -> str:
        """What the names of this run's keys begin with: short, the same for all workers, and of no other run."""
        return hashlib.blake2b(f"{self.seed} {self.origin_ns} {self.directory}".encode(), digest_size=4).hexdigest()

    @property
    def labels(self) -> tuple[str, ...]:
        """A name for each workload: see ``labels_of``."""
        return labels_of(self.workloads)


def labels_of(workloads: Sequence[WorkloadSpec]) -> tuple[str, ...]:
    """A name for each workload: its kind, numbered where the plan has several of that kind."""
    kinds = [spec.kind.rpartition(":")[2] for spec in workloads]
    often, seen = Counter(kinds), Counter[str]()
    labels = []
    for kind in kinds:
        seen[kind] += 1
        labels.append(kind if often[kind] == 1 else f"{kind}-{seen[kind]}")
    return tuple(labels)
