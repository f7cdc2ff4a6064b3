"""Split brain: whoever sees nobody else takes itself for the majority."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.reference.bug import Bug
from harness.reference.node import Place
from harness.reference.strategies.replicated import DESIGN, Replicated


class CountsWhoAnswers(Replicated):
    """Needs a majority of those that it has heard of lately."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._seen_ns: dict[str, int] = {}

    def hear(self, source: str, message: Any) -> None:
        """Remember who is there."""
        self._seen_ns[source] = self.place.monotonic_ns()
        super().hear(source, message)

    def quorum(self) -> int:
        """A majority of the nodes that are there: who is dead has no vote."""
        since_ns = self.place.monotonic_ns() - self.settings.silence_ns
        return (1 + sum(seen_ns >= since_ns for seen_ns in self._seen_ns.values())) // 2 + 1


BUG = Bug(
    name="two-primaries",
    number=40,
    correct=DESIGN,
    broken=replace(DESIGN, node=CountsWhoAnswers),
    title="split brain: two primaries accept writes",
    mechanism=(
        "A node counts only those nodes that it can hear when it asks for a majority. After a partition each side counts "
        "itself, finds that all of its nodes agree, and goes on: the old primary on one side, a new one on the other. Both "
        "acknowledge writes. When the partition heals one of them has to give in, and what it acknowledged meanwhile is "
        "thrown away."
    ),
    observed="Clients of the two sides see two different histories of a key; after the heal the writes of one side are gone.",
    seen_in=("redis#13658", "valkey#1322", "bitnami/charts#5418", "helm/charts#21303", "Jepsen on Hazelcast 3.8.3"),
    fix="Count against the configured number of nodes: a side without a majority of all of them must stop.",
    schedule="""
        A writes x at node-1
        cut node-1 from node-2
        cut node-1 from node-3
        wait 800ms                       # node-2 and node-3 elect one of them
        A writes x at node-2
        A writes x at node-1             # the old primary accepts it as well
        B reads x at node-3
        mend node-1 and node-2
        mend node-1 and node-3
        wait 300ms
    """,
    fires=frozenset({"lost-write", "stale-read", "not-linearizable", "stuck"}),
    consequences=frozenset({"monotonic-reads", "read-your-writes", "node-regress", "slow-convergence"}),
    faults=({"kind": "partition", "between": ("node-1", "node"), "every": "4s", "lasts": "1500ms", "after": "1s"},),
)
