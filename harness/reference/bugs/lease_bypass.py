"""Who does not get the lease reads past the cache."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.effects import Call, Flow
from harness.reference.messages import ORIGIN, Fetch, Record
from harness.reference.strategies.lease import DESIGN, LeaseFill


class LeaseBypass(LeaseFill):
    """Does not wait for somebody else's fill."""

    def lose(self, key: str) -> Flow[Record | None]:
        """Take the record from the source for this read alone."""
        record: Record = yield Call(ORIGIN, Fetch(key))
        return record


BUG = Bug(
    name="lease-bypass",
    number=9,
    correct=DESIGN,
    broken=replace(DESIGN, node=LeaseBypass),
    title="who does not get the lease reads past the cache",
    mechanism=(
        "One node holds the right to fill; it has read the old value and is slow. A write commits. Another node misses, does not"
        " get the right, and answers from the source: the new value. Then the first stores the old one, and the next reader "
        "finds it: the delete of the write is still on its way."
    ),
    observed="Readers go from the new value back to the old one, for as long as the delete takes.",
    seen_in=("compare Facebook's leases, where the losers wait and retry (NSDI 2013)",),
    fix="Who does not get the lease waits and asks the cache again.",
    schedule="""
        A writes x at node-1
        hold fill.before-put at node-2
        B reads x at node-2              # has read version 1 at the source
        hold write.after-commit at node-1
        A writes x at node-1             # version 2 is committed, its delete is not sent yet
        C reads x at node-3
        release fill.before-put at node-2
        B is answered
        C reads x at node-3
        release write.after-commit at node-1
    """,
    fires=frozenset({"node-regress", "monotonic-reads", "not-linearizable"}),
    consequences=frozenset({"stale-read"}),
    # It takes a write while a fill is under way, a fill that is slow, and a delete that is late.
    workloads=({"kind": "register", "keys": 12, "sessions": 24, "rate": 2400.0, "reads": 0.5},),
    faults=(
        {"kind": "reorder", "between": (("node",), ("origin",)), "every": "4s", "lasts": "3s", "probability": 0.3, "by": "60ms"},
    ),
)
