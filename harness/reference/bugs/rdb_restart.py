"""A cache that survives restarts serves what it had, without what it has missed."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.node import Actor
from harness.reference.strategies.broadcast_alo import DESIGN, BroadcastAtLeastOnce


class WarmRestart(BroadcastAtLeastOnce):
    """Keeps its entries on disk."""

    def survivor(self) -> Actor:
        """Somebody with the entries of before, who listens to the bus from now on."""
        again = type(self)(self.place)
        again.entries = dict(self.entries)
        return again


BUG = Bug(
    name="rdb-restart",
    number=48,
    correct=DESIGN,
    broken=replace(DESIGN, node=WarmRestart),
    title="a restart with the entries of yesterday",
    mechanism=(
        "A cache node keeps its entries on disk, so that it is warm after a restart. While it is down, keys are written and "
        "invalidated. It comes back, loads its entries, subscribes to the bus and hears what happens from then on. What "
        "happened while it was down it never hears."
    ),
    observed=(
        "After a restart one node serves old values of those keys that were written while it was down, until their next write."
    ),
    seen_in=("Gemini (Middleware 2018)", "Mirantis on Valkey and PostgreSQL diverging"),
    fix="Start cold; or keep the position in the log of invalidations with the entries, and catch up before serving any.",
    schedule="""
        A writes x at node-1
        B reads x at node-2              # node-2 has version 1, on disk as well
        kill node-2
        A writes x at node-1
        wait 50ms                        # the invalidation has gone by
        restart node-2
        wait 50ms
        B reads x at node-2
    """,
    fires=frozenset({"stale-read", "stuck"}),
    consequences=frozenset({"monotonic-reads", "read-your-writes", "node-regress"}),
    faults=({"kind": "kill", "targets": ("nodes",), "every": "2s", "lasts": "500ms", "after": "1s"},),
)
