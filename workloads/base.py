"""What a workload is: sessions, each a generator that yields an operation and is sent its outcome.

A session is pure: it knows no clock but the times in its outcomes, does no I/O, and draws every number from the plan's seed. So
the same code runs against real servers, on a virtual clock, and in a test's dictionary.

Rules that keep histories checkable, and that every workload follows:

* A key's versions count up from 1 and are never used twice, whatever became of the write.
* A key has one writer at a time that waits for each write's outcome, or is declared unordered.
* After an ``info`` write the writer retires the key and goes on with a fresh one: the write may still land, at any later time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Protocol, runtime_checkable

from harness.operations import Keyspace, Session
from harness.plan import WorkloadSpec
from harness.topology import Topology


@dataclass(eq=False)
class Shard:
    """One worker's part of one workload; it shares no key and no session with the others.

    Attributes:
        label: the workload's name in the run.
        sessions: the run-wide numbers of the sessions to make.
        seed: the plan's.
        keyspace: where keys are added.
        groups: fresh group ids, unique in the run.
        part, parts: which part this is, of how many.
    """

    label: str
    sessions: Sequence[int]
    seed: int
    keyspace: Keyspace
    groups: Iterator[int]
    part: int = 0
    parts: int = 1
    _fresh: Iterator[int] = field(default_factory=count)

    def key(self, *, ordered: bool = True) -> int:
        """The index of a fresh key."""
        return self.keyspace.add(f"{self.label}:{self.part}:{next(self._fresh)}", ordered=ordered)

    def group(self) -> int:
        """A fresh group."""
        return next(self.groups)

    def random(self, session: int) -> Random:
        """The random numbers of one session: the same in every run of the plan."""
        return Random(f"{self.seed}/{self.label}/{session}")

    def share(self, total: int) -> int:
        """What falls to this part of ``total`` keys, at least one."""
        return max(1, len(range(self.part, total, self.parts)))


class Workload(Protocol):
    """A workload with its options read.

    Attributes:
        ordered: whether each of its keys has one writer, so that versions have an order.
    """

    ordered: bool

    def sessions(self, shard: Shard) -> Sequence[Session]:
        """One session for each of ``shard.sessions``, in that order."""


@runtime_checkable
class Several(Protocol):
    """A workload with requests of several keys.

    Attributes:
        keys_at_once: how many keys one may have.
    """

    keys_at_once: int


class WorkloadFactory(Protocol):
    """A workload's class."""

    def __call__(self, spec: WorkloadSpec, topology: Topology) -> Workload:
        """The workload as ``spec`` wants it on ``topology``; raises ``PlanError``."""
