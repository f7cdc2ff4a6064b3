"""The keys of one write are invalidated one by one, and read one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from harness.reference.bug import MANY, Bug
from harness.reference.messages import Record
from harness.reference.strategies.read_atomic import DESIGN, ReadAtomic


class Fractured(ReadAtomic):
    """Answers with whatever it has of each key."""

    def missed(self, found: Mapping[str, Record]) -> Mapping[str, int]:
        """Nothing: each key is right by itself."""
        return {}


BUG = Bug(
    name="fractured",
    number=37,
    correct=DESIGN,
    broken=replace(DESIGN, node=Fractured),
    title="a write of several keys is seen by halves",
    mechanism=(
        "Two keys are written in one transaction, and each has an invalidation of its own. A node that has dropped the first key "
        "and not yet the second answers a request for both with the new value of one and the old value of the other: a state "
        "that the source was never in. No key is staler than promised, so no check of single keys sees anything."
    ),
    observed="A transfer is booked on one account and not on the other; a list names an object that is not there.",
    seen_in=(
        "Facebook's TAO: 1 in 1,500 batched reads (RAMP-TAO, VLDB 2021)",
        "T-Cache (ICDCS 2015)",
        "cache-money#15",
        "Suor/django-cacheops#302",
    ),
    fix="Let each entry carry the versions its siblings were committed with; compare what one request found, and read again.",
    schedule="""
        A writes x and y at node-1
        B reads y at node-2
        hold 9 Invalidate from bus to node-2   # with those that the bus delivers again
        A writes x and y at node-1
        wait 20ms                              # both invalidations are held by now
        B reads x and y at node-2              # x was not kept: version 2; y: version 1
        deliver from bus to node-2
    """,
    fires=frozenset({"fractured-read"}),
    consequences=frozenset({"stale-read"}),
    workloads=(MANY,),
)
