"""A write that was given up and sent again is carried out twice, the second time over a newer one."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.effects import Call, Flow, Sleep, Unreachable
from harness.reference.messages import ORIGIN, Commit, Value
from harness.reference.strategies.broadcast_alo import DESIGN, BroadcastAtLeastOnce


class RetriedWrites(BroadcastAtLeastOnce):
    """Sends a write again until it is answered."""

    def commit(self, value: Value) -> Flow[int]:
        """Commit, whatever has been committed meanwhile; no answer in time is taken for a failure."""
        while True:
            try:
                stamp: int = yield Call(ORIGIN, Commit(value))
            except Unreachable:
                yield Sleep(self.settings.retry_ns)
            else:
                return stamp


BUG = Bug(
    name="late-write",
    number=19,
    correct=DESIGN,
    broken=replace(DESIGN, node=RetriedWrites),
    title="a write that had timed out lands after a newer one",
    mechanism=(
        "A write is held up on its way: a queue, a socket buffer, a slow proxy. It times out and is sent again, and that is "
        "acknowledged. The key is written once more. Then the first request arrives and is carried out: a time-out stops nothing."
    ),
    observed="Everywhere, the source included, an older value comes back over a newer acknowledged one, which is lost.",
    seen_in=('Aerospike 3.99 (Jepsen): clients were told "failed" of writes that took effect',),
    fix="Make each write conditional on the version that it replaces, or let the source refuse an operation it has already done.",
    schedule="""
        A writes x at node-1
        hold 1 Commit from node-1 to origin
        A writes x at node-1             # version 2 is held up
        A is answered                    # the time-out has passed
        A writes x at node-1             # version 3
        B reads x at node-2
        deliver from node-1 to origin    # version 2 arrives
        wait 10ms
        B reads x at node-2
    """,
    fires=frozenset({"node-regress", "monotonic-reads", "stale-read", "stuck", "lost-write"}),
    consequences=frozenset({"read-your-writes"}),
    faults=(
        {"kind": "reorder", "between": (("node",), ("origin",)), "every": "2s", "lasts": "1s", "probability": 0.1, "by": "600ms"},
    ),
)
