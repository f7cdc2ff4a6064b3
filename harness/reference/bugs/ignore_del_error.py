"""An invalidation that failed is given up."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.effects import Call, Flow, Gate, Unreachable
from harness.reference.messages import BUS, Flush, Invalidate, Publish
from harness.reference.strategies.broadcast_amo import DESIGN, BroadcastAtMostOnce


class TellOnce(BroadcastAtMostOnce):
    """Tries once: the cache must not make a write fail."""

    def tell(self, event: Invalidate | Flush) -> Flow[None]:
        """Hand ``event`` to the bus, or not."""
        yield Gate("invalidation.before-send", event.key if isinstance(event, Invalidate) else "")
        try:
            yield Call(BUS, Publish(event))
        except Unreachable:
            return


BUG = Bug(
    name="ignore-del-error",
    number=18,
    correct=DESIGN,
    broken=replace(DESIGN, node=TellOnce),
    title="an invalidation that failed is ignored",
    mechanism=(
        "The write is committed, and the delete or the publication that should follow runs into a time-out. The error is "
        "logged or swallowed, because a cache must not make a write fail, and nobody tries again. Subscribers cannot notice: "
        "what was never published leaves no gap in the numbers."
    ),
    observed="After a short network trouble at one writer, the keys that it wrote then stay old everywhere but at that node.",
    seen_in=("Tigris's rename (tigrisdata.com/blog/antithesis)", "mcrouter#190"),
    fix=(
        "Keep the invalidation until it has been delivered: an outbox that is committed with the write, or a retry that survives."
    ),
    schedule="""
        A writes x at node-1
        B reads x at node-2
        lose 1 Invalidate from node-1 to bus
        A writes x at node-1             # the publication runs into its time-out
        wait 5ms
        C reads x at node-2
    """,
    fires=frozenset({"stale-read", "stuck"}),
    consequences=frozenset({"slow-convergence"}),
    faults=({"kind": "partition", "between": (("node",), ("bus",)), "at_most": 1, "every": "3s", "lasts": "1s", "after": "1s"},),
)
