"""Client-side caching that overlooks the invalidation of everything."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.messages import Invalidate
from harness.reference.strategies.tracking import DESIGN, Tracking
from harness.reference.tracked import Echo, Opened


class OverlooksNull(Tracking):
    """Looks for a key in what it is told."""

    def take(self, event: Echo | Opened | Invalidate) -> None:
        """Without a key there is nothing to drop."""
        if not isinstance(event, Opened):
            super().take(event)


BUG = Bug(
    name="csc-null",
    number=26,
    correct=DESIGN,
    broken=replace(DESIGN, node=OverlooksNull),
    title="the invalidation of everything is ignored",
    mechanism=(
        "Invalidations name the key that has changed. When the source has forgotten what it had noted, after a flush, a "
        "fail-over or a restart, it sends one without a key: everything may have changed. The node looks for an entry of that "
        "name, finds none and goes on. From then on nothing is noted for what it has, and it serves that for ever."
    ),
    observed="After a restart or fail-over of the source all nodes keep what they had, however often it is written.",
    seen_in=("lettuce PR#3885 (review)",),
    fix="Treat an invalidation without a key, and every new connection, as the order to drop everything.",
    schedule="""
        A writes x at node-1
        B reads x at node-2              # is noted
        kill origin
        restart origin                   # has forgotten that
        wait 200ms                       # the node is told that all may have changed
        A writes x at node-1
        wait 50ms
        B reads x at node-2
    """,
    fires=frozenset({"stale-read", "stuck"}),
    consequences=frozenset({"node-regress", "monotonic-reads", "read-your-writes"}),
    faults=({"kind": "kill", "targets": ("origin",), "every": "3s", "lasts": "100ms", "after": "1s"},),
)
