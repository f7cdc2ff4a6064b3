"""The invalidation is sent while the transaction is still open."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import COLD, HOT, Bug
from harness.reference.effects import Call, Flow
from harness.reference.messages import ORIGIN, Commit, Invalidate, Value
from harness.reference.strategies.broadcast_amo import DESIGN, BroadcastAtMostOnce


class InvalidateBeforeCommit(BroadcastAtMostOnce):
    """Invalidates where the code that changes the row stands, inside the transaction."""

    def write(self, value: Value) -> Flow[None]:
        """Tell everybody, then commit."""
        self.written_here(value.key)
        yield from self.tell(Invalidate(value.key, 0))
        yield Call(ORIGIN, Commit(value))


BUG = Bug(
    name="inval-before-commit",
    number=3,
    correct=DESIGN,
    broken=replace(DESIGN, node=InvalidateBeforeCommit),
    title="the invalidation is sent before the commit",
    mechanism=(
        "A model hook or a save method invalidates the key while the transaction is open. A reader misses, sees the old row, "
        "because the change is not committed, and puts it back. Then the transaction commits, and nothing invalidates the key "
        "again."
    ),
    observed=(
        "A node answers with the old value until the next write or the end of its time to live, also to who wrote the new one."
    ),
    seen_in=("kasket#27", "django-cacheops#22", "magento-lts#543", "selda#20"),
    fix=(
        "Invalidate in an after-commit hook, or from the database's own log; an invalidation inside the transaction is not "
        "enough."
    ),
    schedule="""
        A writes x at node-1
        hold origin.before-commit at origin
        A writes x at node-1             # the invalidation is sent, the commit stands still
        wait 5ms
        B reads x at node-2              # reads version 1 at the source, and keeps it
        release origin.before-commit at origin
        A is answered
        C reads x at node-2
    """,
    fires=frozenset({"stale-read", "stuck"}),
    consequences=frozenset({"node-regress", "monotonic-reads", "read-your-writes", "slow-convergence", "lost-write"}),
    workloads=({**HOT, "keys": 5}, COLD),
)
