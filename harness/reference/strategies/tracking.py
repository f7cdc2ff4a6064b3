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

from typing import Any, NamedTuple

from harness.plan import Contract
from harness.reference.clocks import by_the_clock
from harness.reference.design import Design
from harness.reference.effects import Call, Flow, Gate, Sleep
from harness.reference.messages import ORIGIN, Commit, Invalidate, Record, Value
from harness.reference.node import Actor, Place, Strategy
from harness.reference.origin import NOTHING, Origin
from harness.reference.settings import Settings


class FetchTracked(NamedTuple):
    """To the source: the record of ``key``, and tell me when it changes."""

    key: str


class Heartbeat(NamedTuple):
    """To the source: I am here, on this ``connection`` (0 for none); it was ``sent_ns`` by my clock."""

    connection: int
    sent_ns: int


class Echo(NamedTuple):
    """From the source: your heartbeat that was sent at ``sent_ns``."""

    sent_ns: int


class Opened(NamedTuple):
    """From the source: this is a new connection, and nothing is noted for it. The first thing that is sent on it."""


class Pushed(NamedTuple):
    """From the source: the ``number``-th thing sent on ``connection``. Later connections have higher numbers."""

    connection: int
    number: int
    event: Echo | Opened | Invalidate


class Connection:
    """One node's, as the source has it.

    Attributes:
        number: which one.
        sent: how much was sent on it.
        heard_ns: when the node's last heartbeat came.
    """

    def __init__(self, number: int, heard_ns: int) -> None:
        self.number = number
        self.sent = 0
        self.heard_ns = heard_ns


class TrackingOrigin(Origin):
    """A source that remembers who has read what.

    Attributes:
        connections: of the nodes that it has heard of lately.
        readers: who is told when a key changes.
        opened: how many connections there have been; on disk.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.connections: dict[str, Connection] = {}
        self.readers: dict[str, dict[str, None]] = {}
        self.opened = 0

    def survivor(self) -> Actor:
        """The same data, and no connections."""
        self.connections, self.readers = {}, {}
        return self

    def start(self) -> None:
        """Watch the connections."""
        self.place.spawn(self._watch())

    def serve(self, source: str, request: Any) -> Flow[Any]:
        """Note who reads, at the moment of the reading."""
        match request:
            case FetchTracked(key):
                yield Sleep(self.settings.load_ns)
                yield from self.tarry()
                if source not in self.connections:
                    self.open(source)
                self.readers.setdefault(key, {})[source] = None
                return self.records.get(key, NOTHING)
        return (yield from super().serve(source, request))

    def hear(self, source: str, message: Any) -> None:
        """Send a heartbeat back."""
        match message:
            case Heartbeat(number, sent_ns):
                if source not in self.connections or self.connections[source].number != number:
                    self.open(source)
                self.connections[source].heard_ns = self.place.monotonic_ns()
                self.push(source, Echo(sent_ns))
            case _:
                super().hear(source, message)

    def committed(self, record: Record) -> None:
        """Tell those who have read the key."""
        if record.value is not None:
            for reader in self.readers.pop(record.value.key, {}):
                self.push(reader, Invalidate(record.value.key, record.stamp))

    def push(self, node: str, event: Echo | Opened | Invalidate) -> None:
        """Send ``event`` down the connection of ``node``."""
        connection = self.connections[node]
        connection.sent += 1
        self.place.send(node, Pushed(connection.number, connection.sent, event))

    def open(self, node: str) -> None:
        """A new connection; what was noted for an earlier one is void."""
        self.forget(node)
        self.opened += 1
        self.connections[node] = Connection(self.opened, self.place.monotonic_ns())
        self.push(node, Opened())

    def close(self, node: str) -> None:
        """Nothing is sent on the connection of ``node`` any more, so it will notice."""
        self.forget(node)
        del self.connections[node]

    def forget(self, node: str) -> None:
        """Cross ``node`` out everywhere."""
        for readers in self.readers.values():
            readers.pop(node, None)

    def _watch(self) -> Flow[None]:
        """Close the connections of nodes that are not there any more: their notes take memory."""
        while True:
            yield Sleep(self.settings.heartbeat_ns)
            since_ns = self.place.monotonic_ns() - self.settings.silence_ns
            for node in [node for node, connection in self.connections.items() if connection.heard_ns < since_ns]:
                self.close(node)


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
