"""Cold registers: a short burst of writes on a fresh key, then silence, then probes of every node at growing ages.

Finds what hot keys hide: a lost invalidation, a refill that raced, a node that was partitioned during the burst, stays wrong
until someone looks. The silence also gives the cleanest curve of propagation: no later write disturbs it.

Misses what happens between probes, and everything that needs traffic on the key.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from itertools import pairwise
from random import Random
from typing import Annotated

from pydantic import Field, model_validator

from harness.durations import parse_duration
from harness.history import Function, Status
from harness.operations import Operation, Outcome, Session
from harness.plan import Duration, Record, WorkloadSpec
from harness.topology import Topology
from workloads.base import Shard

AGES = tuple(parse_duration(age) for age in ("100ms", "300ms", "1s", "3s", "10s"))


class Options(Record):
    """The keys of a plan's ``[[workloads]]`` of this kind."""

    burst: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (1, 3)
    """The fewest and the most writes of a burst."""
    probes: tuple[Duration, ...] = Field(default=AGES, min_length=1)
    """Ages at which every readable node is read, counted from the burst's end."""
    scale: float = Field(default=1.0, gt=0.0)
    """Multiplies the ages: short runs need short silences."""

    @model_validator(mode="after")
    def _growing(self) -> Options:
        if self.burst[0] > self.burst[1]:
            raise ValueError(f"burst = {list(self.burst)} has no length in it; write the smaller number first")
        if any(later <= earlier for earlier, later in pairwise(self.probes)):
            raise ValueError("probes must grow")
        return self


class ColdRegister:
    """The workload ``cold-register``."""

    ordered = True

    def __init__(self, spec: WorkloadSpec, topology: Topology) -> None:
        self.options = spec.read(Options)
        self.topology = topology
        if spec.rate is not None:
            raise spec.error(
                "cold-register takes no rate",
                key="rate",
                why="its probes come at ages of the value that they look at",
                fix="leave rate out; more sessions make more bursts, a smaller scale makes the silences shorter",
            )

    def sessions(self, shard: Shard) -> Sequence[Session]:
        """Sessions that share nothing."""
        return [self._session(shard, shard.random(session)) for session in shard.sessions]

    def _session(self, shard: Shard, random: Random) -> Session:
        ages = [round(age * self.options.scale) for age in self.options.probes]
        # The first cycle is cut short at random, so that sessions do not march in step.
        rounds = random.randint(1, len(ages))
        while True:
            key = shard.key()
            quiet_ns = yield from self._burst(key, random)
            for age_ns in ages[:rounds]:
                group = shard.group()
                for node in random.sample(self.topology.readable, len(self.topology.readable)):
                    yield Operation(Function.READ, key, node, due_ns=quiet_ns + age_ns, group=group)
            rounds = len(ages)

    def _burst(self, key: int, random: Random) -> Generator[Operation, Outcome, int]:
        """Write ``key`` a few times, up to the first ``info``; when that ended. A ``fail`` wrote nothing and does not count."""
        version, left = 0, random.randint(*self.options.burst)
        while True:
            version += 1
            outcome = yield Operation(Function.WRITE, key, random.choice(self.topology.writable), version)
            left -= outcome.status is not Status.FAIL
            if left == 0 or outcome.status is Status.INFO:
                return outcome.return_ns
