"""Client-side caching: the source remembers who has read what, and tells those when it changes. As in Redis 6 and Valkey.

Each node has a connection to the source. Whatever a node reads there it may keep, for the source has noted its name beside the
key; when the key is written the source sends an invalidation down the connection and crosses the name out. So nobody hears of
keys that it does not have.

What the source sends on a connection is numbered, so that a node knows when something is missing or late. Then, as after any loss
of the connection, it drops everything and opens a new one: the source has forgotten, or may have forgotten, what it had noted. A
node sends heartbeats, and the source sends them back down the same connection, behind all invalidations before them. An echo
therefore proves that up to when its heartbeat was *sent* nothing is missing, and a node serves entries only so long after that.

A fill puts nothing if its key has been invalidated, or the connection lost, since it began: a reply may be overtaken.

Promise: a read is stale for no longer than an invalidation takes; whatever is broken, for no longer than the silence that a node
bears.
"""

from __future__ import annotations

from typing import Any

from harness.plan import Contract
from harness.reference.clocks import by_the_clock
from harness.reference.design import Design
from harness.reference.effects import Call, Flow, Gate, Sleep
from harness.reference.messages import ORIGIN, Commit, Invalidate, Record, Value
from harness.reference.node import Place, Strategy
from harness.reference.settings import Settings
from harness.reference.tracked import Echo, FetchTracked, Heartbeat, Opened, Pushed, TrackingOrigin


class Tracking(Strategy):
    """One node.

    Attributes:
        entries: what it has.
        filling: for each key the number of the fill that may put it; others have been overtaken.
        connection: the latest that it has heard of.
        heard: how much of it has come; None once something is missing.
        proven_ns: up to when nothing is missing, on its monotonic clock; None if that is unknown.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.entries: dict[str, Record] = {}
        self.filling: dict[str, int] = {}
        self.connection = 0
        self.heard: int | None = None
        self.proven_ns: int | None = None
        self._fills = 0

    def start(self) -> None:
        """Let the heart beat."""
        self.place.spawn(self._beats())

    def read(self, key: str) -> Flow[Value | None]:
        """From the cache as long as the connection is known to be whole, else from the source."""
        entry = self.entries.get(key) if self.whole() else None
        if entry is None:
            entry = yield from self.fill(key)
        return entry.value

    def whole(self) -> bool:
        """Whether all invalidations have come that were sent until a moment ago."""
        return self.proven_ns is not None and self.place.monotonic_ns() - self.proven_ns <= self.settings.silence_ns

    def fill(self, key: str) -> Flow[Record]:
        """Fetch the record of ``key``, and keep it if nothing has happened to it meanwhile."""
        self._fills += 1
        mine = self.filling[key] = self._fills
        record: Record = yield Call(ORIGIN, FetchTracked(key))
        yield Gate("fill.before-put", key)
        if self.admits(key, mine):
            self.entries[key] = record
            self.filling.pop(key, None)
        else:
            self.invalidate(key, record.stamp)
        return record

    def admits(self, key: str, fill: int) -> bool:
        """Whether nothing has happened to ``key`` since ``fill`` began."""
        return self.filling.get(key) == fill

    def write(self, value: Value) -> Flow[None]:
        """Commit; this node has read its own write."""
        stamp: int = yield Call(ORIGIN, Commit(value))
        yield Gate("write.after-commit", value.key)
        self.invalidate(value.key, stamp)

    def hear(self, source: str, message: Any) -> None:
        """What comes down the connection, if it is the next thing."""
        match message:
            case Pushed(connection, number, event):
                if connection > self.connection:
                    self.connection, self.heard = connection, 0
                if connection < self.connection or self.heard is None or number <= self.heard:
                    return
                if number == self.heard + 1:
                    self.heard = number
                    self.take(event)
                else:
                    self.lose()
            case _:
                super().hear(source, message)

    def take(self, event: Echo | Opened | Invalidate) -> None:
        """Something has come in its turn."""
        match event:
            case Echo(sent_ns):
                self.proven_ns = max(sent_ns, self.proven_ns or 0)
            case Invalidate(key, stamp):
                self.invalidate(key, stamp)
            case Opened():
                self.flush()

    def lose(self) -> None:
        """Something is missing: everything may be wrong, and a new connection is needed."""
        self.heard = None
        self.flush()
        self.beat()

    def flush(self) -> None:
        """Drop everything, and what is on its way."""
        self.entries.clear()
        self.filling.clear()
        self.proven_ns = None

    def invalidate(self, key: str, stamp: int) -> None:
        """Drop the entry of ``key`` if it is older than ``stamp``, and let no fill put one that may be."""
        self.filling.pop(key, None)
        entry = self.entries.get(key)
        if entry is not None and entry.stamp < stamp:
            del self.entries[key]

    def beat(self) -> None:
        """Send a heartbeat; on no connection if the one there was is not whole."""
        connection = self.connection if self.heard is not None else 0
        self.place.send(ORIGIN, Heartbeat(connection, self.place.monotonic_ns()))

    def _beats(self) -> Flow[None]:
        while True:
            self.beat()
            yield Sleep(self.settings.heartbeat_ns)


def promise(settings: Settings, hop_ns: int) -> Contract:
    """An invalidation takes a hop. If it does not come, neither does the echo behind it."""
    return by_the_clock(hop_ns, settings.silence_ns, sessions={"read_your_writes": "same-node", "monotonic_reads": "same-node"})


DESIGN = Design("tracking", Tracking, promise, origin=TrackingOrigin)
