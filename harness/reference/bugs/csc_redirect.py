"""Client-side caching over two connections: the one that was read on dies, and the one for invalidations is not told."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.strategies.tracking import DESIGN
from harness.reference.tracked import TrackingOrigin


class ForgetsQuietly(TrackingOrigin):
    """Notes reads for one connection of a node, and sends invalidations on another one."""

    def close(self, node: str) -> None:
        """The connection that was read on is gone, and so are its notes; the other one goes on."""
        self.forget(node)


BUG = Bug(
    name="csc-redirect",
    number=24,
    correct=DESIGN,
    broken=replace(DESIGN, origin=ForgetsQuietly),
    title="tracking ends with the data connection, and nobody says so",
    mechanism=(
        "A node reads on one connection and has its invalidations redirected to another one. The first is lost or closed as "
        "idle: the source crosses out everything that it had noted for it. The second stays open and healthy, so the node "
        "believes that it will hear of every change. It never does."
    ),
    observed="One node keeps old values for ever, although its invalidation connection is up; other nodes are right.",
    seen_in=("redis#13082", "redis#11767", "redis PR#15632", "valkey PR#4416"),
    fix="Drop everything when either connection is lost; or read and be told on one connection (RESP3), which fails as a whole.",
    schedule="""
        A writes x at node-1
        B reads x at node-2                         # is noted
        lose 5 Heartbeat from node-2 to origin      # the source takes the data connection for dead
        wait 600ms
        A writes x at node-1                        # tells nobody
        wait 50ms
        B reads x at node-2
    """,
    fires=frozenset({"stale-read", "stuck"}),
    faults=(
        {"kind": "partition", "between": ("nodes", "origin"), "way": "forward", "every": "3s", "lasts": "700ms", "after": "1s"},
    ),
)
