"""Stale while revalidate without a window."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.strategies.swr import DESIGN, Entry, StaleWhileRevalidate


class Unbounded(StaleWhileRevalidate):
    """Serves what it has, whatever its age, and refreshes it."""

    def serves(self, entry: Entry) -> bool:
        """Always: the refresh will be there in a moment."""
        return True


BUG = Bug(
    name="swr-unbounded",
    number=14,
    correct=DESIGN,
    broken=replace(DESIGN, node=Unbounded),
    title="stale while revalidate for any length of time",
    mechanism=(
        "An entry past its time is served at once while it is refreshed in the background. Nothing says how far past: the first "
        "read after an hour of silence gets an answer an hour old, and if the refreshes fail so does every read after it."
    ),
    observed="The first read of a key after a pause is as old as the pause was long; the second one is fresh.",
    seen_in=("nginx mailing list 2010 (UPDATING serves an old 404)", "funes#9", "varnishcache/varnish-cache#1158"),
    fix="Give the window a length (stale-while-revalidate=N, grace): past it, a reader waits for the source.",
    schedule="""
        A writes x at node-1
        B reads x at node-2                # node-2 keeps version 1
        A writes x at node-1
        wait 600ms                         # nobody asks node-2
        B reads x at node-2
    """,
    fires=frozenset({"stale-read"}),
    workloads=({"kind": "register", "keys": 100, "sessions": 12, "rate": 400.0},),
)
