"""A "not modified" brings back what was purged while it was under way."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.strategies.swr import DESIGN, Entry, StaleWhileRevalidate


class ResurrectingFetch(StaleWhileRevalidate):
    """Merges a "not modified" with the entry that it asked about, and puts that."""

    def refreshed(self, key: str, old: Entry, new: Entry) -> None:
        """What has not changed is as good as what is there."""
        if new.record is old.record:
            self.entries[key] = new
        else:
            super().refreshed(key, old, new)


BUG = Bug(
    name="conditional-fetch",
    number=15,
    correct=DESIGN,
    broken=replace(DESIGN, node=ResurrectingFetch),
    title='a "304 Not Modified" brings a purged object back',
    mechanism=(
        "A node asks the source whether its entry has changed: it has not. While the answer is under way the key is written and "
        "the entry purged. The answer carries no value, so the node makes a new entry of the old value and the new time, and "
        "puts it where the purge had left nothing."
    ),
    observed="After a purge the same node answers with the value from before it; whoever wrote does not read what it wrote.",
    seen_in=("varnishcache/varnish-cache PR#4082",),
    fix="A revalidation that finds its object purged comes to nothing: compare what is there with what it began with.",
    schedule="""
        A writes x at node-1
        A reads x at node-1                # node-1 keeps version 1
        wait 120ms                         # past its life, in the window
        hold refresh.before-put at node-1
        B reads x at node-1                # a refresh begins
        wait 5ms                           # the source says: not modified
        A writes x at node-1               # purges version 1
        release refresh.before-put at node-1
        wait 1ms
        A reads x at node-1
    """,
    fires=frozenset({"read-your-writes"}),
    consequences=frozenset({"monotonic-reads", "node-regress"}),
    workloads=({"kind": "register", "keys": 30, "sessions": 40, "rate": 3000.0},),
)
