"""A node ignores its own invalidations, and does not apply them by itself either."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.reference.bug import Bug
from harness.reference.effects import Flow
from harness.reference.messages import Flush, Invalidate
from harness.reference.node import Place
from harness.reference.strategies.broadcast_amo import DESIGN, BroadcastAtMostOnce


class NoEcho(BroadcastAtMostOnce):
    """Leaves its own invalidations to the others.

    Attributes:
        own: the events that it has published and not heard so far.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.own: set[Any] = set()

    def written_here(self, key: str) -> None:
        """Nothing: the bus will tell."""

    def tell(self, event: Invalidate | Flush) -> Flow[None]:
        """Note that it is an own one."""
        self.own.add(event)
        yield from super().tell(event)

    def take(self, event: Any) -> None:
        """Ignore the echo: the node knows of its own writes."""
        if event in self.own:
            self.own.remove(event)
        else:
            super().take(event)


BUG = Bug(
    name="no-local",
    number=33,
    correct=DESIGN,
    broken=replace(DESIGN, node=NoEcho),
    title="the writer's own cache is not invalidated",
    mechanism=(
        "The subscription does not echo (NOLOOP), or the node skips events that carry its own id, in the belief that it has "
        "dropped the key when it wrote. The code that writes believes that the bus will do it. So all nodes drop the key but "
        "the one that wrote."
    ),
    observed="Who writes and reads at the same node reads the old value; at all other nodes the new one is there.",
    seen_in=("Infinispan ISPN-5607", "Redis CLIENT TRACKING with NOLOOP", "the instance id of FusionCache's backplane"),
    fix="Drop the key locally as part of the write, before it is acknowledged, and only then ignore the echo.",
    schedule="""
        A writes x at node-1
        A reads x at node-1
        A writes x at node-1
        wait 5ms
        A reads x at node-1
        B reads x at node-2
    """,
    fires=frozenset({"stale-read", "stuck", "read-your-writes"}),
    consequences=frozenset({"slow-convergence"}),
)
