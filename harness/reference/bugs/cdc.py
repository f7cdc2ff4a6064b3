"""Invalidations come from a connector that reads the source's log now and then, and notes its place before it has told."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.effects import Call, Flow, Gate, Sleep, Unreachable
from harness.reference.messages import BUS, Invalidate, Publish, Record, Update
from harness.reference.node import Place
from harness.reference.origin import Outbox
from harness.reference.strategies.broadcast_alo import DESIGN


class Connector(Outbox):
    """A source with a connector at its log.

    Attributes:
        log: the events of all commits, in order.
        position: how many of them the connector has done with.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.log: list[Invalidate | Update] = []
        self.position = 0

    def start(self) -> None:
        """Go on where the connector was."""
        self.place.spawn(self.connect())

    def committed(self, record: Record) -> None:
        """Only the log knows."""
        if record.value is not None:
            self.log.append(self.event(record.value.key, record))

    def connect(self) -> Flow[None]:
        """Look at the log again and again, and tell what is new in it."""
        while True:
            yield Sleep(self.settings.redelivery_ns)
            new = self.log[self.position :]
            self.position += len(new)
            for event in new:
                self.place.spawn(self.tell(event))

    def tell(self, event: Invalidate | Update) -> Flow[None]:
        """Hand ``event`` to the bus; its place in the log has been passed."""
        yield Gate("invalidation.before-send", event.key)
        try:
            yield Call(BUS, Publish(event))
        except Unreachable:
            return


BUG = Bug(
    name="cdc",
    number=36,
    correct=DESIGN,
    broken=replace(DESIGN, origin=Connector),
    title="change data capture: late, and with gaps",
    mechanism=(
        "Nobody tells of a write but a connector that reads the source's commit log at intervals. Until it does, every cache is "
        "stale, faults or none. And it notes its place in the log before the bus has taken the event: if the hand-over fails, or "
        "the connector dies, the event is never told."
    ),
    observed="Reads are stale by the connector's lag all the time; after a failure some keys are stuck on all nodes.",
    seen_in=("Uber's CacheFront, before it invalidated on the write path", "debezium/debezium#916 (pull request)"),
    fix=(
        "Invalidate on the write path and let the log be the safety net; advance the connector's place only after the bus has "
        "acknowledged; promise the connector's lag, and watch it."
    ),
    schedule="""
        A writes x at node-1
        wait 200ms
        B reads x at node-2              # keeps version 1
        lose 1 Invalidate from origin to bus
        A writes x at node-1             # version 2
        wait 600ms                       # who waits for the bus's acknowledgement has told again
        B reads x at node-2
    """,
    fires=frozenset({"stale-read", "stuck"}),
    consequences=frozenset({"slow-convergence", "lost-write"}),
    faults=({"kind": "drop", "between": (("origin",), ("bus",)), "every": "2s", "lasts": "1s", "probability": 0.2},),
)
