"""The wall clock of whoever writes is the version."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from harness.reference.bug import Bug
from harness.reference.effects import Call, Flow, Sleep
from harness.reference.messages import ORIGIN, Value
from harness.reference.node import Place
from harness.reference.origin import Outbox
from harness.reference.strategies.broadcast_alo import DESIGN, BroadcastAtLeastOnce


class DatedCommit(NamedTuple):
    """To the origin: make ``value`` the newest; it was written at ``at_ns`` by the writer's wall clock."""

    value: Value
    at_ns: int


class DatedOutbox(Outbox):
    """A source whose column "updated at" is the version.

    Attributes:
        dates: when each key was last written, by the writer's wall clock.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.dates: dict[str, int] = {}

    def serve(self, source: str, request: Any) -> Flow[Any]:
        """Commits with their date, and what else an origin is asked."""
        match request:
            case DatedCommit(value, at_ns):
                yield Sleep(self.settings.commit_ns)
                self.dates[value.key] = at_ns
                return self.commit(value)
        return (yield from super().serve(source, request))

    def next_stamp(self, key: str) -> int:
        """The date of the write."""
        return self.dates[key]


class DatedWrites(BroadcastAtLeastOnce):
    """Dates what it writes."""

    def commit(self, value: Value) -> Flow[int]:
        """Commit with the time of day."""
        stamp: int = yield Call(ORIGIN, DatedCommit(value, self.place.wall_ns()))
        return stamp


BUG = Bug(
    name="ts-version",
    number=52,
    correct=DESIGN,
    broken=replace(DESIGN, node=DatedWrites, origin=DatedOutbox),
    title="timestamps as versions",
    mechanism=(
        "Versions are the wall-clock times of the nodes that write. A node whose clock is ahead writes, then another node does. "
        "The second write is the newer one, but its time is lower: caches that hold the first take its invalidation for an old "
        "one, and ignore it."
    ),
    observed="The newest value is not seen at nodes that hold the older one, until the clocks have passed the wrong time.",
    seen_in=("django-cachalot#27 (two to three minutes of drift)", "KeyDB's last writer wins"),
    fix="Let the source of truth count: a sequence, a row version, a commit number. A clock may only measure how long ago.",
    schedule="""
        clock of node-1 jumps by 2s
        A writes x at node-1             # dated two seconds ahead
        B reads x at node-3              # keeps version 1
        A writes x at node-2             # version 2, with a lower date
        wait 10ms
        B reads x at node-3
    """,
    fires=frozenset({"stale-read", "stuck"}),
    consequences=frozenset({"read-your-writes", "lost-write"}),
    faults=({"kind": "clock", "targets": ("node",), "every": "3s", "lasts": "1500ms", "by": "3s", "at_most": 1},),
)
