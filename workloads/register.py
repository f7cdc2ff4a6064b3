"""Hot registers: every session reads all keys at any node and writes its own, some keys far more often than others.

Finds what shows under traffic: nodes that go backwards, stale reads and how stale, broken sessions, lost writes, lost
availability. With one writer a key (the default) versions have an order and every per-key check is exact. With several writers
versions are only names and the key is checked for linearizability alone.

Misses what the next write heals: a lost invalidation of a hot key lives for milliseconds. That is what ``cold-register`` is for.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from random import Random

from pydantic import Field

from harness.history import Function, Status
from harness.operations import Operation, Session
from harness.plan import Record, Share, WorkloadSpec
from harness.topology import Topology
from workloads.base import Shard


class Options(Record):
    """The keys of a plan's ``[[workloads]]`` of this kind."""

    keys: int = Field(default=200, ge=1, le=1_000_000)
    reads: Share = 0.9
    """The share of reads among the operations of a session that has keys to write; one that has none only reads."""
    zipf: float = Field(default=1.0, ge=0.0)
    """Skew: the key of rank r is chosen in proportion to 1 / r ** zipf; 0 is uniform."""
    writers_per_key: int = Field(default=1, ge=1)
    """Sessions that write each key; no more than a worker of the driver plays."""


class Register:
    """The workload ``register``."""

    def __init__(self, spec: WorkloadSpec, topology: Topology) -> None:
        self.options = spec.read(Options)
        self.topology = topology
        self.ordered = self.options.writers_per_key == 1
        if self.options.writers_per_key > spec.sessions:
            raise spec.error(
                f"{self.options.writers_per_key} writers a key need as many sessions, and there are {spec.sessions}",
                key="writers_per_key",
                fix="raise sessions or lower writers_per_key",
            )

    def sessions(self, shard: Shard) -> Sequence[Session]:
        """Sessions that share the shard's slots; slot i is written by session i, and i + 1 ... where it has several writers."""
        writers = min(self.options.writers_per_key, len(shard.sessions))
        slots = [Slot(shard, self.topology.readable, ordered=self.ordered) for _ in range(shard.share(self.options.keys))]
        mine: list[list[Slot]] = [[] for _ in shard.sessions]
        for index, slot in enumerate(slots):
            for writer in range(index, index + writers):
                mine[writer % len(mine)].append(slot)
        return [self._session(slots, own, shard.random(session)) for session, own in zip(shard.sessions, mine, strict=True)]

    def _session(self, slots: list[Slot], own: list[Slot], random: Random) -> Session:
        read_share = self.options.reads if own else 1.0
        writable, nodes = self.topology.writable, len(self.topology.readable)
        popular, popular_own = self._popularity(len(slots)), self._popularity(len(own))
        draw = random.random
        while True:
            if draw() < read_share:
                slot = slots[bisect_left(popular, draw())]
                yield slot.reads[int(draw() * nodes)]
            else:
                slot = own[bisect_left(popular_own, draw())]
                key, slot.version = slot.key, slot.version + 1
                outcome = yield Operation(Function.WRITE, key, random.choice(writable), slot.version)
                if outcome.status is Status.INFO and slot.key == key:
                    slot.renew()

    def _popularity(self, keys: int) -> list[float]:
        """The cumulated probabilities of ranks; the last is just above what ``random`` can draw."""
        cumulated = list(accumulate(rank**-self.options.zipf for rank in range(1, keys + 1)))
        return [weight / cumulated[-1] for weight in cumulated[:-1]] + [1.0]


class Slot:
    """A place among the keys that keeps its popularity while the key in it is retired and replaced."""

    def __init__(self, shard: Shard, readable: Sequence[int], *, ordered: bool) -> None:
        self._shard = shard
        self._readable = readable
        self._ordered = ordered
        self.renew()

    def renew(self) -> None:
        """Put a fresh key here."""
        self.key = self._shard.key(ordered=self._ordered)
        self.version = 0
        self.reads = [Operation(Function.READ, self.key, node) for node in self._readable]
