"""Two nodes hold the right to fill the same entry."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.store import Item, Store, Won
from harness.reference.strategies.lease import DESIGN


class SharedLease(Store):
    """Lets everybody in who misses: all with the token of the first, which outlives the first value that is stored with it."""

    def taken(self, item: Item) -> Won:
        """The same right once more."""
        return Won(item.token)

    def put(self, key: str, content: object, ttl_ns: int) -> int:
        """Store it under the token that all fillers have."""
        leased = self.live(key)
        if leased is None:
            return super().put(key, content, ttl_ns)
        self.items[key] = Item(content, leased.token, self.place.monotonic_ns() + ttl_ns)
        return leased.token


BUG = Bug(
    name="lease-shared",
    number=9,
    correct=DESIGN,
    broken=replace(DESIGN, store=SharedLease),
    title="a lease that two nodes hold",
    mechanism=(
        "Two nodes miss and both may fill. The first has read the old value and is slow. A write commits; the second reads the "
        "new value and stores it, and its readers see it. Then the first stores the old value over it: the delete of the write, "
        "which would make both rights worthless, is still on its way."
    ),
    observed="Readers go from the new value back to the old one, for as long as the delete takes.",
    seen_in=("compare Facebook's leases: one token for a key in ten seconds (NSDI 2013)",),
    fix="Give the right to fill to one node at a time; storing a value ends it.",
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
