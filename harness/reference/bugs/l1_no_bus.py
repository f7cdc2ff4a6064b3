"""Nobody tells the other nodes to drop what they have in their own memory."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import HOT, Bug
from harness.reference.effects import Flow
from harness.reference.strategies.two_tier import DESIGN, TwoTier


class NoBus(TwoTier):
    """Purges the store and the memory of the node that writes."""

    def purge_copies(self, key: str, stamp: int) -> Flow[None]:
        """Drop the key here."""
        self.drop(key)
        yield from ()


BUG = Bug(
    name="l1-no-bus",
    number=29,
    correct=DESIGN,
    broken=replace(DESIGN, node=NoBus),
    title="a removal does not reach the memory of other nodes",
    mechanism=(
        "A cache with two tiers removes a key from the shared store and from the memory of the node where it was called. The "
        "other nodes have copies of their own, and nothing tells them."
    ),
    observed=(
        "The node that wrote is right at once; every other node answers with its old copy until the copy's time to live has run "
        "out."
    ),
    seen_in=("the documentation of .NET HybridCache (AspNetCore.Docs PR#34224)", "ZiggyCreatures/FusionCache#573"),
    fix="Connect the nodes by a bus (a backplane), or give the copies a time to live that readers can bear.",
    schedule="""
        A writes x at node-1
        B reads x at node-2
        A writes x at node-1
        wait 50ms
        A reads x at node-1
        B reads x at node-2
    """,
    fires=frozenset({"stale-read"}),
    consequences=frozenset({"slow-convergence"}),
    workloads=(HOT,),
)
