"""A source that remembers who has read what, and the connections on which it tells: ``strategies.tracking``."""

from __future__ import annotations

from typing import Any, NamedTuple

from harness.reference.effects import Flow, Sleep
from harness.reference.messages import Invalidate, Record
from harness.reference.node import Actor, Place
from harness.reference.origin import NOTHING, Origin


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
