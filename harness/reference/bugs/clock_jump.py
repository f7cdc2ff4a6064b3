"""Lives that end at a moment on the wall clock."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import HOT, Bug
from harness.reference.strategies.ttl import DESIGN, TimeToLive


class WallClock(TimeToLive):
    """Writes down when an entry dies as time of day."""

    def now_ns(self) -> int:
        """What the clock on the wall says."""
        return self.place.wall_ns()


BUG = Bug(
    name="clock-jump",
    number=51,
    correct=DESIGN,
    broken=replace(DESIGN, node=WallClock),
    title="expiry as a moment on the wall clock",
    mechanism=(
        "An entry is kept with the time of day at which it dies. Then the clock is set back, by NTP or by hand: the moment is "
        "far away again, and the entry lives for as long as the jump was, on top of its time to live. Set forward, everything "
        "dies at once; and what is put while a clock is ahead lives on after it has been set right."
    ),
    observed="After a step of one node's clock that node serves values long past their time to live; no other node does.",
    seen_in=("valkey-io/valkey#2651", "redis/redis PR#7644"),
    fix="Count lives on the monotonic clock; slew clocks instead of stepping them.",
    schedule="""
        A writes x at node-1
        B reads x at node-2                # node-2 keeps version 1 for one second
        clock of node-2 jumps by -60s
        A writes x at node-1
        wait 800ms
        B reads x at node-2
    """,
    fires=frozenset({"stale-read", "stuck"}),
    consequences=frozenset({"slow-convergence"}),
    workloads=(HOT, {"kind": "register", "keys": 100, "sessions": 6, "rate": 200.0}),
    faults=({"kind": "clock", "targets": ("node",), "by": "5s", "every": "4s", "lasts": "1500ms", "after": "1s"},),
)
