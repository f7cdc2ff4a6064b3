"""A subscriber that was cut off goes on as if nothing had been published meanwhile."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.strategies.broadcast_amo import DESIGN, BroadcastAtMostOnce


class KeepOnReconnect(BroadcastAtMostOnce):
    """Leaves the connection to the client library, which subscribes again by itself."""

    def listen(self, run: int, published: int) -> None:
        """Wherever the bus stands now, it goes on from there."""
        self.run, self.heard = run, published

    def deaf(self) -> bool:
        """Only before it was connected for the first time."""
        return self.run is None


BUG = Bug(
    name="no-flush-on-reconnect",
    number=20,
    correct=DESIGN,
    broken=replace(DESIGN, node=KeepOnReconnect),
    title="no flush after the subscription was lost",
    mechanism=(
        "Publish/subscribe delivers to whoever is connected at that moment. A node's subscription breaks, keys are written, "
        "the client library subscribes again by itself, and nobody tells the cache. What was published in between never "
        "comes."
    ),
    observed=(
        "One node stays old for some keys while all others are right. It never goes backwards, so nothing looks odd at that node."
    ),
    seen_in=("redisson#4653", "redisson#5208", "jetcache#803", "FusionCache#81"),
    fix=(
        "Flush on every new subscription (Redisson: reconnectionStrategy CLEAR), or take the events from a log that can be "
        "read again."
    ),
    schedule="""
        A writes x at node-1
        B reads x at node-2
        cut node-2 from bus
        A writes x at node-1
        wait 400ms                       # for so long a subscriber cannot hear nothing by chance
        mend node-2 and bus
        wait 150ms                       # it hears the bus again
        C reads x at node-2
    """,
    fires=frozenset({"stale-read", "stuck"}),
    consequences=frozenset({"slow-convergence"}),
    faults=({"kind": "partition", "between": (("node",), ("bus",)), "at_most": 1, "every": "3s", "lasts": "1s", "after": "1s"},),
)
