"""Session hops: write at one node, think, read the same key at another: what a user behind a load balancer does.

Finds broken read-your-writes across nodes, and how long a write takes to be seen elsewhere at the age of the think time.

Misses anomalies that need two writers or a hot key, and node-local ones: it never reads where it wrote if it can go elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from pydantic import Field

from harness.durations import parse_duration
from harness.history import Function, Status
from harness.operations import Operation, Session
from harness.plan import Duration, Record, WorkloadSpec
from harness.topology import Topology
from workloads.base import Shard


class Options(Record):
    """The keys of a plan's ``[[workloads]]`` of this kind."""

    keys: int = Field(default=100, ge=1)
    """Shared out among the sessions; each has at least one of its own."""
    think: Duration = parse_duration("5ms")
    """Mean time between the write's return and the read, exponentially distributed."""


class SessionHop:
    """The workload ``session-hop``."""

    ordered = True

    def __init__(self, spec: WorkloadSpec, topology: Topology) -> None:
        self.options = spec.read(Options)
        self.topology = topology
        if spec.rate is not None:
            raise spec.error("session-hop has a pace of its own", key="rate", fix="leave rate out, and use sessions and think")

    def sessions(self, shard: Shard) -> Sequence[Session]:
        """Sessions that write keys of their own."""
        each = max(1, shard.share(self.options.keys) // len(shard.sessions))
        return [self._session(shard, each, shard.random(session)) for session in shard.sessions]

    def _session(self, shard: Shard, keys: int, random: Random) -> Session:
        own = [shard.key() for _ in range(keys)]
        versions = dict.fromkeys(own, 0)
        readable = self.topology.readable
        while True:
            place = random.randrange(keys)
            key, here = own[place], random.choice(self.topology.writable)
            versions[key] += 1
            written = yield Operation(Function.WRITE, key, here, versions[key])
            if written.status is Status.INFO:
                own[place] = shard.key()
                versions[own[place]] = 0
            elif written.status is Status.OK:
                there = random.choice([node for node in readable if node != here] or readable)
                think_ns = round(random.expovariate(1.0) * self.options.think)
                yield Operation(Function.READ, key, there, due_ns=written.return_ns + think_ns)
