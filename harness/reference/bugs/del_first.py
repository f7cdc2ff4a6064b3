"""The entry is deleted before the write is committed, and not after."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import HOT, Bug
from harness.reference.effects import Call, Flow, Gate
from harness.reference.messages import ORIGIN, Commit, Value
from harness.reference.store import Delete
from harness.reference.strategies.lease import DESIGN, LeaseFill


class DeleteFirst(LeaseFill):
    """Deletes, then writes."""

    def write(self, value: Value) -> Flow[None]:
        """Delete, so that nobody sees the old value any more; then commit."""
        yield from self.ask(value.key, Delete(self.entry(value.key)))
        yield Gate("write.before-commit", value.key)
        yield Call(ORIGIN, Commit(value))


BUG = Bug(
    name="del-first",
    number=7,
    correct=DESIGN,
    broken=replace(DESIGN, node=DeleteFirst),
    title="delete first, then write",
    mechanism=(
        "The writer deletes the entry and then commits. A reader comes in between, misses, takes the old value from the source "
        "and stores it again, with a valid lease. The commit follows, and no delete does."
    ),
    observed="Every node answers with the old value until its time to live has run out; the writer does not see its own write.",
    seen_in=("Tigris, a delete-then-read race found with Antithesis",),
    fix="Commit first and delete afterwards.",
    schedule="""
        A writes x at node-1
        hold write.before-commit at node-1
        A writes x at node-1             # has deleted the entry
        B reads x at node-2              # fills it with version 1
        release write.before-commit at node-1
        A is answered
        B reads x at node-2
        A reads x at node-1
    """,
    fires=frozenset({"stale-read", "read-your-writes", "not-linearizable"}),
    consequences=frozenset({"slow-convergence"}),
    workloads=(HOT,),
)
