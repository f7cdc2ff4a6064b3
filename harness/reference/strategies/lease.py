"""A shared cache that is filled by leases: one filler at a time, the others wait, and every write deletes.

A node asks the store. If nothing is there, the store gives one node the right to fill, and the others ask again a little later:
whoever took the value from the source meanwhile would be ahead of what is about to be stored, and the next reader would go
backwards. A write commits at the source and then deletes. A delete makes the right to fill worthless, as does the end of the
lease, so a filler that was slow stores nothing and begins again. If the store does not answer, nobody reads past it.

Every answered read has gone through the store, which never gets an older value for a newer one, and every answered write has
deleted: so the fleet is linearizable. Not so for the writes that nobody answered. If the delete never came, the old value lives
until the lease in which it was fetched, and then its own time, have run out.
"""

from __future__ import annotations

from typing import Any

from harness.plan import Contract
from harness.reference.clocks import by_the_clock
from harness.reference.design import Design
from harness.reference.effects import Call, Flow, Gate, Sleep
from harness.reference.messages import ORIGIN, STORE, Commit, Fetch, Record, Value
from harness.reference.node import Strategy
from harness.reference.settings import Settings
from harness.reference.store import Delete, Found, Lease, SetIf, Store, Won


class LeaseFill(Strategy):
    """One node. It keeps nothing of its own."""

    def read(self, key: str) -> Flow[Value | None]:
        """From the store, filled if need be."""
        record = yield from self.load(key)
        return record.value

    def load(self, key: str) -> Flow[Record]:
        """The record of ``key`` that is, or now has been, in the store."""
        while True:
            answer = yield from self.ask(key, self.question(key))
            record: Record | None
            if isinstance(answer, Found):
                record = answer.content
            elif isinstance(answer, Won):
                record = yield from self.fill(key, answer.token)
            else:
                record = yield from self.lose(key)
            if record is not None:
                return record

    def question(self, key: str) -> Any:
        """What a reader of ``key`` asks the store."""
        return Lease(self.entry(key), self.settings.lease_ns)

    def fill(self, key: str, token: int) -> Flow[Record | None]:
        """Fetch the record of ``key`` and store it; None if the right to do so was lost meanwhile."""
        yield Gate("lock.acquired", key)
        record: Record = yield Call(ORIGIN, Fetch(key))
        yield Gate("fill.before-put", key)
        stored = yield from self.ask(key, SetIf(self.entry(key), record, self.settings.ttl_ns, token))
        return record if stored else None

    def lose(self, key: str) -> Flow[Record | None]:  # noqa: ARG002 - for those who do otherwise
        """What to do while somebody else fills: wait."""
        yield Sleep(self.settings.retry_ns)
        return None

    def write(self, value: Value) -> Flow[None]:
        """Commit, then delete: only then is the write over."""
        stamp: int = yield Call(ORIGIN, Commit(value))
        yield Gate("write.after-commit", value.key)
        yield from self.purge(value.key, stamp)

    def purge(self, key: str, stamp: int) -> Flow[None]:  # noqa: ARG002 - for tiers that want to know it
        """Take ``key`` out of the cache, whose newest stamp is ``stamp`` now."""
        yield from self.ask(key, Delete(self.entry(key)))

    def ask(self, key: str, request: Any) -> Flow[Any]:  # noqa: ARG002 - for those who have several stores
        """Ask the store that has ``key``."""
        return (yield Call(STORE, request))

    def entry(self, key: str) -> str:
        """The name of the entry of ``key`` in the store."""
        return key


def outlived(settings: Settings) -> int:
    """How long an old value may be in the store that no delete has reached, in ns: stored at the end of its lease."""
    return settings.lease_ns + settings.ttl_ns


def promise(settings: Settings, hop_ns: int) -> Contract:  # noqa: ARG001 - messages only cost time
    """Exact but for deletes that are lost with whoever should have sent them."""
    anywhere = {"read_your_writes": "any-node", "monotonic_reads": "any-node"}
    return by_the_clock(0, outlived(settings), linearizable=True, sessions=anywhere)


DESIGN = Design("lease", LeaseFill, promise, store=Store, settings=Settings(lease_ns=300_000_000))
