"""How old every read was, row by row of the history: the table of ``checkers.reads``, spread out for drawing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers.phases import stalled
from checkers.reads import reads
from harness.history import Column, History
from harness.plan import Contract


@dataclass(frozen=True, slots=True)
class Ages:
    """Per row of a history: whether it is a read with an age that counts, and that age in ns.

    What a read saw had been superseded for at least ``lo_ns`` when it was called, and for at most ``hi_ns`` when it returned.
    """

    known: Column
    lo_ns: Column
    hi_ns: Column

    @property
    def lo(self) -> Column:
        """The certain ages of the reads that have one."""
        return self.lo_ns[self.known]

    @property
    def hi(self) -> Column:
        """The possible ages of the reads that have one."""
        return self.hi_ns[self.known]


def ages(history: History, contract: Contract) -> Ages:
    """The ages of all reads; those during a stall of the harness do not count."""
    table = reads(history, contract)
    known = np.zeros(len(history), dtype=bool)
    lo_ns = np.zeros(len(history), dtype=np.int64)
    hi_ns = np.zeros(len(history), dtype=np.int64)
    known[table.row] = True
    lo_ns[table.row] = table.lo_ns
    hi_ns[table.row] = table.hi_ns
    return Ages(known & ~stalled(history), lo_ns, hi_ns)
