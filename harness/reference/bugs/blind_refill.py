"""A late fill puts back what was invalidated while it was under way."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.messages import Record
from harness.reference.strategies.broadcast_alo import DESIGN, BroadcastAtLeastOnce


class BlindRefill(BroadcastAtLeastOnce):
    """Puts whatever it has fetched."""

    def admits(self, key: str, record: Record) -> bool:
        """Always: what came back from the source must be right."""
        return True


BUG = Bug(
    name="blind-refill",
    number=1,
    correct=DESIGN,
    broken=replace(DESIGN, node=BlindRefill),
    title="a late fill after the invalidation",
    mechanism=(
        "A node misses, reads the old value at the source, and is slow. Meanwhile the key is written and the invalidation "
        "arrives: there is nothing to drop. Then the node puts the old value, and no further invalidation will ever remove it."
    ),
    observed="One node answers with the old value until the next write or the end of its time to live; it may go backwards.",
    seen_in=("Facebook's leases (NSDI 2013)", "google/guava#1881", "hazelcast/hazelcast#4671", "Infinispan ISPN-13612"),
    fix="Put nothing older than the newest invalidation heard of: a version in the event, a lease, or a compare-and-set.",
    schedule="""
        A writes x at node-1
        hold fill.before-put at node-2
        B reads x at node-2              # has read version 1 at the source
        A writes x at node-1
        wait 20ms                        # the invalidation has arrived
        release fill.before-put at node-2
        B is answered
        C reads x at node-2
    """,
    fires=frozenset({"stale-read", "stuck"}),
)
