"""A refresh that began before an invalidation puts back what was invalidated."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import HOT, Bug
from harness.reference.strategies.refresh_ahead import DESIGN, RefreshAhead
from harness.reference.strategies.swr import Entry


class RefreshRace(RefreshAhead):
    """Puts whatever a refresh brings."""

    def refreshed(self, key: str, old: Entry, new: Entry) -> None:
        """Always: it was loaded just now."""
        self.put(key, new)


BUG = Bug(
    name="refresh-race",
    number=12,
    correct=DESIGN,
    broken=replace(DESIGN, node=RefreshRace),
    title="a refresh in the background overwrites an invalidation",
    mechanism=(
        "A cache renews an entry ahead of its time: it loads the value again in the background, and reads the old one at the "
        "source. Meanwhile the key is written and the invalidation arrives: the entry is dropped. Then the load ends and puts "
        "the old value, as if it were new."
    ),
    observed="One node answers with the old value after its invalidation, until its time to live is over or the next write.",
    seen_in=("ben-manes/caffeine#193", "ben-manes/caffeine#251", "google/guava#2971", "trinodb/trino#22285"),
    fix="Let an invalidation cancel what is being loaded: a refresh is put only if the entry that it renews is still there.",
    schedule="""
        A writes x at node-1
        B reads x at node-2                # node-2 keeps version 1
        wait 150ms                         # past the refresh interval
        hold refresh.before-put at node-2
        B reads x at node-2                # served at once; a refresh begins
        wait 5ms                           # it has read version 1 at the source
        A writes x at node-1
        wait 20ms                          # node-2 has dropped version 1
        release refresh.before-put at node-2
        wait 20ms
        C reads x at node-2
    """,
    fires=frozenset({"stale-read"}),
    consequences=frozenset({"stuck", "slow-convergence", "node-regress", "monotonic-reads", "read-your-writes"}),
    workloads=(HOT, {"kind": "register", "keys": 60, "sessions": 12, "rate": 1200.0}),
)
