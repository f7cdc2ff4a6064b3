"""A replica serves expired values until the primary deletes them."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.node import Place
from harness.reference.strategies.replicas import DESIGN, Changes, Living, Replica


class WaitsForTheDelete(Replica):
    """Leaves it to the primary to say what has expired.

    Attributes:
        told_ns: until when it has been told, on its monotonic clock.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.told_ns = 0

    def take(self, asked_ns: int, changes: Changes) -> None:
        """The primary's deletes come with its changes."""
        super().take(asked_ns, changes)
        self.told_ns = asked_ns

    def lives(self, copy: Living) -> bool:
        """Whether the primary has not deleted it yet, as far as is known here."""
        return self.told_ns < copy.until_ns


BUG = Bug(
    name="replica-expired",
    number=49,
    correct=DESIGN,
    broken=replace(DESIGN, node=WaitsForTheDelete),
    title="replicas serve what has expired",
    mechanism=(
        "Only the primary expires values; a replica keeps a value until the primary's delete arrives. The primary stands "
        "still, or the link to it is down: no delete arrives, and the replica goes on serving what should be dead."
    ),
    observed="Values with a time to live are read at a replica after their time, for as long as the primary is silent.",
    seen_in=("redis#3127", "redis#3198", "redis#187", "dragonfly PR#6984"),
    fix="Let every replica check the expiry by itself on each read, and keep its clock right.",
    schedule="""
        A writes x at node-1
        wait 200ms                       # node-2 has it, with most of a second to live
        cut node-2 from origin
        wait 1200ms
        B reads x at node-2
        mend node-2 and origin
    """,
    fires=frozenset({"expired-read"}),
    faults=({"kind": "pause", "targets": ("origin",), "every": "4s", "lasts": "2s", "after": "1s"},),
)
