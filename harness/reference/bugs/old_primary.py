"""A primary that has been replaced goes on answering reads."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.effects import Flow, Gate
from harness.reference.replication import Office
from harness.reference.strategies.replicated import DESIGN, Replicated


class BelievesItself(Replicated):
    """Asks nobody whether it still is the primary."""

    def confirm(self, office: Office) -> Flow[None]:
        """Nobody has told it otherwise."""
        yield from self.replicate(office.begun)
        yield Gate("read.after-confirm")


BUG = Bug(
    name="old-primary",
    number=41,
    correct=DESIGN,
    broken=replace(DESIGN, node=BelievesItself),
    title="the old primary still serves reads",
    mechanism=(
        "A primary is cut off from the other nodes, but not from its clients. The others elect a new one and go on writing. "
        "The old primary has not heard of that: it can commit nothing any more, but it answers reads with what it had when it "
        "was cut off."
    ),
    observed=(
        "Clients that still reach the old primary read values that were replaced at the new one, for as long as the partition "
        "lasts."
    ),
    seen_in=("the Redis Cluster specification: the window in which a minority goes on",),
    fix=(
        "Answer a read only after a majority has confirmed the primary since the read began, or while a lease holds that the "
        "others respect."
    ),
    schedule="""
        A writes x at node-1
        cut node-1 from node-2
        cut node-1 from node-3
        wait 800ms                       # node-2 and node-3 elect one of them
        A writes x at node-2
        wait 20ms
        B reads x at node-1
        mend node-1 and node-2
        mend node-1 and node-3
        wait 300ms
    """,
    fires=frozenset({"stale-read", "not-linearizable"}),
    consequences=frozenset({"slow-convergence", "monotonic-reads", "read-your-writes"}),
    faults=({"kind": "partition", "between": ("node-1", "node"), "every": "4s", "lasts": "2s", "after": "1s"},),
)
