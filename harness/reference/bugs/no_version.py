"""Updates are applied in the order in which they come."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.messages import Record
from harness.reference.strategies.broadcast_update import DESIGN, BroadcastUpdate


class LastToCome(BroadcastUpdate):
    """Takes every update."""

    def supersedes(self, key: str, record: Record) -> bool:
        """Always: an event brings news."""
        return True


BUG = Bug(
    name="no-version",
    number=22,
    correct=DESIGN,
    broken=replace(DESIGN, node=LastToCome),
    title="updates without a version, out of order",
    mechanism=(
        "The event carries the new value, and a node that holds the key puts it. Two events of one key overtake each other: two "
        "sender threads, two partitions, a retry. The node puts the newer value first and then the older one over it."
    ),
    observed="A node goes backwards, and keeps the older value until the next write of the key.",
    seen_in=("hazelcast/hazelcast#24432 (pull request)", "MaterializeInc/materialize#5262 (order of Debezium's messages)"),
    fix="Carry the version in the event, and apply only what is newer than what is there; or send invalidations, not values.",
    schedule="""
        A writes x at node-1
        B reads x at node-2              # keeps version 1
        hold 1 Update from bus to node-2
        A writes x at node-1             # version 2 is on its way to node-2
        A is answered
        A writes x at node-1             # version 3 overtakes it
        wait 10ms
        B reads x at node-2
        deliver from bus to node-2
        wait 10ms
        B reads x at node-2
    """,
    fires=frozenset({"node-regress", "monotonic-reads", "stale-read", "stuck"}),
    consequences=frozenset({"read-your-writes", "lost-write"}),
    faults=(
        {"kind": "reorder", "between": (("node",), ("bus",)), "every": "2s", "lasts": "1s", "probability": 0.3, "by": "60ms"},
    ),
)
