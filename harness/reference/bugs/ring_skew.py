"""Every node finds out for itself which cache servers are in use."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.reference.bug import HOT, Bug
from harness.reference.effects import Call, Calls, Flow, Unreachable
from harness.reference.node import Place
from harness.reference.store import Delete
from harness.reference.strategies.pool import DESIGN, Pool


class RingSkew(Pool):
    """Goes elsewhere when a member does not answer, whatever the roster says.

    Attributes:
        ejected: the members that did not answer, and until when they are left alone.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.ejected: dict[str, int] = {}

    def members(self) -> tuple[str, ...]:
        """Who is in and has answered of late."""
        now_ns = self.place.monotonic_ns()
        there = super().members()
        return tuple(member for member in there if self.ejected.get(member, 0) <= now_ns) or there

    def ask(self, key: str, request: Any) -> Flow[Any]:
        """Ask the member that has ``key`` as we see it; if it is silent, the next one."""
        while True:
            member = self.member(key)
            try:
                return (yield Call(member, request))
            except Unreachable:
                self.eject(member)

    def purge(self, key: str, stamp: int) -> Flow[None]:
        """Delete at every member; who does not answer is out, so it does not matter there."""
        there, delete = self.members(), Delete(self.entry(key))
        replies = yield Calls(tuple(Call(member, delete) for member in there))
        for member, reply in zip(there, replies, strict=True):
            if reply is None:
                self.eject(member)

    def eject(self, member: str) -> None:
        """Leave ``member`` alone for a while."""
        self.ejected[member] = self.place.monotonic_ns() + self.settings.ttl_ns


BUG = Bug(
    name="ring-skew",
    number=45,
    correct=DESIGN,
    broken=replace(DESIGN, node=RingSkew),
    title="every node has its own view of the pool",
    mechanism=(
        "A cache server does not answer one node, and that node goes on without it: it reads and deletes elsewhere. The other "
        "nodes reach the server and go on reading there, where no delete of the first node arrives."
    ),
    observed=(
        "Nodes disagree for as long as one of them does without the server, key by key, and the first goes back in time when it "
        "returns."
    ),
    seen_in=("twitter/twemproxy#134", "php-memcached#154", "pinterest/pymemcache#359"),
    fix=(
        "Let one place decide who is in the pool; a node that does not reach a member that is in fails, and does not go "
        "elsewhere."
    ),
    schedule="""
        wait 10ms                        # the roster has told who is in
        A writes z at node-1
        B reads z at node-3              # store-1 has version 1
        cut node-2 from store-1
        hold write.after-commit at node-2
        A writes z at node-2
        release write.after-commit at node-2
        wait 250ms                       # node-2 does without store-1
        B reads z at node-3
        mend node-2 and store-1
        A is answered
    """,
    fires=frozenset({"stale-read"}),
    consequences=frozenset({"node-regress", "monotonic-reads", "read-your-writes", "slow-convergence"}),
    workloads=(HOT,),
    faults=({"kind": "partition", "between": (("node",), ("store-1",)), "every": "2s", "lasts": "500ms", "at_most": 1},),
)
