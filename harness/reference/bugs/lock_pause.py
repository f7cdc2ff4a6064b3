"""A lock expires while its holder stands still, and nothing fences the holder off."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import HOT, Bug
from harness.reference.effects import Call, Calls, Flow, Gate, Sleep
from harness.reference.messages import ORIGIN, STORE, Fetch, Record
from harness.reference.store import Delete, Get, Lease, Set, SetIf, Won
from harness.reference.strategies.lease import DESIGN, LeaseFill


class LockPause(LeaseFill):
    """Fills under a lock of its own that the entry knows nothing of."""

    def load(self, key: str) -> Flow[Record]:
        """From the store, else under the lock."""
        while True:
            found = yield from self.ask(key, Get(self.entry(key)))
            if found is not None:
                record: Record = found.content
                return record
            lock = yield from self.ask(key, Lease(self.lock(key), self.settings.lease_ns))
            if isinstance(lock, Won):
                return (yield from self.locked_fill(key, lock.token))
            yield Sleep(self.settings.retry_ns)

    def locked_fill(self, key: str, token: int) -> Flow[Record]:
        """Fetch the record, make sure that the lock is still ours, and store."""
        yield Gate("lock.acquired", key)
        record: Record = yield Call(ORIGIN, Fetch(key))
        if (yield from self.ask(key, SetIf(self.lock(key), True, self.settings.lease_ns, token))):
            yield Gate("fill.before-put", key)
            yield from self.ask(key, Set(self.entry(key), record, self.settings.ttl_ns))
            yield from self.ask(key, Delete(self.lock(key)))
        return record

    def purge(self, key: str, stamp: int) -> Flow[None]:
        """Break the lock and delete."""
        yield Calls((Call(STORE, Delete(self.lock(key))), Call(STORE, Delete(self.entry(key)))))

    def lock(self, key: str) -> str:
        """The name of the lock in the store."""
        return f"lock of {key}"


BUG = Bug(
    name="lock-pause",
    number=10,
    correct=DESIGN,
    broken=replace(DESIGN, node=LockPause),
    title="a lock expires while its holder stands still",
    mechanism=(
        "A node fills under a lock with a time to live. It makes sure that it still has the lock, and then stands still: a "
        "collection of garbage, a paused machine. The lock expires, a write commits, another node fills the new value. The first"
        " goes on where it was and stores the old value. The lock cannot stop it, for the store does not look at the lock."
    ),
    observed="Every node goes back to the old value, until its time to live has run out or the next write.",
    seen_in=('Martin Kleppmann, "How to do distributed locking"', "bsm/redislock#93", "redisson/redisson#4863"),
    fix="Let the store itself compare a token when the value is stored (fencing): a lease, a compare-and-set.",
    schedule="""
        A writes x at node-1
        hold fill.before-put at node-2
        B reads x at node-2              # has read version 1 and made sure of its lock; now it stands still
        wait 350ms                       # the lock has expired
        A writes x at node-1
        C reads x at node-3
        release fill.before-put at node-2
        B is answered
        C reads x at node-3
    """,
    fires=frozenset({"stale-read", "node-regress", "monotonic-reads", "not-linearizable"}),
    consequences=frozenset({"read-your-writes", "slow-convergence"}),
    workloads=(HOT,),
    faults=({"kind": "pause", "targets": ("nodes",), "every": "1s", "lasts": "500ms"},),
)
