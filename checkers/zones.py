"""Zones of values: what the times of a register's operations force upon the order of its values.

All operations on one value of a key form its *cluster*: the write and the reads that returned the value. Let f be the first
return and s the last call in a cluster. Where f(u) < s(v), every legal order has value u before value v. So a register whose
values are unique is linearizable if and only if

  (a) no read returns before its value's write is called, and
  (b) no two clusters u and v of one key have both f(u) < s(v) and f(v) < s(u).

Sorted by s + f, cluster x is in conflict with an earlier one exactly if f(x) < the greatest s before it: if u must precede v and
not the other way round, then s(u) + f(u) < s(v) + f(v). One sort of the clusters and one running maximum decide all keys at once,
and name for each conflict the partner that reaches furthest into it.

Two distances say how far away a history is:

* **Γ**, the least stretch (half of it at both ends of every operation) that makes the history linearizable. It leaves s + f
  alone, so it is the largest s(u) - f(x) of the same pass, or the largest head start of a read before its write.
* **Δ**, the least time by which all reads have to be called earlier. A pair in conflict is resolved at a shift of
  min(rc(v) - f(u) if f(u) >= wc(v), rc(u) - f(v) if f(v) >= wc(u)), with rc the last call of a read and wc the call of the write.
  Conflicts only vanish as the shift grows; so we shift to the largest resolution among the conflicts that one pass names and look
  again, until there are none. Every shift is one that some pair needs, the last one is enough: it is exact.

Cost: O(n + c log c) for n operations and c clusters; Δ repeats the pass, over the keys that are still in conflict.

Sources: Gibbons and Korach, Testing Shared Memories, SIAM J. Comput. 26 (1997); Golab, Li, Shah, Analyzing Consistency Properties
for Fun and Profit, PODC 2011 (Δ); Golab et al., Client-Centric Benchmarking of Eventual Consistency, ICDCS 2014 (Γ).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers.scans import NONE, greatest_before
from harness.history import NEVER, Column

_ROUNDS = 64
_AXIS_ROOM = 2**62


@dataclass(frozen=True, slots=True)
class Clusters:
    """The clusters of a history whose values are unique per key, in columns.

    Attributes:
        key: index of the key.
        write_call_ns, write_return_ns: of the write; ``NEVER`` as the return of an indeterminate one. The initial value is
            written before everything.
        read_call_ns: the last call of a read; ``-NEVER`` if there is none.
        read_return_ns: the first return of a read; ``NEVER`` if there is none.
    """

    key: Column
    write_call_ns: Column
    write_return_ns: Column
    read_call_ns: Column
    read_return_ns: Column

    def __len__(self) -> int:
        return len(self.key)

    @property
    def first_return_ns(self) -> Column:
        """f: from then on the value had certainly been written."""
        found: Column = np.minimum(self.write_return_ns, self.read_return_ns)
        return found

    @property
    def last_call_ns(self) -> Column:
        """s: until then the value had certainly not been overwritten for good."""
        return self.last_call_shifted(0)

    def last_call_shifted(self, shift_ns: int) -> Column:
        """s, if all reads had been called ``shift_ns`` earlier."""
        found: Column = np.maximum(self.write_call_ns, self.read_call_ns - shift_ns)
        return found

    def take(self, rows: Column) -> Clusters:
        """The clusters in ``rows``."""
        return Clusters(
            self.key[rows],
            self.write_call_ns[rows],
            self.write_return_ns[rows],
            self.read_call_ns[rows],
            self.read_return_ns[rows],
        )


@dataclass(frozen=True, slots=True)
class Conflicts:
    """Pairs of clusters that must each precede the other: one pair for each cluster that contradicts an earlier one in s + f.

    Attributes:
        left, right: rows in the ``Clusters``.
        gap_ns: s(left) - f(right), by how much the two zones would have to be stretched.
    """

    left: Column
    right: Column
    gap_ns: Column

    def __len__(self) -> int:
        return len(self.left)


def conflicts(clusters: Clusters, shift_ns: int = 0) -> Conflicts:
    """Rule (b), with all reads called ``shift_ns`` earlier. Empty if and only if the rule holds."""
    first, last = clusters.first_return_ns, clusters.last_call_shifted(shift_ns)
    rows = np.flatnonzero(first < NEVER)  # an indeterminate write that nobody read conflicts with nothing
    if len(rows) == 0:
        return Conflicts(rows, rows, rows)
    key, first, last = clusters.key[rows].astype(np.int64), first[rows], last[rows]
    order = np.argsort(_axis(key, last + first), kind="stable")
    rows, key, first, last = rows[order], key[order], first[order], last[order]
    before = greatest_before(last, key)
    found = np.flatnonzero((before != NONE) & (first < last[before]))
    return Conflicts(rows[before[found]], rows[found], last[before[found]] - first[found])


def early_reads(clusters: Clusters) -> Column:
    """The clusters that break rule (a): a read returned before its value's write was called."""
    found: Column = np.flatnonzero(clusters.read_return_ns < clusters.write_call_ns)
    return found


def gamma_ns(clusters: Clusters) -> int:
    """Γ in ns; 0 if and only if the history is linearizable."""
    early = early_reads(clusters)
    head_start = clusters.write_call_ns[early] - clusters.read_return_ns[early]
    gaps = conflicts(clusters).gap_ns
    return max(int(head_start.max(initial=0)), int(gaps.max(initial=0)))


def delta_ns(clusters: Clusters) -> int | None:
    """Δ in ns; 0 if and only if the history is linearizable; None if no shift is enough: a read ended before its write began."""
    if len(early_reads(clusters)):
        return None
    shift = 0
    for _ in range(_ROUNDS):
        found = conflicts(clusters, shift)
        if len(found) == 0:
            return shift
        shift = int(_resolution(clusters, found).max())
        clusters = clusters.take(np.isin(clusters.key, clusters.key[found.right]))
    return _bisect(clusters, shift)


def _resolution(clusters: Clusters, found: Conflicts) -> Column:
    """The least shift that resolves each conflict."""
    first = clusters.first_return_ns
    sides = []
    for before, after in ((found.left, found.right), (found.right, found.left)):
        # ``before`` need not precede ``after`` once no call of ``after`` comes later than the first return of ``before``.
        possible = first[before] >= clusters.write_call_ns[after]
        sides.append(np.where(possible, clusters.read_call_ns[after] - first[before], NEVER))
    least: Column = np.minimum(*sides)
    return least


def _bisect(clusters: Clusters, low: int) -> int:
    """The least shift of at least ``low`` without a conflict: the end of a climb that takes many small steps."""
    seen = clusters.read_call_ns[clusters.read_call_ns > -NEVER]
    high = int(seen.max()) - int(clusters.first_return_ns.min())
    low -= 1
    while high - low > 1:
        middle = (low + high) // 2
        if len(conflicts(clusters, middle)):
            low = middle
        else:
            high = middle
    return high


def _axis(key: Column, times: Column) -> Column:
    """One integer a row that sorts by key first and by time within it."""
    start, end = int(times.min()), int(times.max())
    if (int(key.max()) + 1) * (end - start + 1) < _AXIS_ROOM:
        found: Column = key * (end - start + 1) + (times - start)
        return found
    ticks, rank = np.unique(times, return_inverse=True)
    ranked: Column = key * len(ticks) + rank
    return ranked
