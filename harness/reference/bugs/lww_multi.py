"""Every node is a master, and the last write wins: by the wall clock, and only where it arrives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from harness.reference.bug import Bug
from harness.reference.effects import Flow, Gate
from harness.reference.messages import Value
from harness.reference.node import Actor, Place, Strategy
from harness.reference.strategies.replicated import DESIGN


class Stamped(NamedTuple):
    """A write that happened at ``wall_ns`` by the clock of the node that took it."""

    wall_ns: int
    value: Value


class Master(Strategy):
    """Takes reads and writes by itself, and tells the others.

    Attributes:
        copies: the latest write of each key, by the clock of whoever took it; on disk.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.copies: dict[str, Stamped] = {}

    def survivor(self) -> Actor:
        """The same: its data are on disk."""
        return self

    def read(self, key: str) -> Flow[Value | None]:
        """What this node has."""
        copy = self.copies.get(key)
        yield Gate("read.after-lookup", key)
        return None if copy is None else copy.value

    def write(self, value: Value) -> Flow[None]:
        """Take it, tell the others once, and acknowledge it."""
        copy = Stamped(self.place.wall_ns(), value)
        self.merge(copy)
        for peer in self.place.peers:
            if peer != self.place.name:
                self.place.send(peer, copy)
        yield Gate("write.after-commit", value.key)

    def hear(self, source: str, message: Any) -> None:
        """A write that another node has taken."""
        if isinstance(message, Stamped):
            self.merge(message)
        else:
            super().hear(source, message)

    def merge(self, copy: Stamped) -> None:
        """The later one wins."""
        mine = self.copies.get(copy.value.key)
        if mine is None or copy.wall_ns > mine.wall_ns:
            self.copies[copy.value.key] = copy


BUG = Bug(
    name="lww-multi",
    number=47,
    correct=DESIGN,
    broken=replace(DESIGN, node=Master),
    title="several masters, and the last write wins",
    mechanism=(
        "Every node accepts writes, stamps them with its own clock and sends them to the others, which keep whatever has the "
        "latest stamp. What is sent into a partition never arrives, and nobody compares afterwards: the nodes differ for "
        "ever. And the latest stamp is not the latest write: a node whose clock is ahead wins against everybody who writes "
        "after it."
    ),
    observed="After a partition the nodes keep giving different answers; writes vanish although they were acknowledged last.",
    seen_in=("KeyDB#366", "KeyDB#111", "KeyDB#142"),
    fix="Let one node order the writes of a key; or use data types that merge, and compare the copies after every partition.",
    schedule="""
        A writes x at node-1
        cut node-1 from node-2
        cut node-1 from node-3
        A writes x at node-1             # taken, and sent into the cut
        mend node-1 and node-2
        mend node-1 and node-3
        wait 300ms
        B reads x at every node
    """,
    fires=frozenset({"stale-read", "not-linearizable", "stuck"}),
    consequences=frozenset({"monotonic-reads", "read-your-writes", "lost-write", "node-regress", "slow-convergence"}),
    faults=({"kind": "partition", "between": ("node-1", "node"), "every": "4s", "lasts": "1500ms", "after": "1s"},),
)
