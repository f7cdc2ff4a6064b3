"""The second delete comes before the replica has the change."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.effects import Flow, Sleep
from harness.reference.messages import Flush, Invalidate
from harness.reference.strategies.broadcast_amo_replica import DESIGN, FilledFromReplica

_WINDOW_NS = 20_000_000
"""The replica should have caught up by then."""


class DoubleDelete(FilledFromReplica):
    """Invalidates once more after a while, in place of a hold-off at the reader."""

    def held_off_until_ns(self) -> int:
        """Nothing is held off: the second invalidation is meant to do that."""
        return 0

    def tell(self, event: Invalidate | Flush) -> Flow[None]:
        """Tell it now, and again after the window."""
        yield from super().tell(event)
        self.place.spawn(self.tell_again(event))

    def tell_again(self, event: Invalidate | Flush) -> Flow[None]:
        """The second delete."""
        yield Sleep(_WINDOW_NS)
        yield from super().tell(event)


BUG = Bug(
    name="double-delete",
    number=6,
    correct=DESIGN,
    broken=replace(DESIGN, node=DoubleDelete),
    title="the window of the delayed double delete is too short",
    mechanism=(
        "The key is deleted, and after a fixed time deleted again, to remove what a reader may have filled from a replica in "
        "between. The time is a guess. When the replica lags for longer than that, or the process with the timer dies, a "
        "reader fills the old value after the second delete, and it stays."
    ),
    observed="Nothing for weeks; then, in an hour of high replication lag, old values that stay until the next write.",
    seen_in=("critiques of the delayed double delete (besthub.dev)",),
    fix="Hold the key off at the reader for longer than the longest lag, watch the lag, or fill from the primary.",
    schedule="""
        A writes x at node-1
        wait 100ms                       # the replica has version 1
        A writes x at node-1
        wait 30ms                        # both deletes have arrived; the replica lags by 50 ms
        B reads x at node-2
        wait 100ms
        C reads x at node-2
    """,
    fires=frozenset({"stale-read", "stuck"}),
    consequences=frozenset({"slow-convergence", "lost-write"}),
)
