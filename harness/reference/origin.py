"""The source of truth: one place that orders the commits of each key, with an audit of all of them and a replica that lags."""

from __future__ import annotations

from collections import deque
from typing import Any

from harness.reference.effects import Call, Flow, Gate, Refused, Sleep, Unreachable
from harness.reference.messages import (
    BUS,
    Commit,
    CommitMany,
    Conflict,
    Conflicts,
    Fetch,
    FetchMany,
    FetchNewer,
    Invalidate,
    Publish,
    Record,
    Stamp,
    Update,
    Value,
)
from harness.reference.node import Actor, Place

NOTHING = Record(None, 0)


class Origin(Actor):
    """A database that survives restarts: ``records`` and ``audit`` are on its disk.

    Attributes:
        records: the newest record of each key.
        audit: every committed value with the time of its commit on the place's monotonic clock, in order.
        stamps: the stamp of every operation that was committed.
        replica: the records as its replica has them.
        sealed: whether nothing is committed any more.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.records: dict[str, Record] = {}
        self.audit: list[tuple[int, Value]] = []
        self.stamps: dict[int, int] = {}
        self.replica: dict[str, Record] = {}
        self.sealed = False
        self._on_its_way: deque[tuple[int, str, Record]] = deque()

    def survivor(self) -> Actor:
        """The same: all of it is on disk."""
        return self

    def serve(self, source: str, request: Any) -> Flow[Any]:
        """Reads and commits; each takes effect at one moment."""
        match request:
            case Fetch(key, replica):
                yield Sleep(self.settings.load_ns)
                record = self.lagging(key) if replica else self.records.get(key, NOTHING)
                yield from self.tarry()
                return record
            case FetchNewer(key, stamp):
                yield Sleep(self.settings.load_ns)
                record = self.records.get(key, NOTHING)
                yield from self.tarry()
                return record if record.stamp > stamp else None
            case FetchMany(keys):
                yield Sleep(self.settings.load_ns)
                records = tuple(self.records.get(key, NOTHING) for key in keys)
                yield from self.tarry()
                return records
            case Stamp(key):
                return self.records.get(key, NOTHING).stamp
            case Commit(value, after):
                yield Gate("origin.before-commit", value.key)
                yield Sleep(self.settings.commit_ns)
                return self.commit(value) if after is None else self.commit_after(value, after)
            case CommitMany(values, afters):
                yield Gate("origin.before-commit", values[0].key)
                yield Sleep(self.settings.commit_ns)
                return self.commit_many(values, afters)
        return (yield from super().serve(source, request))

    def tarry(self) -> Flow[None]:
        """What has been read is on its way at once; now and then much later."""
        if self.place.random.random() < self.settings.slow_share:
            yield Sleep(self.settings.slow_load_ns)

    def commit(self, value: Value, along: tuple[tuple[str, int], ...] = ()) -> int:
        """Make ``value`` the newest, at this moment; its stamp. Raises ``Refused`` once the origin is sealed."""
        if self.sealed:
            raise Refused("the origin is sealed")
        now_ns = self.place.monotonic_ns()
        record = Record(value, self.next_stamp(value.key), along)
        self.records[value.key] = record
        self.stamps[value.op] = record.stamp
        self.audit.append((now_ns, value))
        self._on_its_way.append((now_ns + self.settings.replica_lag_ns, value.key, record))
        self.committed(record)
        return record.stamp

    def commit_after(self, value: Value, after: int) -> int | Conflict:
        """Make ``value`` the newest, once, and only if nothing has been committed since ``after``."""
        if value.op in self.stamps:
            return self.stamps[value.op]
        newest = self.records.get(value.key, NOTHING).stamp
        return self.commit(value) if newest == after else Conflict(newest)

    def commit_many(self, values: tuple[Value, ...], after: tuple[int, ...] | None) -> tuple[int, ...] | Conflicts:
        """Make all ``values`` the newest of their keys, once, and only if nothing has been committed since ``after``."""
        if after is not None:
            if values[0].op in self.stamps:
                return tuple(self.stamps[value.op] for value in values)
            newest = tuple(self.records.get(value.key, NOTHING).stamp for value in values)
            if newest != after:
                return Conflicts(newest)
        along = tuple((value.key, self.next_stamp(value.key)) for value in values)
        return tuple(self.commit(value, along) for value in values)

    def committed(self, record: Record) -> None:
        """``record`` has just been committed: nothing more to do, unless this is overridden."""

    def next_stamp(self, key: str) -> int:
        """The stamp of the next commit of ``key``."""
        return self.records.get(key, NOTHING).stamp + 1

    def lagging(self, key: str) -> Record:
        """The record of ``key`` at the replica."""
        now_ns = self.place.monotonic_ns()
        while self._on_its_way and self._on_its_way[0][0] <= now_ns:
            _, changed, record = self._on_its_way.popleft()
            self.replica[changed] = record
        return self.replica.get(key, NOTHING)


class Outbox(Origin):
    """An origin that commits an event together with each change, and hands it to the bus until the bus has it.

    Attributes:
        untold: the events that the bus may not have yet, in the order of their commits; on disk as well.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.untold: dict[Invalidate | Update, None] = {}

    def start(self) -> None:
        """After a restart, tell again what the bus may not have."""
        for event in self.untold:
            self.place.spawn(self.tell(event))

    def committed(self, record: Record) -> None:
        """Tell of the change, however long it takes."""
        if record.value is not None:
            event = self.event(record.value.key, record)
            self.untold[event] = None
            self.place.spawn(self.tell(event))

    def event(self, key: str, record: Record) -> Invalidate | Update:
        """What is told of the change of ``key`` to ``record``."""
        return Invalidate(key, record.stamp)

    def tell(self, event: Invalidate | Update) -> Flow[None]:
        """Hand ``event`` to the bus until it has it."""
        yield Gate("invalidation.before-send", event.key)
        while event in self.untold:
            try:
                yield Call(BUS, Publish(event))
            except Unreachable:
                yield Sleep(self.settings.retry_ns)
            else:
                self.untold.pop(event, None)
