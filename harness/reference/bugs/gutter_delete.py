"""Reads follow a fail-over within the pool, and deletes do not."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import HOT, Bug
from harness.reference.effects import Flow
from harness.reference.store import Delete
from harness.reference.strategies.pool import DESIGN, Pool


class GutterDelete(Pool):
    """Deletes where it would read."""

    def purge(self, key: str, stamp: int) -> Flow[None]:
        """Delete at the member whose key it is now."""
        yield from self.ask(key, Delete(self.entry(key)))


BUG = Bug(
    name="gutter-delete",
    number=46,
    correct=DESIGN,
    broken=replace(DESIGN, node=GutterDelete),
    title="deletes do not go where the fail-over went",
    mechanism=(
        "While a cache server is out, another one has its keys. When it is back, writes delete there, and what the stand-in has "
        "stays where it is. The next time the server is out, the stand-in answers with the values of the last time."
    ),
    observed="Whenever a cache server goes out, some of its keys go back in time, until their time to live has run out.",
    seen_in=("facebook/mcrouter#105, #146, #190",),
    fix=(
        "Delete at every server that may have the key, the stand-in included, or let the stand-in's entries live for seconds "
        "only."
    ),
    schedule="""
        kill store-1
        wait 450ms                       # it is out
        A writes z at node-1
        B reads z at node-2              # store-2 has version 1
        restart store-1
        wait 350ms                       # it is in again
        A writes z at node-1
        B reads z at node-2
        kill store-1
        wait 450ms
        B reads z at node-2              # store-2 again
    """,
    fires=frozenset({"stale-read", "node-regress", "monotonic-reads"}),
    consequences=frozenset({"read-your-writes", "slow-convergence"}),
    workloads=(HOT,),
    faults=({"kind": "kill", "targets": ("store-1",), "every": "1s", "lasts": "450ms"},),
)
