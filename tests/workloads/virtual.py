"""Workloads in virtual time: their sessions against a store in memory, without sockets, clocks or luck.

A ``Store()`` is perfect: it answers every operation in 5 ms from one truth. Its options each give it one flaw: replicas that lag,
writes that end as ``info`` or ``fail``.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from operator import itemgetter
from random import Random
from typing import NamedTuple

from harness.history import Function, Seen, Status
from harness.operations import Operation, Outcome, Session
from harness.plan import WorkloadSpec
from harness.topology import Node, Topology
from workloads import WORKLOADS, Shard

MS = 1_000_000
TRIO = Topology(
    (Node(0, "primary", "primary"), Node(1, "replica-1", "replica"), Node(2, "replica-2", "replica")), (), (0,), (0, 1, 2)
)


class Keyspace:
    """Keys in memory."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.ordered: list[bool] = []

    def add(self, name: str, *, ordered: bool = True) -> int:
        assert name not in self.names
        self.names.append(name)
        self.ordered.append(ordered)
        return len(self.names) - 1


@dataclass
class Store:
    """Versions by key, with the time at which each became the truth.

    Attributes:
        lag_ns: how long after that a node other than 0 shows it.
        broken: share of writes that end as ``info``, of which every second takes effect.
        refused: share of writes that end as ``fail``.
    """

    lag_ns: int = 0
    broken: float = 0.0
    refused: float = 0.0
    took_ns: int = 5 * MS
    random: Random = field(default_factory=lambda: Random(1))
    truth: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def answer(self, operation: Operation, call_ns: int) -> Outcome:
        return_ns = call_ns + self.took_ns
        if operation.function is not Function.READ:
            chance = self.random.random()
            if chance < self.refused:
                return Outcome(Status.FAIL, call_ns, return_ns)
            lost = chance < self.refused + self.broken
            if not lost or self.random.random() < 0.5:
                for key, version in operation.items:
                    self.truth.setdefault(key, []).append((call_ns, version))
            return Outcome(Status.INFO if lost else Status.OK, call_ns, return_ns)
        until_ns = call_ns - (self.lag_ns if operation.node else 0)
        (seen, version), *others = (self._sight(key, until_ns) for key, _ in operation.items)
        return Outcome(Status.OK, call_ns, return_ns, seen, version, tuple(others))

    def _sight(self, key: int, until_ns: int) -> tuple[Seen, int]:
        written = self.truth.get(key, [])
        visible = bisect_right(written, until_ns, key=itemgetter(0))
        return (Seen.HIT, written[visible - 1][1]) if visible else (Seen.MISS, -1)


class Done(NamedTuple):
    session: int
    operation: Operation
    outcome: Outcome


def play(sessions: Sequence[Session], store: Store, until_ns: int, begin_ns: int = 0) -> list[Done]:
    """What ``sessions`` do until ``until_ns``, by call time: the driver's rules without the driver."""
    done: list[Done] = []
    queue: list[tuple[int, int, Operation]] = []
    for number, session in enumerate(sessions):
        if (first := next(session, None)) is not None:
            heappush(queue, (max(begin_ns, first.due_ns), number, first))
    while queue and queue[0][0] < until_ns:
        call_ns, number, operation = heappop(queue)
        outcome = store.answer(operation, call_ns)
        done.append(Done(number, operation, outcome))
        try:
            following = sessions[number].send(outcome)
        except StopIteration:
            continue
        heappush(queue, (max(outcome.return_ns, following.due_ns), number, following))
    return done


def shard(keyspace: Keyspace, sessions: int, part: int = 0, parts: int = 1, *, label: str = "w", seed: int = 7) -> Shard:
    return Shard(label, range(part, sessions, parts), seed, keyspace, count(part, parts), part, parts)


def run(
    kind: str, store: Store, seconds: float, sessions: int = 4, seed: int = 7, **options: object
) -> tuple[list[Done], Keyspace]:
    """What a workload does on three nodes, and its keys."""
    spec = WorkloadSpec.model_validate({"kind": kind, "sessions": sessions, **options})
    keyspace = Keyspace()
    workload = WORKLOADS.load(kind)(spec, TRIO)
    return play(workload.sessions(shard(keyspace, sessions, seed=seed)), store, round(seconds * 1e9)), keyspace


def stale(done: Sequence[Done]) -> int:
    """How many reads returned less than what had been acknowledged before they were called."""
    acknowledged: dict[int, list[tuple[int, int]]] = {}
    for _, operation, outcome in done:
        if operation.function is Function.WRITE and outcome.status is Status.OK:
            for key, version in operation.items:
                acknowledged.setdefault(key, []).append((outcome.return_ns, version))
    found = 0
    for _, operation, outcome in done:
        if operation.function is Function.READ:
            versions = [outcome.version, *(version for _, version in outcome.beside)]
            for (key, _), version in zip(operation.items, versions, strict=True):
                known = acknowledged.get(key, [])
                floor = bisect_left(known, outcome.call_ns, key=itemgetter(0))
                found += floor > 0 and version < known[floor - 1][1]
    return found
