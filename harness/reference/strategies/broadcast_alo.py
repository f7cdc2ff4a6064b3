"""Broadcast at least once, with versions: invalidate, or reject what is older.

The source commits a write together with its event (an *outbox*: no crash can part the two) and hands the event, key and stamp, to
the bus until the bus has it. Every node keeps, for each key, a *floor*: the highest stamp that it has heard of. An event raises
the floor and drops an entry below it; a fill below the floor is served to nobody and fetched again. So it does not matter how
late, how often or in which order events come, nor how slow a fill is.

The bus keeps its events and numbers them. A node asks for the present number before it keeps anything, and whenever a beat tells
of a higher number than it has heard, it asks for the rest again.

Promise: a read is stale for no longer than the event takes; across a cut, no longer than the cut, a beat and the redelivery.
"""

from __future__ import annotations

from typing import Any

from harness.plan import Contract
from harness.reference.bus import Log
from harness.reference.design import Design, bounded
from harness.reference.effects import Call, Flow, Gate, Sleep, Unreachable
from harness.reference.messages import BUS, ORIGIN, Beat, Commit, Count, Delivery, Fetch, Invalidate, Record, Redeliver, Value
from harness.reference.node import Place, Strategy
from harness.reference.origin import Outbox
from harness.reference.settings import Settings


class BroadcastAtLeastOnce(Strategy):
    """One node.

    Attributes:
        entries: what it serves.
        floors: the highest stamp heard of, by key.
        heard: the number up to which no event is missing; None until the bus has told where it stands.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.entries: dict[str, Record] = {}
        self.floors: dict[str, int] = {}
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

    def read(self, key: str) -> Flow[Value | None]:
        """From the cache, else from the source."""
        entry = self.entries.get(key)
        if entry is None:
            entry = yield from self.fill(key)
        return entry.value

    def fill(self, key: str) -> Flow[Record]:
        """Fetch the record of ``key`` until it is not older than what has been heard of, and keep it."""
        while True:
            listening = self.heard is not None
            record: Record = yield Call(ORIGIN, Fetch(key))
            yield Gate("fill.before-put", key)
            if self.admits(key, record):
                self.floors[key] = record.stamp
                if listening:
                    self.entries[key] = record
                return record

    def admits(self, key: str, record: Record) -> bool:
        """Whether nothing newer than ``record`` has been heard of."""
        return record.stamp >= self.floors.get(key, 0)

    def write(self, value: Value) -> Flow[None]:
        """Commit; the source tells everybody, and this node knows at once."""
        stamp: int = yield Call(ORIGIN, Commit(value))
        yield Gate("write.after-commit", value.key)
        self.invalidate(value.key, stamp)

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
        if stamp > self.floors.get(key, 0):
            self.floors[key] = stamp
            entry = self.entries.get(key)
            if entry is not None and entry.stamp < stamp:
                del self.entries[key]

    def count(self, number: int) -> None:
        """Note that event ``number`` has come."""
        if self.heard is not None and number > self.heard:
            self._early.add(number)
            while self.heard + 1 in self._early:
                self.heard += 1
                self._early.remove(self.heard)


def promise(settings: Settings, hop_ns: int) -> Contract:
    """An event takes two hops to be told and heard. What a fault keeps back comes after a beat, a request and its answer."""
    repair_ns = settings.heartbeat_ns + settings.call_timeout_ns + 4 * hop_ns
    return bounded(2 * hop_ns, repair_ns, sessions={"read_your_writes": "same-node", "monotonic_reads": "same-node"})


DESIGN = Design("broadcast-alo", BroadcastAtLeastOnce, promise, origin=Outbox, bus=Log)
