"""Two tiers: entries in each node's memory before entries in the shared store, purged from the inside out.

The inner tier is the store, filled by leases (see ``lease``); the outer one is the node's own memory, filled from the store. A
write commits, deletes in the store, and only then tells the bus, which tells every node to drop the key. The other way round, a
node that has just dropped the key would fill it again with the old value from the store, and nothing would drop it a second time.

A fill of the outer tier may be under way when the purge comes: what it brings may have been read in the store before the delete.
So a purge spoils the fills of its key that are under way: their reads are answered, and nothing is kept. And an older record
never takes the place of a newer one.

Promise: once a write is answered the bus has its purge, and a node serves what it has for one hop more. What the bus loses lives
until the end of its time. Times to live add up: an old value may pass from the store to a node at the end of its time in the
store.
"""

from __future__ import annotations

from typing import NamedTuple

from harness.plan import Contract
from harness.reference.bus import Broadcast
from harness.reference.clocks import by_the_clock
from harness.reference.design import Design
from harness.reference.effects import Call, Flow, Gate
from harness.reference.messages import BUS, Beat, Delivery, Invalidate, Publish, Record, Value
from harness.reference.node import Place
from harness.reference.settings import Settings
from harness.reference.store import Store
from harness.reference.strategies.lease import DESIGN as LEASE
from harness.reference.strategies.lease import LeaseFill, outlived


class Copy(NamedTuple):
    """A record in a node's memory, and when it is over on the node's monotonic clock."""

    record: Record
    until_ns: int


class TwoTier(LeaseFill):
    """One node.

    Attributes:
        copies: the outer tier, by key.
        fills: the numbers of the fills of the outer tier that are under way and not spoiled, by key.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.copies: dict[str, Copy] = {}
        self.fills: dict[str, set[int]] = {}
        self._fills = 0

    def read(self, key: str) -> Flow[Value | None]:
        """From this node's memory, else from the store, else from the source."""
        copy = self.copies.get(key)
        if copy is None or copy.until_ns <= self.place.monotonic_ns():
            copy = yield from self.copy(key)
        return copy.record.value

    def copy(self, key: str) -> Flow[Copy]:
        """A copy of what is in the store; kept, unless a purge comes meanwhile."""
        self._fills += 1
        fill, until_ns = self._fills, self.place.monotonic_ns() + self.settings.ttl_ns
        self.fills.setdefault(key, set()).add(fill)
        try:
            copy = Copy((yield from self.load(key)), until_ns)
            yield Gate("copy.before-put", key)
            if fill in self.fills.get(key, ()):
                self.keep(key, copy)
        finally:
            self.end(key, fill)
        return copy

    def keep(self, key: str, copy: Copy) -> None:
        """Put ``copy`` where no newer one is."""
        there = self.copies.get(key)
        if there is None or there.record.stamp <= copy.record.stamp:
            self.copies[key] = copy

    def end(self, key: str, fill: int) -> None:
        """Forget a fill that is over."""
        under_way = self.fills.get(key, set())
        under_way.discard(fill)
        if not under_way:
            self.fills.pop(key, None)

    def purge(self, key: str, stamp: int) -> Flow[None]:
        """The inner tier first, then the outer tier everywhere."""
        yield from super().purge(key, stamp)
        yield Gate("purge.between-tiers", key)
        yield from self.purge_copies(key, stamp)

    def purge_copies(self, key: str, stamp: int) -> Flow[None]:
        """Drop the key from the memory of every node, this one first."""
        self.drop(key)
        yield Gate("invalidation.before-send", key)
        yield Call(BUS, Publish(Invalidate(key, stamp)))

    def hear(self, source: str, message: object) -> None:
        """Purges; beats tell nothing that would help."""
        match message:
            case Delivery(_, Invalidate(key)):
                self.drop(key)
            case Beat():
                pass
            case _:
                super().hear(source, message)

    def drop(self, key: str) -> None:
        """Drop the copy of ``key``, and spoil the fills that are under way."""
        self.copies.pop(key, None)
        self.fills.pop(key, None)


def promise(settings: Settings, hop_ns: int) -> Contract:
    """One hop from the bus to a node; else the times to live of both tiers, one after the other."""
    same_node = {"read_your_writes": "same-node", "monotonic_reads": "same-node"}
    return by_the_clock(hop_ns, outlived(settings) + settings.ttl_ns, sessions=same_node)


DESIGN = Design("two-tier", TwoTier, promise, bus=Broadcast, store=Store, settings=LEASE.settings)
