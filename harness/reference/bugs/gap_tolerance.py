"""A few lost invalidations are taken for normal."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.strategies.broadcast_amo import DESIGN, BroadcastAtMostOnce

_TOLERATED = 10


class TolerateGaps(BroadcastAtMostOnce):
    """Flushes only when many events in a row are missing, because a flush is expensive."""

    def missed(self, published: int) -> bool:
        """Whether more events have been lost than are tolerated."""
        return published > self.heard + _TOLERATED


BUG = Bug(
    name="gap-tolerance",
    number=21,
    correct=DESIGN,
    broken=replace(DESIGN, node=TolerateGaps),
    title="lost invalidations are tolerated up to a number",
    mechanism=(
        "Events are numbered, and a node repairs itself only when more than ten of them are missing. Whatever is lost below "
        "that is never repaired: the tolerance counts events, and says nothing about for how long a key may be old."
    ),
    observed=(
        "A key that is rarely written stays old at one node, for ever if it has no time to live. Busy keys heal by their next "
        "write."
    ),
    seen_in=("hazelcast#25304", "Hazelcast's hazelcast.invalidation.max.tolerated.miss.count, 10 unless it is set"),
    fix="Tolerate none: hazelcast.invalidation.max.tolerated.miss.count=0, with a short reconciliation interval.",
    schedule="""
        A writes x at node-1
        B reads x at node-2
        lose 1 Invalidate from bus to node-2
        A writes x at node-1
        wait 150ms                       # a beat has told the number of the event that is missing
        C reads x at node-2
    """,
    fires=frozenset({"stale-read", "stuck"}),
    consequences=frozenset({"slow-convergence"}),
    faults=({"kind": "drop", "between": (("node",), ("bus",)), "probability": 0.2, "every": "3s", "lasts": "1s", "after": "1s"},),
)
