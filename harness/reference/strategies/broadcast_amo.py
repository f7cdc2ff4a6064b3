"""Broadcast at most once: whoever may have missed an invalidation forgets everything.

The node that wrote publishes the invalidation after the commit, and acknowledges the write once the bus has it. The bus delivers
to whoever listens at that moment and keeps nothing, like publish/subscribe in Redis. So every node watches for losses: events are
numbered within a run of the bus, and beats tell the latest number. A number that was skipped, another run of the bus, or a
silence (a cut, a pause of the node itself) mean that something may have been missed, and the node flushes. While it hears nothing
it asks the source for every read and keeps nothing.

There are no versions. An invalidation tears up the fetch that is under way for its key: its record goes to the read that began
it, but is not kept. Reads that come meanwhile wait, and then look again: an answer from before they asked may be too old.

A commit without an answer may have happened, or may still: the node tells of it now, and again once the source has answered what
was sent after it. A node that dies between commit and publication tells nobody. When it comes back it has everybody flush; if it
never does, the time to live is the backstop.

Promise: a read is stale for no longer than an event takes from the bus to a node; across a fault, no longer than the fault and
then until the writer hands its event over, or the next beat tells of what was missed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from harness.plan import Contract
from harness.reference.bus import Broadcast
from harness.reference.design import Design, bounded
from harness.reference.effects import Call, Flow, Gate, Latch, Open, Refused, Sleep, Unreachable, Wait
from harness.reference.messages import BUS, ORIGIN, Beat, Commit, Delivery, Fetch, Flush, Invalidate, Publish, Record, Value
from harness.reference.node import Actor, Place, Strategy
from harness.reference.settings import Settings

_TTL_NS = 10_000_000_000
_NEVER = -1
"""No key ever has this stamp: a commit after it only asks whether the first request of its operation was carried out."""


class Entry(NamedTuple):
    """A record that is served until ``until_ns`` on the node's monotonic clock."""

    record: Record
    until_ns: int


class Fill:
    """A fetch under way.

    Attributes:
        began_ns: when it began, on the node's monotonic clock.
        torn: whether its record may have been superseded since then.
        over: opened when it is over.
    """

    __slots__ = ("began_ns", "over", "torn")

    def __init__(self, began_ns: int) -> None:
        self.began_ns = began_ns
        self.torn = False
        self.over = Latch()


class BroadcastAtMostOnce(Strategy):
    """One node.

    Attributes:
        entries: what it serves.
        fills: the fetches under way, by key.
        run: the run of the bus that it listens to; None before it has heard anything.
        heard: the number up to which no event of this run is missing, or a flush has made up for it.
        heard_ns: when it heard the bus last, on its monotonic clock.
        bereaved: whether a process before this one may have died with something untold.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.entries: dict[str, Entry] = {}
        self.fills: dict[str, Fill] = {}
        self.run: int | None = None
        self.heard = 0
        self.heard_ns = 0
        self.bereaved = False

    def survivor(self) -> Actor:
        """Somebody who has nothing but a mark on the disk that there was one before."""
        successor = type(self)(self.place)
        successor.bereaved = True
        return successor

    def start(self) -> None:
        """Tell what a dead predecessor may have left untold."""
        if self.bereaved:
            self.place.spawn(self.tell(Flush()))

    # Reads.

    def read(self, key: str) -> Flow[Value | None]:
        """From the cache, else from the source."""
        while (record := self.kept(key)) is None:
            under_way = self.fills.get(key)
            if under_way is None:
                record = yield from self.fill(key)
                break
            yield Wait(under_way.over)
        return record.value

    def kept(self, key: str) -> Record | None:
        """What the cache may serve of ``key`` now."""
        entry = self.entries.get(key)
        if entry is None or self.deaf() or entry.until_ns <= self.place.monotonic_ns():
            return None
        return entry.record

    def fill(self, key: str) -> Flow[Record]:
        """Fetch the record of ``key``, and keep it if nothing came in between."""
        fill = self.fills[key] = Fill(self.place.monotonic_ns())
        try:
            record: Record = yield Call(ORIGIN, self.request(key))
        except (Unreachable, Refused):
            del self.fills[key]
            yield Open(fill.over)
            raise
        yield Gate("fill.before-put", key)
        if self.admits(key, fill):
            self.put(key, Entry(record, fill.began_ns + self.settings.ttl_ns))
        del self.fills[key]
        yield Open(fill.over)
        return record

    def request(self, key: str) -> Fetch:
        """What a fill asks the source for."""
        return Fetch(key)

    def admits(self, key: str, fill: Fill) -> bool:  # noqa: ARG002 - others look at the key as well
        """Whether what ``fill`` brings may be kept."""
        return not fill.torn and not self.deaf()

    def put(self, key: str, entry: Entry) -> None:
        """Keep ``entry``."""
        self.entries[key] = entry

    # Writes.

    def write(self, value: Value) -> Flow[None]:
        """Commit, then tell everybody. Where nobody knows whether it was committed, tell in any case."""
        try:
            stamp: int = yield Call(ORIGIN, Commit(value))
        except Unreachable:
            self.written_here(value.key)
            self.place.spawn(self.find_out(value))
            raise
        yield Gate("write.after-commit", value.key)
        self.written_here(value.key)
        yield from self.tell(Invalidate(value.key, stamp))

    def find_out(self, value: Value) -> Flow[None]:
        """Tell of a write that may have been committed; and once more when the source answers: until then it still could be."""
        yield from self.tell(Invalidate(value.key, 0))
        answered = False
        while not answered:
            try:
                yield Call(ORIGIN, Commit(value, after=_NEVER))
                answered = True
            except Unreachable:
                yield Sleep(self.settings.retry_ns)
        self.written_here(value.key)
        yield from self.tell(Invalidate(value.key, 0))

    def written_here(self, key: str) -> None:
        """A write of ``key`` at this node may have been committed: its clients must not wait for the bus to say so."""
        self.invalidate(key)

    def tell(self, event: Invalidate | Flush) -> Flow[None]:
        """Hand ``event`` to the bus until it has it."""
        yield Gate("invalidation.before-send", event.key if isinstance(event, Invalidate) else "")
        told = False
        while not told:
            try:
                yield Call(BUS, Publish(event))
                told = True
            except Unreachable:
                yield Sleep(self.settings.retry_ns)

    # Events.

    def hear(self, source: str, message: Any) -> None:
        """Events, and beats that tell how many there should have been."""
        match message:
            case Delivery(number, event, run):
                self.listen(run, number - 1)
                self.heard = max(self.heard, number)
                self.take(event)
            case Beat(published, run):
                self.listen(run, published)
            case _:
                super().hear(source, message)

    def take(self, event: Any) -> None:
        """Do what an event says."""
        match event:
            case Invalidate(key):
                self.invalidate(key)
            case Flush():
                self.flush()

    def listen(self, run: int, published: int) -> None:
        """The bus is there, and before this message it had published so much in its run."""
        if self.deaf() or run != self.run:
            self.join(run, published)
        elif self.missed(published):
            self.flush()
            self.heard = published
        self.heard_ns = self.place.monotonic_ns()

    def deaf(self) -> bool:
        """Whether the node may be missing events and could not know: it has heard nothing for too long, or never."""
        return self.run is None or self.place.monotonic_ns() - self.heard_ns > self.settings.silence_ns

    def join(self, run: int, published: int) -> None:
        """Listen anew, from here on; what was kept before is worth nothing."""
        self.flush()
        self.run, self.heard = run, published

    def missed(self, published: int) -> bool:
        """Whether an event has been lost, if there were ``published``."""
        return published > self.heard

    def invalidate(self, key: str) -> None:
        """Drop the entry, and tear up the fill that is under way."""
        self.entries.pop(key, None)
        fill = self.fills.get(key)
        if fill is not None:
            fill.torn = True

    def flush(self) -> None:
        """Invalidate everything."""
        self.entries.clear()
        for fill in self.fills.values():
            fill.torn = True


def repair_ns(settings: Settings, hop_ns: int) -> int:
    """How long after a fault, in ns, until all is made up for.

    What was sent in vain just before its end is sent again: a question about a commit, and with the answer the event.
    Or a beat shows that something is missing.
    """
    again_ns = settings.call_timeout_ns + settings.retry_ns + settings.commit_ns + 4 * hop_ns
    return max(again_ns, settings.heartbeat_ns + hop_ns)


def promise(settings: Settings, hop_ns: int) -> Contract:
    """The bus replies to the writer when it sends the event on: an event is one hop behind the acknowledgement, at most."""
    sessions = {"read_your_writes": "same-node", "monotonic_reads": "same-node"}
    return bounded(hop_ns, repair_ns(settings, hop_ns), sessions=sessions)


DESIGN = Design("broadcast-amo", BroadcastAtMostOnce, promise, bus=Broadcast, settings=Settings(ttl_ns=_TTL_NS))
