"""What was heard of a key is forgotten while a fill that is older is still under way."""

from __future__ import annotations

from dataclasses import replace

from harness.durations import UNITS
from harness.reference.bug import COLD, SLOW_SOURCE, WIDE, Bug
from harness.reference.strategies.broadcast_alo import DESIGN, BroadcastAtLeastOnce


class EarlyOblivion(BroadcastAtLeastOnce):
    """Trusts that no fill takes so long."""

    def remembers(self, began_ns: int) -> bool:
        """Always: whoever chose the time must have known how long a fill takes."""
        return True


BUG = Bug(
    name="tomb-gc",
    number=54,
    correct=DESIGN,
    broken=replace(DESIGN, node=EarlyOblivion, settings=replace(DESIGN.settings, forget_ns=20 * UNITS["ms"])),
    title="tombstones dropped too early",
    mechanism=(
        "A node remembers the versions that it has heard of (floors, tombstones, hold-off keys) to refuse fills that are older, "
        "and forgets them after a time that is longer than a fill takes, it is hoped. One fill takes longer: a slow query. "
        "When it comes to be put, there is nothing left to refuse it."
    ),
    observed="Rarely, one node keeps an old value until the next write of the key, after a fill slower than the time to forget.",
    seen_in=("the hold-off time of MediaWiki's WANObjectCache", "Tigris' tombstones"),
    fix="Do not put a fill that began longer ago than the node remembers; only then is the time to forget safe at any length.",
    schedule="""
        A writes x at node-1
        hold fill.before-put at node-2
        B reads x at node-2              # has read version 1 at the source
        A writes x at node-1             # node-2 hears of version 2
        wait 50ms
        A writes y at node-2             # node-2 forgets what is older than 20 ms
        release fill.before-put at node-2
        C reads x at node-2
    """,
    fires=frozenset({"stale-read", "stuck"}),
    consequences=frozenset({"read-your-writes"}),
    workloads=(WIDE, COLD),
    faults=(SLOW_SOURCE,),
)
