"""How old every read was, row by row of the history: the table of ``checkers.reads``, spread out for drawing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers import staleness
from checkers.reads import reads
from checkers.versions import versions
from harness.history import Column, History
from harness.plan import Contract


@dataclass(frozen=True, slots=True)
class Ages:
    """Per row of a history: whether it is a read with an age, and that age in ns.

    What a read saw had been superseded for at least ``lo_ns`` when it was called, and for at most ``hi_ns`` when it returned;
    time in which the harness itself stood still is taken off, as ``checkers.staleness`` does. ``since_ns`` is when it was
    certainly superseded; it means something only where ``lo_ns`` is positive.
    """

    known: Column
    lo_ns: Column
    hi_ns: Column
    since_ns: Column

    @property
    def lo(self) -> Column:
        """The certain ages of the reads that have one."""
        return self.lo_ns[self.known]

    @property
    def hi(self) -> Column:
        """The possible ages of the reads that have one."""
        return self.hi_ns[self.known]


def ages(history: History, contract: Contract) -> Ages:
    """The ages of all reads."""
    found = reads(history, contract)
    lo, hi = staleness.ages(history, found)
    known = np.zeros(len(history), dtype=bool)
    known[found.row] = True
    since = history.derive(versions).newer_sup_ns[found.place]
    return Ages(known, *(_spread(history, found.row, column) for column in (lo, hi, since)))


def _spread(history: History, row: Column, values: Column) -> Column:
    """The values at the given rows, 0 at all others."""
    spread = np.zeros(len(history), dtype=np.int64)
    spread[row] = values
    return spread
