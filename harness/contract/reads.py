"""Which operations of a history can say anything about a promise: the sample behind every clause that counts reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.history import Column, Function, History, Seen, Status
from harness.plan import Contract

AGES_NS = (0, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
"""Where the decades of age begin: under 1 ms, to 10 ms, to 100 ms, to 1 s, and older."""

NO_WRITE = -1


@dataclass(frozen=True, slots=True)
class JudgedReads:
    """The reads that say something of their key's value, in the order of the history.

    Attributes:
        rows: history rows of the ok reads that found a value, or found that there is none where the contract lets that count.
        after: per read the history row of the latest write of its key that was acknowledged before the read's call; ``NO_WRITE``
            if there was none.
        age_ns: per read how long before its call that write was acknowledged; -1 if there was none.
        revealing: per read whether it could have seen a violation: it came after an acknowledged write that another session made,
            or that was made at another node. A session that reads its own write where it wrote it proves little.
    """

    rows: Column
    after: Column
    age_ns: Column
    revealing: Column

    def __len__(self) -> int:
        return len(self.rows)


def judged_reads(history: History, contract: Contract) -> JudgedReads:
    """The reads of ``history`` that a checker can judge under ``contract``."""
    says = (history.seen == Seen.HIT) | (history.seen == Seen.ABSENT)
    if contract.misses != "allowed":
        says |= history.seen == Seen.MISS
    rows = np.flatnonzero((history.function == Function.READ) & (history.status == Status.OK) & says)
    writes = np.flatnonzero((history.function != Function.READ) & (history.status == Status.OK))
    after = _latest(history, writes, rows)
    wrote = after != NO_WRITE
    age = np.where(wrote, history.call_ns[rows] - history.return_ns[after], -1) if len(writes) else np.full(len(rows), -1)
    elsewhere = (history.session[rows] != history.session[after]) | (history.node[rows] != history.node[after])
    return JudgedReads(rows, after, age, wrote & elsewhere)


def _latest(history: History, writes: Column, reads: Column) -> Column:
    """For each read the write of its key with the latest return before the read's call; ``NO_WRITE`` if there is none."""
    if len(writes) == 0 or len(reads) == 0:
        return np.full(len(reads), NO_WRITE)
    # One axis for both: key first, then the rank of the time. A return at the very call is no longer before it.
    ticks, rank = np.unique(np.concatenate([history.return_ns[writes], history.call_ns[reads]]), return_inverse=True)
    room = len(ticks)
    written = history.key[writes].astype(np.int64) * room + rank[: len(writes)]
    asked = history.key[reads].astype(np.int64) * room + rank[len(writes) :]
    order = np.argsort(written, kind="stable")
    at = np.searchsorted(written[order], asked, side="left") - 1
    found = writes[order[np.maximum(at, 0)]]
    return np.where((at >= 0) & (history.key[found] == history.key[reads]), found, NO_WRITE)
