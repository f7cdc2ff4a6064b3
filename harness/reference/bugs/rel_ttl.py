"""A value's time to live starts anew at the replica."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.strategies.replicas import DESIGN, Replica


class LifeBeginsHere(Replica):
    """Is sent times to live, and not moments of death."""

    def dies_ns(self, asked_ns: int, left_ns: int) -> int:
        """A time to live from now."""
        return self.place.monotonic_ns() + self.settings.ttl_ns


BUG = Bug(
    name="rel-ttl",
    number=50,
    correct=DESIGN,
    broken=replace(DESIGN, node=LifeBeginsHere),
    title="replication lag makes values live longer",
    mechanism=(
        "A write with a time to live is replicated as it was given: so many seconds from now. A replica that lags carries it "
        "out later, and counts those seconds from then. The value lives longer there by the lag, and if the replica is "
        "promoted it lives longer for everybody."
    ),
    observed="After a lag, values with a time to live are still read at a replica when they are gone at the primary.",
    seen_in=("redis PR#8474", "redis PR#8433", "redis PR#5171"),
    fix="Replicate the moment of expiry, or what is left of the time, and not the time that was given.",
    schedule="""
        hold replica.before-apply at node-2
        A writes x at node-1
        wait 500ms                       # node-2 lags
        release replica.before-apply at node-2
        wait 850ms                       # the second that x lives is over, and the grace as well
        B reads x at node-2
    """,
    fires=frozenset({"expired-read"}),
    faults=({"kind": "pause", "targets": ("nodes",), "every": "4s", "lasts": "2s", "after": "1s"},),
)
