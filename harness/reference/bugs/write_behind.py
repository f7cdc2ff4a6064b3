"""Write-behind: a write is acknowledged before the source has it."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.effects import Call, Flow, Refused, Sleep, Unreachable
from harness.reference.messages import ORIGIN, Record, Value
from harness.reference.node import Place
from harness.reference.ownership import CommitFenced
from harness.reference.strategies.owner import DESIGN, OwnerPerKey, Tenure


class WritesBehind(OwnerPerKey):
    """Takes writes into memory and hands them to the source later.

    Attributes:
        unwritten: what the source does not have yet, in order.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.unwritten: deque[tuple[Tenure, Value]] = deque()

    def start(self) -> None:
        """Write what has gathered, now and then."""
        super().start()
        self.place.spawn(self._flushes())

    def store(self, tenure: Tenure, value: Value) -> Flow[None]:
        """The owner is the only one who answers for the key, so it is enough that the owner has it."""
        yield from self.load(tenure, value.key)
        tenure.entries[value.key] = Record(value, tenure.entries[value.key].stamp + 1)
        self.unwritten.append((tenure, value))

    def _flushes(self) -> Flow[None]:
        while True:
            yield Sleep(self.settings.heartbeat_ns)
            while self.unwritten:
                tenure, value = self.unwritten.popleft()
                try:
                    yield Call(ORIGIN, CommitFenced(value, self.share_of(value.key), tenure.token))
                except (Refused, Unreachable):
                    continue


BUG = Bug(
    name="write-behind",
    number=59,
    correct=DESIGN,
    broken=replace(DESIGN, node=WritesBehind),
    title="a write is acknowledged before the source has it",
    mechanism=(
        "The owner of a key takes a write into its memory, acknowledges it and writes it to the source a little later, in one "
        "go with others. It dies in between, or loses its lease and is fenced off. Nobody else has ever seen the write: the "
        "next owner reads the older value at the source."
    ),
    observed="After a crash an acknowledged value is gone, and an older one is back at all nodes, for good.",
    seen_in=("hazelcast#1317", "hazelcast#5757", "hazelcast#12874", "IGNITE-5813"),
    fix=(
        "Write through: acknowledge when the source has it. Or replicate the queue of unwritten values, and promise the loss "
        "that remains."
    ),
    schedule="""
        A writes x at node-1             # node-1 owns x
        wait 150ms                       # the source has version 1
        A writes x at node-1             # acknowledged, in memory only
        kill node-1
        restart node-1
        wait 500ms
        B reads x at node-2
    """,
    fires=frozenset({"lost-write", "stale-read", "not-linearizable", "stuck"}),
    consequences=frozenset({"monotonic-reads", "read-your-writes", "node-regress", "slow-convergence"}),
    faults=({"kind": "kill", "targets": ("nodes",), "every": "2s", "lasts": "300ms", "after": "1s"},),
)
