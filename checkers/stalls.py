"""A clock that stands still whenever the harness does: time that the harness lost is not counted against the candidate.

Source: DEFINITIONS, "Stalls".
"""

from __future__ import annotations

import numpy as np

from harness.history import NEVER, Column, History


def awake_ns(history: History, times_ns: Column) -> Column:
    """``times_ns`` less the time of stalls before them. Moments that are no times (``NEVER`` and beyond) stay as they are.

    A stall of one worker process stops the clock for all: the proxies that carry the candidate's traffic may run in any of them.
    """
    if not history.stalls:
        return times_ns
    begins, lengths = _merged([(stall.begin_ns, stall.end_ns) for stall in history.stalls])
    lost = np.concatenate([[0], np.cumsum(lengths)])
    at = np.searchsorted(begins, times_ns, side="right")
    into = np.where(at > 0, np.minimum(times_ns - begins[at - 1], lengths[at - 1]), 0)
    awake = times_ns - lost[np.maximum(at - 1, 0)] - into
    found: Column = np.where(np.abs(times_ns) < NEVER, awake, times_ns)
    return found


def _merged(windows: list[tuple[int, int]]) -> tuple[Column, Column]:
    """Begins and lengths of the union of ``windows``, in order."""
    union: list[list[int]] = []
    for begin, end in sorted(windows):
        if union and begin <= union[-1][1]:
            union[-1][1] = max(union[-1][1], end)
        else:
            union.append([begin, end])
    edges = np.array(union, np.int64)
    return edges[:, 0], edges[:, 1] - edges[:, 0]
