"""A workload with a bug."""

from collections.abc import Sequence

from harness.operations import Session
from harness.plan import WorkloadSpec
from harness.topology import Topology
from workloads import Shard


class Broken:
    """Divides by zero where its first operation should be."""

    ordered = True

    def __init__(self, spec: WorkloadSpec, topology: Topology) -> None:
        del spec, topology

    def sessions(self, shard: Shard) -> Sequence[Session]:
        return [self._session() for _ in shard.sessions]

    def _session(self) -> Session:
        yield 1 // 0  # type: ignore[misc]  # the bug
