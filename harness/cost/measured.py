"""The same quantities, counted on a virtual fleet: every read, write and message of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from harness.cost.case import Case, S
from harness.driver.arrivals import paced
from harness.durations import UNITS
from harness.history import Function, Seen, Status
from harness.operations import Operation, Session
from harness.reference.design import Design
from harness.reference.effects import Flow
from harness.reference.messages import ORIGIN, STORE
from harness.reference.places import CLIENT
from harness.simulation.clients import Client
from harness.simulation.fleet import Fleet
from harness.simulation.rows import Row

_WARM_NS = 3 * S
_READ_ONCE = 1.5
"""A fleet is warm, and counted, once every key has been read so often at each node on average, and no sooner than this."""
OPERATIONS = 60_000
"""So many are counted about, within these times."""
_SHORTEST_NS, _LONGEST_NS = 4 * S, 40 * S
_TIMEOUT_NS = 1_000 * UNITS["ms"]
_WRITERS = 8
_TROUBLE = 5
"""A write that takes so many times as long as usual has been kept waiting."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was counted; in the units of ``harness.cost.forms.Forms``.

    Attributes:
        stalest_ns: the age of the stalest value that was read: how long before the call a newer one had been acknowledged.
        events: how many things the simulation let happen for it.
    """

    write_ns: float
    messages: float
    origin: float
    metadata: float
    cut_reads: float
    others_wait_ns: float
    stalest_ns: int
    events: int


def measure(design: Design, case: Case, *, seed: int = 1, operations: int = OPERATIONS) -> Measured:
    """Run the fleet of ``case`` three times: as it is, without writes, and with one node cut off; for so many operations."""
    busy, idle = _Run(design, case, seed), _Run(design, _without_writes(case), seed)
    rate = case.nodes * case.load.reads + case.load.writes
    counted_ns = min(max(_SHORTEST_NS, round(operations * S / rate)), _LONGEST_NS)
    warm_ns = max(_WARM_NS, round(_READ_ONCE * S / case.read_rate))
    for run in (busy, idle):
        run.until(warm_ns)
        run.begin()
        run.until(warm_ns + counted_ns)
    cut = _Run(design, case, seed, patient=False)
    cut.until(warm_ns)
    cut.cut()
    cut.begin()
    cut.until(warm_ns + case.cut_ns)
    writes = busy.ended(Function.WRITE)
    answered = [row.return_ns - row.call_ns for row in writes if row.status == Status.OK]
    usual_ns = _mean(answered)
    troubled = [
        row.call_ns - warm_ns
        for row in cut.ended(Function.WRITE)
        if row.node and (row.status != Status.OK or row.return_ns - row.call_ns > _TROUBLE * usual_ns)
    ]
    reads = [row for row in cut.ended(Function.READ) if row.node == 0]
    return Measured(
        write_ns=usual_ns - 2 * case.hop_ns,
        messages=(busy.messages - idle.messages) / max(1, len(writes)),
        origin=busy.asked * S / counted_ns,
        metadata=_metadata(design, busy.fleet),
        cut_reads=sum(row.status == Status.OK for row in reads) / max(1, len(reads)),
        others_wait_ns=max(troubled, default=0),
        stalest_ns=busy.stalest_ns(),
        events=busy.fleet.engine.events + idle.fleet.engine.events + cut.fleet.engine.events,
    )


class _Run:
    """One fleet with its clients: a reader at each node, and some who write.

    Unless they are ``patient``, the readers at the first node are so many that none has to wait for another one's answer.
    """

    def __init__(self, design: Design, case: Case, seed: int, *, patient: bool = True) -> None:
        self._counted = Counter()
        self.fleet = Fleet(counting(design, self._counted), case.nodes, case.settings, seed, _TIMEOUT_NS)
        keys = [self.fleet.keyspace.add(f"key-{number}") for number in range(case.load.keys)]
        steps = [_reading(keys, node, Random(f"{seed}/reader/{node}")) for node in range(case.nodes)]
        paces = [case.load.reads] * case.nodes
        if not patient:
            more = math.ceil(2 * case.load.reads)
            steps[:1] = [_reading(keys, 0, Random(f"{seed}/reader/0/{number}")) for number in range(more)]
            paces[:1] = [case.load.reads / more] * more
        if case.load.writes:
            writers = min(_WRITERS, case.load.keys)
            steps += [_writing(keys[at::writers], case.nodes, Random(f"{seed}/writer/{at}")) for at in range(writers)]
            paces += [case.load.writes / writers] * writers
        clients = [
            Client(paced(each, pace, 0, Random(f"{seed}/arrivals/{number}")), 0, number)
            for number, (each, pace) in enumerate(zip(steps, paces, strict=True))
        ]
        self.fleet.clients.number(len(clients))
        self.fleet.clients.play(clients, 0, 10**15)
        self._since = (0, 0, 0)

    def until(self, time_ns: int) -> None:
        """Let time pass."""
        self.fleet.engine.run(time_ns)

    def begin(self) -> None:
        """Count from here on."""
        self._since = (self.fleet.network.sent, len(self.fleet.rows.ended), self._counted.requests)

    def cut(self) -> None:
        """Cut the first node off from everything but its clients."""
        first = self.fleet.names[0]
        for place in self.fleet.machines:
            for ends in ((first, place), (place, first)):
                if place not in {first, CLIENT}:
                    self.fleet.network.bend(ends).cut = True

    def ended(self, function: Function) -> Sequence[Row]:
        """The operations that ended since the beginning."""
        return [row for row in map(Row._make, self.fleet.rows.ended[self._since[1] :]) if row.function == function]

    @property
    def messages(self) -> int:
        """How many messages went between places since then; each operation took two more to and from its client."""
        return self.fleet.network.sent - self._since[0] - 2 * (len(self.fleet.rows.ended) - self._since[1])

    @property
    def asked(self) -> int:
        """How many requests the origin has served since then."""
        return self._counted.requests - self._since[2]

    def stalest_ns(self) -> int:
        """The age of the stalest value that was read since then, counted from when the next version was acknowledged."""
        writes = (row for row in map(Row._make, self.fleet.rows.ended) if row.function == Function.WRITE)
        superseded = {(row.key, row.sent_version - 1): row.return_ns for row in writes if row.status == Status.OK}
        ages = (
            row.call_ns - superseded.get((row.key, max(0, row.seen_version)), row.call_ns)
            for row in self.ended(Function.READ)
            if row.seen in {Seen.HIT, Seen.ABSENT}
        )
        return max(0, *ages, 0)


class Counter:
    """How many requests the origin has served."""

    def __init__(self) -> None:
        self.requests = 0


def counting(design: Design, counter: Counter) -> Design:
    """``design`` with an origin that counts what it is asked."""
    if design.origin is None:
        return design

    class Counting(design.origin):  # type: ignore[name-defined,misc] # whichever origin the design has
        def serve(self, source: str, request: Any) -> Flow[Any]:
            counter.requests += 1
            reply: Flow[Any] = super().serve(source, request)
            return reply

    return replace(design, origin=Counting)


def _reading(keys: Sequence[int], node: int, random: Random) -> Session:
    """Reads of random keys at one node."""
    while True:
        yield Operation(Function.READ, random.choice(keys), node)


def _writing(keys: Sequence[int], nodes: int, random: Random) -> Session:
    """Writes of random keys of its own at random nodes."""
    versions = dict.fromkeys(keys, 0)
    while True:
        key = random.choice(keys)
        versions[key] += 1
        yield Operation(Function.WRITE, key, random.randrange(nodes), versions[key])


def _without_writes(case: Case) -> Case:
    return replace(case, load=replace(case.load, writes=0.0))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


_BOOKS: Mapping[str, str] = {
    "broadcast-alo": "floors",
    "broadcast-amo": "entries",
    "broadcast-update": "floors",
    "owner": "tenures",
    "refresh-ahead": "entries",
    "swr": "entries",
    "ttl": "entries",
    "ttl-check": "entries",
    "two-tier": "copies",
    "versioned-keys": "entries",
}
"""Where a node keeps its bookkeeping."""


def _metadata(design: Design, fleet: Fleet) -> float:
    """Records of bookkeeping, as ``Forms.metadata`` means them, for each node on average."""
    origin: Any = fleet.machines[ORIGIN].actor
    match design.name:
        case "tracking":
            return sum(map(len, origin.readers.values())) / len(fleet.nodes)
        case "sync-invalidation":
            return len(origin.leases) / len(fleet.nodes)
        case "lease":
            store: Any = fleet.machines[STORE].actor
            return len(store.items) / len(fleet.nodes)
        case "no-cache":
            return 0.0
    return sum(len(getattr(machine.actor, _BOOKS[design.name])) for machine in fleet.nodes) / len(fleet.nodes)
