"""A time to live that begins anew with every read."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import HOT, Bug
from harness.reference.strategies.ttl import DESIGN, Entry, TimeToLive


class SlidingTimeToLive(TimeToLive):
    """Lets an entry live on while it is in use."""

    def served(self, key: str, entry: Entry) -> None:
        """What is read often is worth keeping."""
        self.entries[key] = entry._replace(until_ns=self.now_ns() + self.settings.ttl_ns)


BUG = Bug(
    name="sliding-ttl",
    number=56,
    correct=DESIGN,
    broken=replace(DESIGN, node=SlidingTimeToLive),
    title="every read extends the time to live",
    mechanism=(
        "The cache counts an entry's time from its last use (idle time, touch on read), and it is taken for a bound on "
        "staleness. A key that is read more often than once in its time to live never expires, however old its value is."
    ),
    observed="The hotter a key, the staler: hot keys keep their first value for ever, and cold ones are fresh.",
    seen_in=("laravel/framework#61480", "Infinispan PR#6162 (a warning about maxIdle)"),
    fix="Bound staleness by the time since the fill (TTL, expireAfterWrite); use idle time only to save memory.",
    schedule="""
        A writes x at node-1
        B reads x at node-2                # node-2 keeps version 1 for one second
        A writes x at node-1
        wait 600ms
        B reads x at node-2
        wait 600ms
        B reads x at node-2
    """,
    fires=frozenset({"stale-read", "stuck"}),
    workloads=(HOT,),
)
