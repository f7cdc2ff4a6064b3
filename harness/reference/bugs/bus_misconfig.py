"""Publishers are content, and nobody understands what they publish."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.reference.bug import Bug
from harness.reference.strategies.broadcast_amo import DESIGN, BroadcastAtMostOnce


class OtherCodec(BroadcastAtMostOnce):
    """Hears every event in a codec other than its own, and drops what it cannot read."""

    def take(self, event: Any) -> None:
        """Nothing: it is no event of this node's."""


BUG = Bug(
    name="bus-misconfig",
    number=28,
    correct=DESIGN,
    broken=replace(DESIGN, node=OtherCodec),
    title="publishers and subscribers do not agree on the wiring",
    mechanism=(
        "The name of the channel, the codec or a switch differs between who publishes and who listens. Publishing succeeds, "
        "the connection is healthy, and every event is dropped in silence. Only the node that wrote knows of a write."
    ),
    observed="From the first write on, nodes agree only by chance: each is right about its own writes and old about all others.",
    seen_in=("jetcache#945 (a codec of Redisson's)", "jetcache#851", "jetcache#944", "jetcache#832"),
    fix="Test the wiring end to end when a node starts: write at one node, read at another. Count events heard, not events sent.",
    schedule="""
        A writes x at node-1
        B reads x at node-2
        A writes x at node-1
        wait 20ms
        C reads x at node-2
    """,
    fires=frozenset({"stale-read", "stuck"}),
    consequences=frozenset({"slow-convergence"}),
)
