"""Reads are spread over the replicas of a store that promises the primary's answers."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.effects import Flow
from harness.reference.messages import Value
from harness.reference.strategies.replicated import DESIGN, Replicated


class ReadReplica(Replicated):
    """Answers reads from its own copy."""

    def read(self, key: str) -> Flow[Value | None]:
        """What has been replicated to this node so far."""
        return self.values.get(key)
        yield


BUG = Bug(
    name="read-replica",
    number=38,
    correct=DESIGN,
    broken=replace(DESIGN, node=ReadReplica),
    title="reads from replicas that lag",
    mechanism=(
        "The primary acknowledges a write before all replicas have it. To take load off the primary, reads go to any node, "
        "and each answers with what has reached it so far. On a good day that is a millisecond behind; on a slow or broken "
        "link it is behind by as long as the link is slow."
    ),
    observed="Reads at a replica are older than what was acknowledged before; a user who changes nodes goes back in time.",
    seen_in=("the Redis documentation on replication", "cachette#83", "valkey#1928"),
    fix="Read at the primary, or promise a bound: how far a replica may lag before it stops answering.",
    schedule="""
        A writes x at node-1
        lose 5 Append from node-1 to node-2     # the link to one replica is bad
        A writes x at node-1                    # acknowledged: node-3 has it
        wait 50ms
        B reads x at node-2
    """,
    fires=frozenset({"stale-read", "not-linearizable"}),
    consequences=frozenset({"monotonic-reads", "read-your-writes", "slow-convergence", "node-regress"}),
    faults=({"kind": "delay", "between": ("node", "node"), "delay": "20ms", "every": "4s", "lasts": "2s", "after": "1s"},),
)
