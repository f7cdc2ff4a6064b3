"""A lock within the process is taken for a lock of the fleet."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import HOT, Bug
from harness.reference.effects import Call, Flow, Gate, Latch, Open, Wait
from harness.reference.messages import ORIGIN, Fetch, Record
from harness.reference.node import Place
from harness.reference.store import Get, Set
from harness.reference.strategies.lease import DESIGN, LeaseFill


class LocalLock(LeaseFill):
    """Fills each key once at a time, as far as this process is concerned.

    Attributes:
        locks: the fills under way, by key.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.locks: dict[str, Latch] = {}

    def load(self, key: str) -> Flow[Record]:
        """From the store, else under the lock of this process."""
        while True:
            found = yield from self.ask(key, Get(self.entry(key)))
            if found is not None:
                record: Record = found.content
                return record
            lock = self.locks.get(key)
            if lock is None:
                return (yield from self.locked_fill(key))
            yield Wait(lock)

    def locked_fill(self, key: str) -> Flow[Record]:
        """Fetch and store; nobody else can be doing the same."""
        lock = self.locks[key] = Latch()
        try:
            yield Gate("lock.acquired", key)
            record: Record = yield Call(ORIGIN, Fetch(key))
            yield Gate("fill.before-put", key)
            yield from self.ask(key, Set(self.entry(key), record, self.settings.ttl_ns))
        finally:
            del self.locks[key]
            yield Open(lock)
        return record


BUG = Bug(
    name="local-lock",
    number=11,
    correct=DESIGN,
    broken=replace(DESIGN, node=LocalLock),
    title="a local lock taken for a global one",
    mechanism=(
        "A mutex guards the refill in each process. With several processes there are as many mutexes: all of them load the key "
        "at once, and the slowest stores last. If it has read the source before a write and stores after the delete, the old "
        "value is back."
    ),
    observed=(
        "As many loads after each invalidation as there are processes, and now and then all nodes go back to an old value until "
        "its time to live has run out."
    ),
    seen_in=("one of the four common mistakes", "NationalSecurityAgency/datawave#74"),
    fix="Let the store, which all processes share, decide who fills: a lease, and a token with the value.",
    schedule="""
        A writes x at node-1
        hold fill.before-put at node-2
        B reads x at node-2              # holds the lock of its process, and version 1
        A writes x at node-1
        C reads x at node-3              # its process has a lock of its own
        release fill.before-put at node-2
        B is answered
        C reads x at node-3
    """,
    fires=frozenset({"stale-read", "node-regress", "monotonic-reads", "not-linearizable"}),
    consequences=frozenset({"slow-convergence", "read-your-writes"}),
    workloads=(HOT,),
)
