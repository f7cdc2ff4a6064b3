"""A cache server that was cut off comes back with what it had."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import HOT, Bug
from harness.reference.effects import Flow
from harness.reference.roster import Roster
from harness.reference.strategies.pool import DESIGN


class Trusting(Roster):
    """Takes a member back as it is."""

    def welcome(self, member: str) -> Flow[None]:
        """It answers, so it is well."""
        yield from ()


BUG = Bug(
    name="zombie-node",
    number=44,
    correct=DESIGN,
    broken=replace(DESIGN, bus=Trusting),
    title="a cache server comes back with what it had",
    mechanism=(
        "A cache server does not answer and is taken out of the pool; its keys go to the others. Keys are written, and the "
        "deletes do not reach it. It had only been cut off: when it answers again it is put back, its keys with it, as they were"
        " before."
    ),
    observed=(
        "When the server comes back, all its keys that were written meanwhile go back in time, until their time to live has run "
        "out."
    ),
    seen_in=("twitter/twemproxy#604, #134", "facebook/mcrouter#202", "OpenStack oslo.cache, bug 1819957"),
    fix="Clear a server before it is used again (flush on reconnect).",
    schedule="""
        wait 10ms                        # the roster has told who is in
        A writes z at node-1
        B reads z at node-2              # store-1 has version 1
        cut store-1 from bus
        wait 450ms                       # it is out
        lose 1 Delete from node-1 to store-1
        A writes z at node-1
        B reads z at node-2              # store-2 has version 2
        mend store-1 and bus
        wait 350ms                       # it is in again
        B reads z at node-2
    """,
    fires=frozenset({"stale-read", "node-regress", "monotonic-reads"}),
    consequences=frozenset({"read-your-writes", "slow-convergence"}),
    workloads=(HOT,),
    faults=({"kind": "partition", "between": (("store-1",), ("node", "bus")), "every": "2s", "lasts": "800ms"},),
)
