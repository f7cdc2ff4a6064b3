"""A fail-over loses what the primary had acknowledged and not replicated."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import COLD, HOT, Bug
from harness.reference.effects import Flow
from harness.reference.strategies.replicated import DESIGN, Replicated


class AcknowledgesAlone(Replicated):
    """Replicates behind the client's back."""

    def replicate(self, length: int) -> Flow[None]:
        """The primary has it; the others will."""
        self.commit(length)
        return
        yield


BUG = Bug(
    name="failover",
    number=39,
    correct=DESIGN,
    broken=replace(DESIGN, node=AcknowledgesAlone),
    title="a fail-over loses acknowledged writes",
    mechanism=(
        "Replication is asynchronous: the primary acknowledges a write as soon as it has it itself. Then it dies, or is cut "
        "off, before the write has reached a replica. A replica that never saw the write becomes primary, and when the old "
        "primary returns it takes over the new one's data: the write is gone everywhere."
    ),
    observed="After the fail-over every node answers with an older value, and for good. The epoch has changed.",
    seen_in=(
        "Jepsen on Redis (2013): 56 % of acknowledged writes lost",
        "the Redis documentation of WAIT",
        "dragonfly-operator#289",
    ),
    fix=(
        "Acknowledge a write when a majority has it; or have the primary refuse writes while it has no replicas, and promise "
        "the loss that remains."
    ),
    schedule="""
        A writes x at node-1
        cut node-1 from node-2
        cut node-1 from node-3
        A writes x at node-1             # acknowledged by the primary alone
        wait 800ms                       # the replicas elect one of them
        mend node-1 and node-2
        mend node-1 and node-3
        wait 300ms
        B reads x at node-2
    """,
    fires=frozenset({"lost-write", "stale-read", "not-linearizable", "stuck"}),
    consequences=frozenset({"monotonic-reads", "read-your-writes", "node-regress"}),
    workloads=({**HOT, "reads": 0.1}, COLD),
    faults=(
        {"kind": "partition", "groups": "isolate-one", "among": "nodes", "every": "2s", "lasts": "1200ms", "after": "500ms"},
    ),
)
