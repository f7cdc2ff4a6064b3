"""In another region the invalidation arrives before the data."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.strategies.broadcast_amo_replica import DESIGN, FilledFromReplica


class NoHoldOff(FilledFromReplica):
    """Trusts that the region's replica has a change when its invalidation arrives."""

    def held_off_until_ns(self) -> int:
        """Whatever was invalidated may be kept at once."""
        return 0


BUG = Bug(
    name="inval-before-repl",
    number=35,
    correct=DESIGN,
    broken=replace(DESIGN, node=NoHoldOff),
    title="the invalidation outruns the replication",
    mechanism=(
        "A region serves its reads from its own replica. Invalidations go over a bus that is faster than the replication, or "
        "over another way. A node of the region drops the key, misses, reads the old row at its replica and puts it: for this "
        "change there will be no further invalidation."
    ),
    observed="In the regions without the primary some keys stay old until the next write, while the primary's region is right.",
    seen_in=("Facebook's remote markers (NSDI 2013)", "Netflix EVCache's replication by key"),
    fix=(
        "Send invalidations down the replication stream, behind the data; or hold the key off; or read it at the primary "
        "meanwhile."
    ),
    schedule="""
        A writes x at node-1
        wait 100ms                       # the replica of node-3's region has version 1
        B reads x at node-3
        A writes x at node-1
        wait 5ms                         # the invalidation has crossed, the row has not
        B reads x at node-3
        wait 100ms
        C reads x at node-3
    """,
    fires=frozenset({"stale-read", "stuck"}),
    consequences=frozenset({"slow-convergence", "lost-write"}),
)
