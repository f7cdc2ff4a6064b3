"""The same quantities, counted on a virtual fleet: every read, write and message of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from harness.cost.case import Case, S
from harness.cost.clients import readers, writers
from harness.cost.records import Measured, metadata
from harness.durations import UNITS
from harness.history import Function, Seen, Status
from harness.reference.books import kept
from harness.reference.design import Design
from harness.reference.effects import Flow
from harness.reference.places import CLIENT
from harness.simulation.clients import Client
from harness.simulation.fleet import Fleet
from harness.simulation.rows import Row

WARM_NS = 3 * S
_READ_ONCE = 1.5
"""A fleet is warm, and counted, once every key has been read so often at each node on average, and no sooner than this."""
OPERATIONS = 60_000
"""So many are counted about, within these times."""
_SHORTEST_NS, _LONGEST_NS = 4 * S, 40 * S
_TIMEOUT_NS = 1_000 * UNITS["ms"]
_TROUBLE = 5
"""A write that takes so many times as long as usual has been kept waiting."""


def measure(
    design: Design, case: Case, *, seed: int = 1, operations: int = OPERATIONS, warm_ns: int = WARM_NS, cut: bool = True
) -> Measured:
    """Run the fleet of ``case`` for so many operations: as it is, without writes, and, if ``cut``, with one node cut off."""
    busy, idle = _Run(design, case, seed), _Run(design, _without_writes(case), seed)
    rate = case.nodes * case.load.reads + case.load.writes
    counted_ns = min(max(_SHORTEST_NS, round(operations * S / rate)), _LONGEST_NS)
    warm_ns = max(warm_ns, round(_READ_ONCE * S / case.read_rate))
    for run in (busy, idle):
        run.until(warm_ns)
        run.begin()
        run.until(warm_ns + counted_ns)
    writes = busy.ended(Function.WRITE)
    usual_ns = _mean([row.return_ns - row.call_ns for row in writes if row.status == Status.OK])
    cut_reads, others_wait_ns, cut_events = _cut_off(design, case, seed, warm_ns, usual_ns) if cut else (None, None, 0)
    books = {name: kept(machine.actor) for name, machine in busy.fleet.machines.items()}
    return Measured(
        write_ns=usual_ns - 2 * case.hop_ns,
        messages=(busy.messages - idle.messages) / max(1, len(writes)),
        origin=busy.asked * S / counted_ns,
        metadata=metadata(design.name, books, busy.fleet.names),
        cut_reads=cut_reads,
        others_wait_ns=others_wait_ns,
        idle=idle.messages * S / counted_ns,
        stalest_ns=busy.stalest_ns(),
        events=busy.fleet.engine.events + idle.fleet.engine.events + cut_events,
    )


def _cut_off(design: Design, case: Case, seed: int, warm_ns: int, usual_ns: float) -> tuple[float, float, int]:
    """The share of reads that a cut-off node answers, for how long others wait to write, and how many things happened."""
    run = _Run(design, case, seed, patient=False)
    run.until(warm_ns)
    run.cut()
    run.begin()
    run.until(warm_ns + case.cut_ns)
    troubled = [
        row.call_ns - warm_ns
        for row in run.ended(Function.WRITE)
        if row.node and (row.status != Status.OK or row.return_ns - row.call_ns > _TROUBLE * usual_ns)
    ]
    reads = [row for row in run.ended(Function.READ) if row.node == 0]
    answered = sum(row.status == Status.OK for row in reads) / max(1, len(reads))
    return answered, max(troubled, default=0), run.fleet.engine.events


class _Run:
    """One fleet with its clients; those who read at the first node are ``patient`` or not."""

    def __init__(self, design: Design, case: Case, seed: int, *, patient: bool = True) -> None:
        self._counted = Counter()
        self.fleet = Fleet(counting(design, self._counted), case.nodes, case.settings, seed, _TIMEOUT_NS)
        keys = [self.fleet.keyspace.add(f"key-{number}") for number in range(case.load.keys)]
        sessions = readers(case, keys, seed, patient=patient) + writers(case, keys, seed)
        clients = [Client(each, 0, number) for number, each in enumerate(sessions)]
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


def _without_writes(case: Case) -> Case:
    return replace(case, load=replace(case.load, writes=0.0))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
