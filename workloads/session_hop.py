"""Session hops: write at one node, then read the same key at every other and back home: a user behind a load balancer.

Finds broken read-your-writes and monotonic reads across nodes, and how long a write takes to be seen elsewhere at the age of the
think times.

Misses anomalies that need two writers or a hot key.
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

    keys: int = Field(default=100, ge=1, le=1_000_000)
    """Shared out among the sessions; each has at least one of its own."""
    think: Duration = parse_duration("5ms")
    """Mean time before each read, exponentially distributed."""


class SessionHop:
    """The workload ``session-hop``."""

    ordered = True

    def __init__(self, spec: WorkloadSpec, topology: Topology) -> None:
        self.options = spec.read(Options)
        self.topology = topology
        if spec.rate is not None:
            raise spec.error(
                "session-hop takes no rate",
                key="rate",
                why="its reads come a think time after the operation before",
                fix="leave rate out; more sessions or a shorter think make more operations",
            )

    def sessions(self, shard: Shard) -> Sequence[Session]:
        """Sessions that write keys of their own."""
        each = max(1, shard.share(self.options.keys) // len(shard.sessions))
        return [self._session(shard, each, shard.random(session)) for session in shard.sessions]

    def _session(self, shard: Shard, keys: int, random: Random) -> Session:
        own = [shard.key() for _ in range(keys)]
        versions = dict.fromkeys(own, 0)
        readable, writable = self.topology.readable, self.topology.writable
        elsewhere = {here: [node for node in readable if node != here] for here in writable}
        home = {here: [here] if here in readable else [] for here in writable}
        while True:
            place = random.randrange(keys)
            key, here = own[place], random.choice(writable)
            versions[key] += 1
            written = yield Operation(Function.WRITE, key, here, versions[key])
            if written.status is Status.INFO:
                own[place] = shard.key()
                versions[own[place]] = 0
            elif written.status is Status.OK:
                before = written
                for there in (*random.sample(elsewhere[here], len(elsewhere[here])), *home[here]):
                    think_ns = round(random.expovariate(1.0) * self.options.think)
                    before = yield Operation(Function.READ, key, there, due_ns=before.return_ns + think_ns)
