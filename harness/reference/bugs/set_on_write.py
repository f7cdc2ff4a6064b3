"""A write sets the entry instead of deleting it."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import COLD, HOT, Bug
from harness.reference.effects import Call, Flow, Gate
from harness.reference.messages import ORIGIN, Commit, Record, Value
from harness.reference.store import Set
from harness.reference.strategies.lease import DESIGN, LeaseFill


class SetOnWrite(LeaseFill):
    """Brings the entry up to date behind the answer."""

    def write(self, value: Value) -> Flow[None]:
        """Commit; the entry follows."""
        stamp: int = yield Call(ORIGIN, Commit(value))
        self.place.spawn(self.update(Record(value, stamp)))

    def update(self, record: Record) -> Flow[None]:
        """Store what was written."""
        assert record.value is not None  # noqa: S101 - somebody wrote it
        key = record.value.key
        yield Gate("write.after-commit", key)
        yield from self.ask(key, Set(self.entry(key), record, self.settings.ttl_ns))


BUG = Bug(
    name="set-on-write",
    number=2,
    correct=DESIGN,
    broken=replace(DESIGN, node=SetOnWrite),
    title="a write sets the entry instead of deleting it",
    mechanism=(
        "Two writes of one key commit at the source in one order and reach the cache in the other: the node of the first stood "
        "still between its commit and its set. The older value is stored last. There was never a miss, so nobody asks the source"
        " again."
    ),
    observed=(
        "Every node answers with the older value until its time to live has run out or the next write; readers go backwards."
    ),
    seen_in=('"stale sets" of Facebook\'s leases (NSDI 2013)', "Polaris, the example with 42 and 43", "ArcadeDB#4925"),
    fix="Delete on write. If the entry must be set, set it on condition that it is older: a version, or a compare-and-set.",
    schedule="""
        A writes x at node-1
        hold write.after-commit at node-1
        A writes x at node-1             # version 2 is committed and not yet set
        B writes x at node-2             # version 3 is committed and set
        wait 5ms
        C reads x at node-3
        release write.after-commit at node-1
        wait 5ms
        C reads x at node-3
    """,
    fires=frozenset({"stale-read", "node-regress", "monotonic-reads", "not-linearizable"}),
    consequences=frozenset({"read-your-writes", "slow-convergence"}),
    workloads=(HOT, COLD),
    faults=(
        {"kind": "reorder", "between": (("node",), ("store",)), "every": "4s", "lasts": "2s", "probability": 0.2, "by": "20ms"},
    ),
)
