"""The counter of versions is lost, and begins again at one."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.node import Actor, Place
from harness.reference.origin import Outbox
from harness.reference.strategies.broadcast_alo import DESIGN


class VolatileCounter(Outbox):
    """A source whose records are on disk and whose counters are not.

    Attributes:
        counters: the last stamp given, by key.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.counters: dict[str, int] = {}

    def survivor(self) -> Actor:
        """The same records; the counters are gone."""
        self.counters = {}
        return super().survivor()

    def next_stamp(self, key: str) -> int:
        """Count."""
        self.counters[key] = self.counters.get(key, 0) + 1
        return self.counters[key]


BUG = Bug(
    name="counter-reset",
    number=53,
    correct=DESIGN,
    broken=replace(DESIGN, origin=VolatileCounter),
    title="the version counter begins again",
    mechanism=(
        "Versions are counted where the count can be lost: an INCR in a cache that evicts, fails over or restarts without data. "
        "After that the newest write has version 1. Caches that remember version 18 take it, and the next sixteen, for old news: "
        "they ignore the invalidation and keep what they have."
    ),
    observed="After the loss no write of a cached key is seen any more, at any node that holds it: all of them are stuck.",
    seen_in=("memcached's namespace keys", "follows from every fail-over that loses writes, or restart without data"),
    fix="Count in the source of truth, on disk, with the write; or put an epoch before the count, and change it with every loss.",
    schedule="""
        A writes x at node-1
        A writes x at node-1             # version 2, stamp 2
        B reads x at node-2              # keeps it
        kill origin
        restart origin
        A writes x at node-1             # version 3, stamp 1
        wait 10ms
        B reads x at node-2
    """,
    fires=frozenset({"stale-read", "stuck"}),
    consequences=frozenset({"read-your-writes", "lost-write"}),
    faults=({"kind": "kill", "targets": ("origin",), "every": "4s", "lasts": "500ms", "after": "2s"},),
)
