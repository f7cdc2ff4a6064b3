"""Stale while revalidate, with a window: for a while after its life an entry is served while one refresh asks for a newer one.

An entry is *fresh* for its time to live, counted from when its record was asked for. In the *window* after that it is served at
once, and the first read begins a refresh in the background, conditional on the stamp. After the window a reader waits for a
fetch: an entry that nobody has asked for in a long time is not served, and neither is one whose refreshes fail.

A refresh has its say only if the entry that it began with is still there: an answer that was overtaken by a purge or by a fetch
comes to nothing. A write purges the entry of the node that it goes through, and no fill older than the write is put there again.

Promise: a read is stale for no longer than the time to live and the window; a session reads its own writes where it wrote them.
"""

from __future__ import annotations

from typing import NamedTuple

from harness.plan import Contract
from harness.reference.clocks import by_the_clock
from harness.reference.design import Design
from harness.reference.effects import Call, Flow, Gate, Unreachable
from harness.reference.messages import ORIGIN, Commit, Fetch, FetchNewer, Record, Value
from harness.reference.node import Place, Strategy
from harness.reference.settings import Settings

_MS = 1_000_000


class Entry(NamedTuple):
    """A record, and when it was asked for."""

    record: Record
    asked_ns: int


class StaleWhileRevalidate(Strategy):
    """One node.

    Attributes:
        entries: what it serves.
        floors: the highest stamp that it knows of, by key.
        refreshing: the keys that are asked for in the background.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.entries: dict[str, Entry] = {}
        self.floors: dict[str, int] = {}
        self.refreshing: set[str] = set()

    def fresh_ns(self) -> int:
        """How long an entry is served without further ado."""
        return self.settings.ttl_ns

    def window_ns(self) -> int:
        """How much longer it is served while it is refreshed."""
        return self.settings.window_ns

    def read(self, key: str) -> Flow[Value | None]:
        """From the cache while the entry is fresh or in its window, else from the source."""
        entry = self.entries.get(key)
        if entry is None or not self.serves(entry):
            record = yield from self.fill(key)
            return record.value
        if self.age_ns(entry) >= self.fresh_ns() and key not in self.refreshing:
            self.begin_refresh(key, entry)
        return entry.record.value

    def age_ns(self, entry: Entry) -> int:
        """How long ago ``entry`` was asked for: it may be as stale as this, and no staler."""
        return self.place.monotonic_ns() - entry.asked_ns

    def serves(self, entry: Entry) -> bool:
        """Whether ``entry`` may be served, fresh or stale."""
        return self.age_ns(entry) < self.fresh_ns() + self.window_ns()

    def fill(self, key: str) -> Flow[Record]:
        """Fetch the record of ``key`` while the reader waits."""
        asked_ns = self.place.monotonic_ns()
        record: Record = yield Call(ORIGIN, Fetch(key))
        yield Gate("fill.before-put", key)
        if record.stamp >= self.floors.get(key, 0):
            self.put(key, Entry(record, asked_ns))
        return record

    def begin_refresh(self, key: str, entry: Entry) -> None:
        """Ask for something newer than ``entry`` in the background."""
        self.refreshing.add(key)
        self.place.spawn(self.refresh(key, entry))

    def refresh(self, key: str, entry: Entry) -> Flow[None]:
        """Put what the source has now in the place of ``entry``."""
        asked_ns = self.place.monotonic_ns()
        try:
            record = yield from self.reload(key, entry.record)
            yield Gate("refresh.before-put", key)
            self.refreshed(key, entry, Entry(record, asked_ns))
        except Unreachable:
            pass  # the entry is served until its window is over; the next read tries again
        finally:
            self.refreshing.discard(key)

    def reload(self, key: str, record: Record) -> Flow[Record]:
        """What the source has now: the same ``record`` if it says that nothing has changed."""
        newer: Record | None = yield Call(ORIGIN, FetchNewer(key, record.stamp))
        return record if newer is None else newer

    def refreshed(self, key: str, old: Entry, new: Entry) -> None:
        """A refresh that began with ``old`` has ended with ``new``."""
        if self.entries.get(key) is old:
            self.put(key, new)

    def put(self, key: str, entry: Entry) -> None:
        """Serve ``entry`` from now on."""
        self.entries[key] = entry
        self.floors[key] = max(entry.record.stamp, self.floors.get(key, 0))

    def write(self, value: Value) -> Flow[None]:
        """Commit, and serve nothing older from here."""
        stamp: int = yield Call(ORIGIN, Commit(value))
        yield Gate("write.after-commit", value.key)
        self.purge(value.key, stamp)

    def purge(self, key: str, stamp: int) -> None:
        """The record of ``stamp`` is there: raise the floor, and drop what is below it."""
        if stamp > self.floors.get(key, 0):
            self.floors[key] = stamp
            self.entries.pop(key, None)


def promise(settings: Settings, _hop_ns: int) -> Contract:
    """A life and a window, counted from the question: so no slow answer and no pause adds to it."""
    bound_ns = settings.ttl_ns + settings.window_ns
    return by_the_clock(bound_ns, bound_ns, sessions={"read_your_writes": "same-node", "monotonic_reads": "same-node"})


DESIGN = Design("swr", StaleWhileRevalidate, promise, settings=Settings(ttl_ns=100 * _MS, window_ns=100 * _MS, slow_share=0.1))
