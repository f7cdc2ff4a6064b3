"""An update that is delivered again is applied again: its number on the bus is taken for its version."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.reference.bug import Bug
from harness.reference.messages import Delivery, Update
from harness.reference.node import Place
from harness.reference.strategies.broadcast_update import DESIGN, BroadcastUpdate


class BusNumberAsVersion(BroadcastUpdate):
    """Goes by the order of the bus.

    Attributes:
        newest: the number of the last update taken, by key.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.newest: dict[str, int] = {}

    def hear(self, source: str, message: Any) -> None:
        """What has a higher number on the bus is newer, so events may overtake each other."""
        match message:
            case Delivery(number, Update(key, record)) if key in self.entries and number > self.newest.get(key, 0):
                self.newest[key] = number
                self.entries[key] = record
                self.count(number)
            case _:
                super().hear(source, message)


BUG = Bug(
    name="dup-replay",
    number=23,
    correct=DESIGN,
    broken=replace(DESIGN, node=BusNumberAsVersion),
    title="a late duplicate of an update",
    mechanism=(
        "At least once means: sometimes twice. The source hands an update to the bus, and the bus's answer is lost. So it hands "
        "the update over again after its time-out, and the bus carries it a second time, under a new number. Meanwhile the key "
        "was written again. Nodes go by the bus's numbers: they put the repeated update over the newer value."
    ),
    observed="All nodes go backwards at once, long after the write, and keep the older value until the next write of the key.",
    seen_in=("Debezium DBZ-897", "outboxes that deliver at least once"),
    fix="Order by the version that the source gave the record, not by a place in the transport: then no repetition matters.",
    schedule="""
        A writes x at node-1
        B reads x at node-2              # keeps version 1
        lose 1 PublishReply from bus to origin
        A writes x at node-1             # version 2; the source does not know that the bus has it
        A writes x at node-1             # version 3
        wait 10ms
        B reads x at node-2
        wait 600ms                       # the source hands version 2 over again
        B reads x at node-2
    """,
    fires=frozenset({"node-regress", "monotonic-reads", "stale-read", "stuck"}),
    consequences=frozenset({"read-your-writes", "lost-write"}),
    faults=({"kind": "drop", "between": (("origin",), ("bus",)), "every": "2s", "lasts": "1s", "probability": 0.2},),
)
