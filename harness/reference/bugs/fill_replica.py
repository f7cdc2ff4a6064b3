"""A miss after the invalidation is filled from a replica that does not have the change yet."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.messages import Fetch
from harness.reference.strategies.broadcast_amo import DESIGN, BroadcastAtMostOnce


class FillFromReplica(BroadcastAtMostOnce):
    """Takes the replica for the source."""

    def request(self, key: str) -> Fetch:
        """The record of the replica."""
        return Fetch(key, replica=True)


BUG = Bug(
    name="fill-replica",
    number=5,
    correct=DESIGN,
    broken=replace(DESIGN, node=FillFromReplica),
    title="fills are read from a lagging replica",
    mechanism=(
        "A write is committed at the primary and the key is invalidated everywhere. The next read misses and asks a replica, "
        "which lags and still has the old row. The old value is put, after the invalidation, and nothing removes it again."
    ),
    observed="After a write a node answers with the old value, for far longer than the replica ever lags.",
    seen_in=("Facebook's remote markers (NSDI 2013)", "django-cachalot#53", "MediaWiki WANObjectCache's HOLDOFF_TTL"),
    fix="Fill from the primary, or do not keep what was invalidated less than the longest lag ago.",
    schedule="""
        A writes x at node-1
        wait 100ms                       # the replica has version 1
        A writes x at node-1
        wait 5ms                         # the invalidation has arrived, the change is not at the replica
        B reads x at node-2
        wait 100ms
        C reads x at node-2
    """,
    fires=frozenset({"stale-read", "stuck"}),
    consequences=frozenset({"read-your-writes", "slow-convergence", "lost-write"}),
)
