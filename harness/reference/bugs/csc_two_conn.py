"""Client-side caching over two connections: the invalidation overtakes the reply."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.strategies.tracking import DESIGN, Tracking


class PutsWhateverComes(Tracking):
    """Remembers of no fill that it is under way."""

    def admits(self, key: str, fill: int) -> bool:
        """Always: had the key changed, an invalidation would come."""
        return True


BUG = Bug(
    name="csc-two-conn",
    number=25,
    correct=DESIGN,
    broken=replace(DESIGN, node=PutsWhateverComes),
    title="the invalidation overtakes the reply that it is about",
    mechanism=(
        "Replies come on one connection and invalidations on another one, so nothing keeps their order. A node asks for a "
        "key; the source notes it and replies; the key is written and the invalidation sent. It arrives first and finds "
        "nothing to drop. Then the reply arrives, and the node keeps the old value. The source has crossed the node out: "
        "nothing more will come."
    ),
    observed="One node keeps an old value until the key is written again or the connection is lost.",
    seen_in=("the Redis documentation of client-side caching", "redis#6867"),
    fix="Put a placeholder before asking, let an invalidation remove it, and keep the reply only if it is still there.",
    schedule="""
        A writes x at node-1
        hold 1 FetchTrackedReply from origin to node-2
        B reads x at node-2              # version 1, on its way
        A writes x at node-1             # the invalidation arrives at once
        wait 20ms
        deliver from origin to node-2
        B is answered
        wait 20ms
        C reads x at node-2
    """,
    fires=frozenset({"stale-read", "stuck"}),
    consequences=frozenset({"node-regress", "monotonic-reads", "read-your-writes"}),
    faults=(
        {
            "kind": "reorder",
            "between": ("nodes", "origin"),
            "probability": 0.3,
            "by": "60ms",
            "every": "3s",
            "lasts": "2s",
            "after": "500ms",
        },
    ),
)
