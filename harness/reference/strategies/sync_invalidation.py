"""Synchronous invalidation: a write is committed only after no node has the key any more. Exact, and paid for by every write.

A node may serve entries only while it holds a lease from the source, which it renews all the time. Before the source commits a
write it asks every node that holds a lease to drop the key, and waits for all of them. While it waits it hands the key's record
out to be read, but not to be kept. A node that does not answer is waited for until its lease is over; meanwhile the source does
not renew it. A node counts its lease from when it *asked* for it, and trusts its clock only so far, so it stops first.

A lease has a number. When a node is granted one of another number than it had, writes may have passed it by: it drops everything.
A fill puts nothing if its key has been dropped since it began. A source that has restarted does not know who holds a lease: it
commits nothing until all leases from before are over.

Promise: linearizable. While a node is cut off or stands still, writes wait for as long as a lease, and may be given up.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from harness.plan import Contract
from harness.reference.clocks import SLOWEST_CLOCK
from harness.reference.design import Design, exact
from harness.reference.effects import Call, Calls, Flow, Gate, Latch, Open, Refused, Sleep, Unreachable, Wait
from harness.reference.messages import ORIGIN, Commit, Record, Value
from harness.reference.node import Actor, Place, Strategy
from harness.reference.origin import NOTHING, Origin
from harness.reference.settings import Settings


class RenewLease(NamedTuple):
    """To the source: let me go on serving entries; the reply is the number of the lease."""


class Drop(NamedTuple):
    """To a node: drop ``key``, and what is being fetched of it; the reply is True."""

    key: str


class FetchToKeep(NamedTuple):
    """To the source: the record of ``key``, and whether it may be kept."""

    key: str


class Fetched(NamedTuple):
    """From the source: ``record``, to ``keep`` or only to be read."""

    record: Record
    keep: bool


class Grant(NamedTuple):
    """A lease, until ``until_ns`` on the source's monotonic clock."""

    number: int
    until_ns: int


class SyncOrigin(Origin):
    """A source that commits only what no node has in its cache.

    Attributes:
        leases: the latest of each node.
        granted: how many numbers have been given out; on disk.
        changing: for each key that is about to change, who waits for the end of that.
        owing: how many keys each node has been asked to drop without an answer so far.
        quiet_until_ns: before this nothing is committed.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.leases: dict[str, Grant] = {}
        self.granted = 0
        self.changing: dict[str, Latch] = {}
        self.owing: dict[str, int] = {}
        self.quiet_until_ns = 0

    def survivor(self) -> Actor:
        """The same data; but who holds a lease is forgotten."""
        self.leases, self.changing, self.owing = {}, {}, {}
        self.quiet_until_ns = self.place.monotonic_ns() + self.settings.lease_ns
        return self

    def serve(self, source: str, request: Any) -> Flow[Any]:
        """Reads, leases and commits."""
        match request:
            case FetchToKeep(key):
                yield Sleep(self.settings.load_ns)
                fetched = Fetched(self.records.get(key, NOTHING), key not in self.changing)
                yield from self.tarry()
                return fetched
            case RenewLease():
                return self.renew(source)
            case Commit(value):
                yield from self.begin_change(value.key)
                yield from self.clear(value.key)
                yield Gate("origin.before-commit", value.key)
                yield Sleep(self.settings.commit_ns)
                stamp = self.commit(value)
                yield Open(self.changing.pop(value.key))
                return stamp
        return (yield from super().serve(source, request))

    def renew(self, node: str) -> int:
        """Grant ``node`` a lease: the one that it has, or a new one if that is over."""
        if self.owing.get(node):
            raise Refused("drop first what you were asked to drop")
        now_ns = self.place.monotonic_ns()
        lease = self.leases.get(node)
        if lease is None or lease.until_ns < now_ns:
            self.granted += 1
            lease = Grant(self.granted, 0)
        self.leases[node] = Grant(lease.number, now_ns + self.settings.lease_ns)
        return lease.number

    def begin_change(self, key: str) -> Flow[None]:
        """Wait until no other write of ``key`` is under way; from now on nobody may keep what is read of it."""
        while key in self.changing:
            yield Wait(self.changing[key])
        self.changing[key] = Latch()

    def clear(self, key: str) -> Flow[None]:
        """Wait until no node has ``key``, or may serve it."""
        yield Sleep(max(0, self.quiet_until_ns - self.place.monotonic_ns()))
        holders = self.holders(self.leases)
        while holders:
            for node in holders:
                self.owing[node] = self.owing.get(node, 0) + 1
            yield Gate("invalidation.before-send", key)
            replies = yield Calls(tuple(Call(node, Drop(key), self.settings.heartbeat_ns) for node in holders))
            for node in holders:
                self.owing[node] -= 1
            holders = self.holders({node: holders[node] for node, reply in zip(holders, replies, strict=True) if reply is None})

    def holders(self, leases: dict[str, Grant]) -> dict[str, Grant]:
        """Those of ``leases`` that are not over, as they are now; who has a new one has dropped everything."""
        now_ns = self.place.monotonic_ns()
        latest = {node: self.leases[node] for node, lease in leases.items() if self.leases[node].number == lease.number}
        return {node: lease for node, lease in latest.items() if lease.until_ns >= now_ns}


class SyncInvalidation(Strategy):
    """One node.

    Attributes:
        entries: what it serves while it holds a lease.
        filling: for each key the number of the fill that may put it; others began before the key was dropped.
        lease: the number of the last lease; 0 for none.
        until_ns: how long it lasts, on the node's monotonic clock.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.entries: dict[str, Record] = {}
        self.filling: dict[str, int] = {}
        self.lease = 0
        self.until_ns = 0
        self._fills = 0

    def start(self) -> None:
        """Keep a lease."""
        self.place.spawn(self._renewals())

    def read(self, key: str) -> Flow[Value | None]:
        """From the cache while there is a lease, else from the source."""
        entry = self.entries.get(key) if self.place.monotonic_ns() < self.until_ns else None
        if entry is None:
            entry = yield from self.fill(key)
        return entry.value

    def fill(self, key: str) -> Flow[Record]:
        """Fetch the record of ``key``, and keep it if it may be kept and has not been dropped meanwhile."""
        self._fills += 1
        mine = self.filling[key] = self._fills
        fetched: Fetched = yield Call(ORIGIN, FetchToKeep(key))
        yield Gate("fill.before-put", key)
        if self.filling.get(key) == mine:
            del self.filling[key]
            if fetched.keep:
                self.entries[key] = fetched.record
        return fetched.record

    def write(self, value: Value) -> Flow[None]:
        """Commit, once all nodes have dropped the key: this one, too."""
        yield Call(ORIGIN, Commit(value))
        yield Gate("write.after-commit", value.key)

    def serve(self, source: str, request: Any) -> Flow[Any]:
        """Drop a key."""
        match request:
            case Drop(key):
                self.entries.pop(key, None)
                self.filling.pop(key, None)
                return True
        return (yield from super().serve(source, request))

    def _renewals(self) -> Flow[None]:
        """Ask for a lease again and again; a new one is for an empty cache."""
        while True:
            asked_ns = self.place.monotonic_ns()
            try:
                lease: int = yield Call(ORIGIN, RenewLease())
            except (Refused, Unreachable):
                yield Sleep(self.settings.retry_ns)
                continue
            if lease != self.lease:
                self.entries.clear()
                self.filling.clear()
            self.lease, self.until_ns = lease, asked_ns + round(self.settings.lease_ns * SLOWEST_CLOCK)
            yield Sleep(self.settings.heartbeat_ns)


def promise(_settings: Settings, _hop_ns: int) -> Contract:
    """What a node may serve, nobody may replace."""
    return exact()


DESIGN = Design(
    "sync-invalidation",
    SyncInvalidation,
    promise,
    origin=SyncOrigin,
    # A write must be able to outwait a lease before it is given up.
    settings=Settings(lease_ns=400_000_000),
)
