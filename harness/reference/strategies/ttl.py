"""A time to live and nothing else: an entry is served until its time is over, whatever happened to its key meanwhile.

Lives are counted on the node's monotonic clock, which nobody can set. They begin when the entry is put, so the time of the fill
comes on top: what was read at the source just before a write, and came late, is served for a whole life more.

A fill that comes after a newer one is not put. An entry whose time is over stays until a newer one replaces it, so that this can
be told.

Promise: a read is stale for no longer than a life and a fill, whatever is cut, lost or delayed; a paused node may have put what
it had asked for before the pause.
"""

from __future__ import annotations

from typing import NamedTuple

from harness.plan import Contract
from harness.reference.clocks import by_the_clock
from harness.reference.design import Design
from harness.reference.effects import Call, Flow, Gate
from harness.reference.messages import ORIGIN, Commit, Fetch, Record, Value
from harness.reference.node import Place, Strategy
from harness.reference.settings import Settings


class Entry(NamedTuple):
    """A record, and until when it is served."""

    record: Record
    until_ns: int


class TimeToLive(Strategy):
    """One node.

    Attributes:
        entries: what it serves, or has served last.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.entries: dict[str, Entry] = {}

    def read(self, key: str) -> Flow[Value | None]:
        """From the cache while the entry lives, else from the source."""
        entry = self.entries.get(key)
        if entry is not None and self.now_ns() < entry.until_ns:
            self.served(key, entry)
            return entry.record.value
        record = yield from self.fill(key)
        return record.value

    def fill(self, key: str) -> Flow[Record]:
        """Fetch the record of ``key``, and keep it unless there is a newer one."""
        record: Record = yield Call(ORIGIN, Fetch(key))
        yield Gate("fill.before-put", key)
        here = self.entries.get(key)
        if here is None or record.stamp >= here.record.stamp:
            self.entries[key] = Entry(record, self.now_ns() + self.settings.ttl_ns)
        return record

    def served(self, key: str, entry: Entry) -> None:
        """A read was answered with ``entry``: nothing comes of it, unless this is overridden."""

    def now_ns(self) -> int:
        """The time by which entries live and die."""
        return self.place.monotonic_ns()

    def write(self, value: Value) -> Flow[None]:
        """Commit. Entries do not know of it, not even here."""
        yield Call(ORIGIN, Commit(value))


def promise(settings: Settings, hop_ns: int) -> Contract:
    """A life, and the way of a record from the source to its entry: however slow, but no longer than a node waits for it."""
    return by_the_clock(
        settings.ttl_ns + settings.slow_load_ns + hop_ns,
        settings.ttl_ns + settings.call_timeout_ns,
        pause_stretches=True,
        sessions={"monotonic_reads": "same-node"},
    )


DESIGN = Design("ttl", TimeToLive, promise)
