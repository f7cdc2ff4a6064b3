"""Memory runs short, and what was heard of a key is evicted before a fill that is older comes to be put."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import COLD, SLOW_SOURCE, WIDE, Bug
from harness.reference.strategies.broadcast_alo import DESIGN, BroadcastAtLeastOnce

ROOM = 2
"""So many floors there is memory for."""


class EvictedFloors(BroadcastAtLeastOnce):
    """Evicts floors like anything else."""

    def remember(self, key: str, stamp: int) -> None:
        """Raise the floor of ``key``; the floor that was raised longest ago has to go."""
        super().remember(key, stamp)
        while len(self.floors) > ROOM:
            self.floors.popitem(last=False)


BUG = Bug(
    name="evict-meta",
    number=60,
    correct=DESIGN,
    broken=replace(DESIGN, node=EvictedFloors),
    title="metadata evicted, data kept",
    mechanism=(
        "What keeps the cache coherent (floors, tombstones, leases, generation and tag keys) lives in the same memory as the "
        "data, and is evicted like it when memory runs short. Without its floor a key looks as if nothing had happened: an old "
        "fill that is still under way is put."
    ),
    observed="As a late fill after the invalidation, but only under memory pressure: the more is written, the oftener.",
    seen_in=("Suor/django-cacheops#392 (the LRU policy may cause stale data)",),
    fix="Keep metadata where it is not evicted; or, when it is, drop all that it protected: the data and the fills under way.",
    schedule="""
        A writes x at node-1
        hold fill.before-put at node-2
        B reads x at node-2              # has read version 1 at the source
        A writes x at node-2             # node-2 knows of version 2
        A writes y at node-2
        A writes z at node-2             # no room left for what it knows of x
        release fill.before-put at node-2
        C reads x at node-2
    """,
    fires=frozenset({"stale-read", "stuck"}),
    consequences=frozenset({"read-your-writes"}),
    workloads=(WIDE, COLD),
    faults=(SLOW_SOURCE,),
)
