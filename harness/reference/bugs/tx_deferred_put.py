"""A cache that takes part in transactions puts at the reader's commit what it had read long before."""

from __future__ import annotations

from dataclasses import replace

from harness.reference.bug import Bug
from harness.reference.effects import Flow, Gate, Sleep
from harness.reference.strategies.broadcast_amo import DESIGN, BroadcastAtMostOnce, Entry

_REST_NS = 20_000_000
"""How long the reader's transaction goes on after the read."""


class PutAtCommit(BroadcastAtMostOnce):
    """Puts what a transaction has read when that transaction commits."""

    def put(self, key: str, entry: Entry) -> None:
        """Later."""
        self.place.spawn(self.put_at_commit(key, entry))

    def put_at_commit(self, key: str, entry: Entry) -> Flow[None]:
        """Put it when the transaction is over; whether it still may be kept has been looked at before."""
        yield Sleep(_REST_NS)
        yield Gate("transaction.after-commit", key)
        super().put(key, entry)


BUG = Bug(
    name="tx-deferred-put",
    number=4,
    correct=DESIGN,
    broken=replace(DESIGN, node=PutAtCommit),
    title="what was read in a transaction is put at its end",
    mechanism=(
        "The cache takes part in transactions: what a transaction has read is put when it commits, so that a rollback leaves "
        "no trace. A transaction reads the old value and goes on working. Meanwhile another one changes the key, commits, and "
        "its invalidation finds nothing to drop. Then the first one commits, and the old value is put."
    ),
    observed=(
        "As with a late fill: a node answers with the old value until the next write. The longer transactions are, the more "
        "often."
    ),
    seen_in=("carlos#2141 (Spring's TransactionAwareCacheManagerProxy)",),
    fix="Put when the read returns and under a guard that an invalidation takes away; defer evictions to the commit, never puts.",
    schedule="""
        A writes x at node-1
        hold transaction.after-commit at node-2
        B reads x at node-2              # its transaction has read version 1 and goes on
        A writes x at node-1
        wait 30ms                        # the invalidation has arrived
        release transaction.after-commit at node-2
        wait 1ms
        C reads x at node-2
    """,
    fires=frozenset({"stale-read", "stuck"}),
    consequences=frozenset({"node-regress", "monotonic-reads", "read-your-writes", "slow-convergence", "lost-write"}),
)
