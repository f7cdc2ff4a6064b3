"""How old every read was: the certain and the possible age of what it saw (DEFINITIONS "per-read time staleness").

    lo = max(0, call   - when a newer version was certainly in effect)     it was superseded at least this long ago
    hi = max(0, return - when a newer version was first called)            it was superseded at most this long ago
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers.phases import stalled
from checkers.versions import UNKNOWN, newest_meant, versions
from harness.history import Column, Function, History, Status
from harness.plan import Contract


@dataclass(frozen=True, slots=True)
class Ages:
    """Per row of a history: whether it is a read with an age that counts, and its age in ns (0 where ``known`` is False)."""

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
    """The ages of all reads; reads during a stall of the harness do not count."""
    table = history.derive(versions)
    place = newest_meant(history, contract)
    known = (history.function == Function.READ) & (history.status == Status.OK) & (place != UNKNOWN) & ~stalled(history)
    lo_ns = np.zeros(len(history), dtype=np.int64)
    hi_ns = np.zeros(len(history), dtype=np.int64)
    at = np.flatnonzero(known)
    lo_ns[at] = np.maximum(0, history.call_ns[at] - table.newer_sup_ns[place[at]])
    hi_ns[at] = np.maximum(0, history.return_ns[at] - table.newer_call_ns[place[at]])
    return Ages(known, lo_ns, hi_ns)
