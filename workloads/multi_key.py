"""Sets of keys that are written together: one request writes all keys of a set, and one request reads several of them.

Finds reads that see half of a write: one key from before it, another from after it. All keys of a set carry the same version, so
two numbers that differ say it. Some reads ask for one key alone, so that nodes have part of a set in their caches and fetch the
rest: that is where halves come from.

Misses what is wrong with a whole set at once: then all of its keys are old together, as those of ``register`` may be.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from pydantic import Field

from harness.history import Function, Status
from harness.operations import Operation, Session
from harness.plan import Record, Share, WorkloadSpec
from harness.topology import Topology
from workloads.base import Shard


class Options(Record):
    """The keys of a plan's ``[[workloads]]`` of this kind."""

    sets: int = Field(default=40, ge=1, le=100_000)
    """Shared out among the sessions: each set is written by one of them."""
    keys: int = Field(default=3, ge=2, le=16)
    """How many keys a set has."""
    reads: Share = 0.8
    """The share of reads among the operations of a session that has sets to write; one that has none only reads."""
    single_reads: Share = 0.3
    """The share of reads that ask for one key alone; the others ask for two of a set, or more, up to all."""


class MultiKey:
    """The workload ``multi-key``."""

    ordered = True

    def __init__(self, spec: WorkloadSpec, topology: Topology) -> None:
        self.options = spec.read(Options)
        self.topology = topology
        self.keys_at_once = self.options.keys

    def sessions(self, shard: Shard) -> Sequence[Session]:
        """Sessions that share the shard's sets; each set is written by one of them."""
        sets = [KeySet(shard, self.options.keys) for _ in range(shard.share(self.options.sets))]
        writers = len(shard.sessions)
        return [
            self._session(shard, sets, sets[place::writers], shard.random(session))
            for place, session in enumerate(shard.sessions)
        ]

    def _session(self, shard: Shard, sets: list[KeySet], own: list[KeySet], random: Random) -> Session:
        read_share = self.options.reads if own else 1.0
        while True:
            if random.random() < read_share:
                yield self._read(shard, random.choice(sets).keys, random)
            else:
                mine = random.choice(own)
                mine.version += 1
                (key, *others), version = mine.keys, mine.version
                beside = tuple((other, version) for other in others)
                node = random.choice(self.topology.writable)
                outcome = yield Operation(Function.WRITE, key, node, version, group=shard.group(), beside=beside)
                if outcome.status is Status.INFO:
                    mine.renew()

    def _read(self, shard: Shard, keys: Sequence[int], random: Random) -> Operation:
        """A read of some of ``keys``, in any order."""
        node = random.choice(self.topology.readable)
        if random.random() < self.options.single_reads:
            return Operation(Function.READ, random.choice(keys), node)
        key, *others = random.sample(keys, random.randint(2, len(keys)))
        return Operation(Function.READ, key, node, group=shard.group(), beside=tuple((other, -1) for other in others))


class KeySet:
    """The keys that are written together, and their version. All of them are retired at once: a write is of them all."""

    def __init__(self, shard: Shard, size: int) -> None:
        self._shard = shard
        self._size = size
        self.renew()

    def renew(self) -> None:
        """Go on with fresh keys."""
        self.keys = [self._shard.key() for _ in range(self._size)]
        self.version = 0
