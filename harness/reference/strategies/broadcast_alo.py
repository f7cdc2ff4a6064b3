"""Broadcast at least once, with versions: invalidate, or reject what is older.

The source commits a write together with its event (an *outbox*: no crash can part the two) and hands the event, key and stamp, to
the bus until the bus has it. Every node keeps, for each key, a *floor*: the highest stamp that it has heard of. An event raises
the floor and drops an entry below it; a fill below the floor is not kept. So it does not matter how late, how often or in which
order events come, nor how slow a fill is. That a key does not exist is an entry as well: absent with stamp 0, or with the stamp
of its deletion.

Floors are forgotten after a while. A fill that takes longer than that is not kept: what it should have been compared with may be
forgotten. Misses of one key share one fetch. A read that comes while it is under way takes its record only if that is not older
than what the node had heard of when the read came; who asked before the fetch began takes it in any case. A write names the stamp
that it replaces: a request that arrives after a newer write, because it was held up or sent twice, does nothing.

The bus keeps its events and numbers them. A node asks for the present number before it keeps anything, and whenever a beat tells
of a higher number than it has heard, it asks for the rest again.

Promise: a read is stale for no longer than the event takes; across a fault, no longer than the fault and then until the source
hands the event over again, or a beat tells of it and it is delivered again.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

from harness.plan import Contract
from harness.reference.bus import Log
from harness.reference.design import Design, bounded
from harness.reference.effects import Call, Flow, Gate, Latch, Open, Sleep, Unreachable, Wait
from harness.reference.messages import (
    BUS,
    ORIGIN,
    Beat,
    Commit,
    Conflict,
    Count,
    Delivery,
    Fetch,
    Invalidate,
    Record,
    Redeliver,
    Value,
)
from harness.reference.node import Place, Strategy
from harness.reference.origin import Outbox
from harness.reference.settings import Settings


class Floor(NamedTuple):
    """The highest stamp heard of, and when, in ns on the node's monotonic clock."""

    stamp: int
    heard_ns: int


class BroadcastAtLeastOnce(Strategy):
    """One node.

    Attributes:
        entries: what it serves.
        floors: what it has heard of by key, the latest last.
        flights: the fetches under way by key; each ends with its record, or with None if it can tell nothing.
        heard: the number up to which no event is missing; None until the bus has told where it stands.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.entries: dict[str, Record] = {}
        self.floors: OrderedDict[str, Floor] = OrderedDict()
        self.flights: dict[str, Latch] = {}
        self.heard: int | None = None
        self._early: set[int] = set()

    def start(self) -> None:
        """Find out where the bus stands."""
        self.place.spawn(self.subscribe())

    def subscribe(self) -> Flow[None]:
        """Ask the bus until it answers; what it tells of later events can be had again, so from now on entries are kept."""
        while self.heard is None:
            try:
                self.heard = yield Call(BUS, Count())
            except Unreachable:
                yield Sleep(self.settings.retry_ns)

    # Reads.

    def read(self, key: str) -> Flow[Value | None]:
        """From the cache, else from the source."""
        record = yield from self.find(key)
        return record.value

    def find(self, key: str) -> Flow[Record]:
        """The record of ``key``, from the cache or else from the source."""
        record = self.entries.get(key)
        if record is None:
            record = yield from self.load(key)
        if record is None:
            raise Unreachable("the source does not answer")
        return record

    def load(self, key: str) -> Flow[Record | None]:
        """Fetch ``key``, or share the fetch that is under way, or the one after that."""
        flight = self.flights.get(key)
        if flight is not None:
            known = self.known(key)
            yield Gate("fill.join", key)
            record: Record | None = yield Wait(flight)
            if record is not None and self.suffices(record, known):
                return record
            # A fetch that is under way now has begun after this read was called: its record will do in any case.
            flight = self.flights.get(key)
        return (yield from self.fill(key)) if flight is None else (yield Wait(flight))

    def suffices(self, record: Record, known: int) -> bool:
        """Whether ``record`` will do for a read that joined its fetch, and then knew of the stamp ``known``."""
        return record.stamp >= known

    def fill(self, key: str) -> Flow[Record | None]:
        """Fetch ``key`` for this read and for all that join it, and keep the record if no newer one can have been heard of."""
        flight = self.flights[key] = Latch()
        began_ns, listening = self.place.monotonic_ns(), self.heard is not None
        record = yield from self.fetch(key)
        comparable = record is not None and self.remembers(began_ns)
        if record is not None and comparable and listening and self.admits(key, record):
            self.entries[key] = record
        del self.flights[key]
        yield Open(flight, record if comparable else None)
        return record

    def fetch(self, key: str) -> Flow[Record | None]:
        """What the source has of ``key``; None if it does not answer."""
        try:
            record: Record = yield Call(ORIGIN, Fetch(key))
        except Unreachable:
            return None
        yield Gate("fill.before-put", key)
        return record

    def admits(self, key: str, record: Record) -> bool:
        """Whether nothing newer than ``record`` is known."""
        return record.stamp >= self.known(key)

    def known(self, key: str) -> int:
        """The highest stamp that this node knows of ``key``."""
        entry, floor = self.entries.get(key), self.floors.get(key)
        return max(entry.stamp if entry else 0, floor.stamp if floor else 0)

    # Writes.

    def write(self, value: Value) -> Flow[None]:
        """Commit; the source tells everybody, and this node knows at once."""
        stamp = yield from self.commit(value)
        yield Gate("write.after-commit", value.key)
        self.take_in(value.key, Record(value, stamp))

    def commit(self, value: Value) -> Flow[int]:
        """Make ``value`` the newest, on condition that nothing has come in between; its stamp."""
        after = self.known(value.key)
        while True:
            answer: int | Conflict = yield Call(ORIGIN, Commit(value, after))
            if not isinstance(answer, Conflict):
                return answer
            after = answer.stamp

    def take_in(self, key: str, record: Record) -> None:
        """``record`` of ``key`` has been written here."""
        self.invalidate(key, record.stamp)

    # Events.

    def hear(self, source: str, message: Any) -> None:
        """Events, and beats that tell how many there should have been."""
        match message:
            case Delivery(number, Invalidate(key, stamp)):
                self.invalidate(key, stamp)
                self.count(number)
            case Beat(published):
                if self.heard is not None and published > self.heard:
                    self.place.send(BUS, Redeliver(self.heard + 1))
            case _:
                super().hear(source, message)

    def invalidate(self, key: str, stamp: int) -> None:
        """Raise the floor, and drop what is below it."""
        if stamp > self.known(key):
            self.remember(key, stamp)
            self.entries.pop(key, None)

    def count(self, number: int) -> None:
        """Note that event ``number`` has come."""
        if self.heard is not None and number > self.heard:
            self._early.add(number)
            while self.heard + 1 in self._early:
                self.heard += 1
                self._early.remove(self.heard)

    # What is remembered of keys that have no entry.

    def remember(self, key: str, stamp: int) -> None:
        """Raise the floor of ``key``, and forget floors that are too old."""
        now_ns = self.place.monotonic_ns()
        self.floors[key] = Floor(stamp, now_ns)
        self.floors.move_to_end(key)
        while next(iter(self.floors.values())).heard_ns < now_ns - self.settings.forget_ns:
            self.floors.popitem(last=False)

    def remembers(self, began_ns: int) -> bool:
        """Whether every floor that was raised since ``began_ns`` is still there."""
        return began_ns >= self.place.monotonic_ns() - self.settings.forget_ns


def promise(settings: Settings, hop_ns: int) -> Contract:
    """An event takes two hops.

    After a fault the source waits for its time-out before it hands over again what did not get through (two hops), or a beat
    tells a node what it has missed (a hop), and the node asks for it (two hops).
    """
    repair_ns = max(settings.call_timeout_ns + settings.retry_ns, settings.heartbeat_ns) + 3 * hop_ns
    return bounded(2 * hop_ns, repair_ns, sessions={"read_your_writes": "same-node", "monotonic_reads": "same-node"})


DESIGN = Design("broadcast-alo", BroadcastAtLeastOnce, promise, origin=Outbox, bus=Log)
