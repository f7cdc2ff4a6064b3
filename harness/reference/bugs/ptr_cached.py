"""The pointer of versioned keys is cached as well."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.effects import Flow
from harness.reference.node import Place
from harness.reference.strategies.versioned_keys import DESIGN, VersionedKeys


class CachedPointer(VersionedKeys):
    """Asks the source for a pointer only now and then.

    Attributes:
        pointers: each pointer, and when it was read on the node's monotonic clock.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.pointers: dict[str, tuple[int, int]] = {}

    def pointer(self, key: str) -> Flow[int]:
        """The one that was read a moment ago, if there is one: generations do not change that often."""
        now_ns = self.place.monotonic_ns()
        generation, read_ns = self.pointers.get(key, (0, -self.settings.ttl_ns))
        if now_ns - read_ns >= self.settings.ttl_ns:
            generation = yield from super().pointer(key)
            self.pointers[key] = (generation, now_ns)
        return generation


BUG = Bug(
    name="ptr-cached",
    number=55,
    correct=DESIGN,
    broken=replace(DESIGN, node=CachedPointer),
    title="the pointer of versioned keys is cached",
    mechanism=(
        "Entries that are named by key and generation never go stale, but the pointer to the newest generation does. A node "
        "keeps the pointer for a second to save the round trip. For that second it serves the old generation, as any cache "
        "with a time to live would, under a name that promises more."
    ),
    observed="Each node lags behind every write by up to the pointer's time to live, although nothing is broken.",
    seen_in=("generational keys of Rails on memcached",),
    fix="Read the pointer at the source on every read, or promise no more than the pointer's time to live.",
    schedule="""
        A writes x at node-1
        B reads x at node-2              # keeps the pointer to generation 1
        A writes x at node-1             # the source points to generation 2
        wait 50ms
        B reads x at node-2
    """,
    fires=frozenset({"stale-read", "not-linearizable"}),
    consequences=frozenset({"monotonic-reads", "read-your-writes", "node-regress", "slow-convergence"}),
)
