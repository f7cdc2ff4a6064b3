"""The outer tier is purged before the inner one."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import HOT, Bug
from harness.reference.effects import Call, Flow, Gate
from harness.reference.messages import STORE
from harness.reference.store import Delete
from harness.reference.strategies.two_tier import DESIGN, TwoTier


class TierOrder(TwoTier):
    """Purges from the outside in."""

    def purge(self, key: str, stamp: int) -> Flow[None]:
        """First what readers see, then what is behind it."""
        yield from self.purge_copies(key, stamp)
        yield Gate("purge.between-tiers", key)
        yield Call(STORE, Delete(self.entry(key)))


BUG = Bug(
    name="tier-order",
    number=16,
    correct=DESIGN,
    broken=replace(DESIGN, node=TierOrder),
    title="the outer tier is purged before the inner one",
    mechanism=(
        "A write purges the memory of every node and then the shared store. In between a node is asked for the key, finds "
        "nothing in its memory, and takes the old value from the store once more. The store is purged; nobody purges the node a "
        "second time."
    ),
    observed="The store is right and one node is not, until the time to live of its copy has run out.",
    seen_in=("the rebound purges of MediaWiki", "Shopware behind a Fastly shield"),
    fix="Purge from the inside out, the tier next to the source first, and let a purge spoil the fills that are under way.",
    schedule="""
        A writes x at node-1
        B reads x at node-2
        hold purge.between-tiers at node-1
        A writes x at node-1
        wait 5ms
        B reads x at node-2              # takes version 1 from the store again
        release purge.between-tiers at node-1
        A is answered
        wait 5ms
        B reads x at node-2
    """,
    fires=frozenset({"stale-read"}),
    consequences=frozenset({"read-your-writes", "slow-convergence"}),
    workloads=(HOT,),
)
