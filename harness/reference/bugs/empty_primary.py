"""A primary without persistence restarts empty, and its replicas take over the emptiness."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.node import Actor
from harness.reference.replication import Ballot
from harness.reference.strategies.replicated import DESIGN, Replicated


class ForgetfulPrimary(Replicated):
    """Keeps its data in memory only, and follows whoever is configured as the primary."""

    def survivor(self) -> Actor:
        """Somebody without data, who only knows which term it was."""
        again = type(self)(self.place)
        again.disk.term = self.disk.term
        return again

    def start(self) -> None:
        """The first node is the primary: so says the configuration."""
        super().start()
        if self.disk.term and self.place.name == self.place.peers[0]:
            self.stand()

    def deserves(self, ballot: Ballot) -> bool:
        """Whoever asks, whatever it has."""
        return True


BUG = Bug(
    name="empty-primary",
    number=42,
    correct=DESIGN,
    broken=replace(DESIGN, node=ForgetfulPrimary),
    title="an empty primary comes back before anybody has replaced it",
    mechanism=(
        "The primary runs without persistence. It crashes, and a supervisor restarts it at once: sooner than the replicas "
        "would have elected another one. It is the primary again, with no data. The replicas synchronise with it, and delete "
        "theirs."
    ),
    observed="All keys are gone at all nodes at the same moment, after a restart of the primary.",
    seen_in=("valkey PR#2811", "dragonfly#1082", "dragonfly#5352"),
    fix="Keep the primary's data on disk, or do not restart it by itself; elect nobody whose data are older than the voter's.",
    schedule="""
        A writes x at node-1
        wait 150ms                       # all nodes have it
        kill node-1
        restart node-1
        wait 100ms
        B reads x at node-2
    """,
    fires=frozenset({"lost-write", "stale-read", "not-linearizable", "stuck"}),
    consequences=frozenset({"monotonic-reads", "read-your-writes", "node-regress", "slow-convergence"}),
    faults=({"kind": "kill", "targets": ("node-1",), "every": "4s", "lasts": "100ms", "after": "1s"},),
)
