"""That a key does not exist is kept although it has been created meanwhile."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import COLD, SLOW_SOURCE, WIDE, Bug
from harness.reference.messages import Record
from harness.reference.strategies.broadcast_alo import DESIGN, BroadcastAtLeastOnce


class UnguardedAbsence(BroadcastAtLeastOnce):
    """Compares versions where there are any."""

    def admits(self, key: str, record: Record) -> bool:
        """Without a value there is no version to compare."""
        return record.value is None or record.value.gone or super().admits(key, record)


BUG = Bug(
    name="neg-late",
    number=17,
    correct=DESIGN,
    broken=replace(DESIGN, node=UnguardedAbsence),
    title='a late "not found" after the creation',
    mechanism=(
        "A node looks a key up that does not exist, and the answer is slow. Meanwhile the key is created and the invalidation "
        'arrives: there is nothing to drop. Then the node keeps "not found". Values are guarded by their version here, absence '
        "is not: it has none."
    ),
    observed="One node says that the key does not exist, after its creation was acknowledged, until the next write of the key.",
    seen_in=("MeshWeaver#3954", "Uber's CacheFront (reading one's own inserts)"),
    fix="Give absence a version, too: stamp 0 before the creation, the stamp of the deletion after it; guard it like a value.",
    schedule="""
        wait 10ms                        # node-2 has subscribed: from now on it keeps what it fetches
        hold fill.before-put at node-2
        B reads x at node-2              # there is no x at the source
        A writes x at node-1             # the creation
        wait 10ms                        # the invalidation has arrived
        release fill.before-put at node-2
        B is answered
        C reads x at node-2
    """,
    fires=frozenset({"stale-read", "stuck"}),
    consequences=frozenset({"read-your-writes"}),
    workloads=({**WIDE, "keys": 2000}, COLD),
    faults=(SLOW_SOURCE,),
)
