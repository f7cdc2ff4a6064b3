"""A read joins a fetch that had read the source before a write which the reader knows of."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import COLD, Bug
from harness.reference.messages import Record
from harness.reference.strategies.broadcast_alo import DESIGN, BroadcastAtLeastOnce


class JoinAnyFlight(BroadcastAtLeastOnce):
    """Shares every fetch with everybody."""

    def suffices(self, record: Record, known: int) -> bool:
        """Always: it is the same key, after all."""
        return True


BUG = Bug(
    name="sf-join",
    number=8,
    correct=DESIGN,
    broken=replace(DESIGN, node=JoinAnyFlight),
    title="a read joins an older fetch",
    mechanism=(
        "Misses of one key share one fetch (single flight, request coalescing). The fetch has read the old value and is slow to "
        "return. The key is written, and the write acknowledged. A read that begins only now misses, joins the fetch, and is "
        "given what was read before the write. Nothing wrong is kept: the next read is right."
    ),
    observed=(
        "Right after a write somebody reads the old value, the writer as well, for no longer than a slow fetch takes. Nothing is "
        "stuck and no node goes backwards."
    ),
    seen_in=("linera-io/linera-protocol#6612 (discussed)",),
    fix=(
        "Let a read join only a fetch that began after it, or give it the result only if that is not older than the newest "
        "invalidation heard of; and forget the flight when the key is invalidated."
    ),
    schedule="""
        A writes x at node-1
        hold fill.before-put at node-2
        B reads x at node-2              # has read version 1 at the source
        A writes x at node-2             # version 2, acknowledged
        wait 10ms
        hold fill.join at node-2
        A reads x at node-2              # finds the fetch of B under way
        release fill.join at node-2
        release fill.before-put at node-2
        A is answered                    # with version 1
    """,
    fires=frozenset({"stale-read", "read-your-writes"}),
    workloads=({"kind": "register", "keys": 12, "sessions": 12, "rate": 2400.0, "zipf": 0.0, "reads": 0.8}, COLD),
)
