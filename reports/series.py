"""A run in time bins: how many operations ended how, how long answers took, how old reads were. A million rows become hundreds.

Bins are by the time of the call. Within a bin a quantile is an order statistic (the next greater sample, never an interpolation);
NaN where the bin has no sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.history import Column, History, Status
from reports.ages import Ages

BINS = 480
_LEAST_IN_BIN = 60
_LEAST_BIN_NS = 10_000_000

LATENCY_QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
AGE_QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


@dataclass(frozen=True, slots=True)
class Series:
    """Columns of one length, one entry a bin.

    Attributes:
        edges_ns: the bins' edges, one more than there are bins.
        rate: operations per second by status name.
        response_ns: response time (from the time an operation was due) of ok operations, by quantile name.
        lo_ns, hi_ns: certain and possible age of reads, by quantile name.
        reads: how many reads with an age each bin has.
    """

    edges_ns: Column
    rate: dict[str, Column]
    response_ns: dict[str, Column]
    lo_ns: dict[str, Column]
    hi_ns: dict[str, Column]
    reads: Column

    @property
    def middle_ns(self) -> Column:
        """The middle of each bin."""
        middle: Column = (self.edges_ns[1:] + self.edges_ns[:-1]) / 2
        return middle


def series(history: History, ages: Ages) -> Series:
    """``history`` in bins of equal width over its whole length."""
    last_call = int(history.call_ns.max()) if len(history) else 0
    end_ns = max(history.end_ns, last_call, 1)
    bins = int(max(1, min(BINS, end_ns // _LEAST_BIN_NS, max(len(history) // _LEAST_IN_BIN, 60))))
    edges = np.linspace(0, end_ns, bins + 1)
    seconds = np.diff(edges) / 1e9
    at = np.clip(np.searchsorted(edges, history.call_ns, side="right") - 1, 0, bins - 1)
    ok = history.status == Status.OK
    return Series(
        edges_ns=edges,
        rate={status.name.lower(): np.bincount(at[history.status == status], minlength=bins) / seconds for status in Status},
        response_ns=_quantiles(at[ok], (history.return_ns - history.due_ns)[ok], bins, LATENCY_QUANTILES),
        lo_ns=_quantiles(at[ages.known], ages.lo, bins, AGE_QUANTILES),
        hi_ns=_quantiles(at[ages.known], ages.hi, bins, AGE_QUANTILES),
        reads=np.bincount(at[ages.known], minlength=bins),
    )


def _quantiles(at: Column, values: Column, bins: int, quantiles: dict[str, float]) -> dict[str, Column]:
    """The ``quantiles`` of the ``values`` in each bin; ``at`` never decreases, because rows are in call order."""
    found = {name: np.full(bins, np.nan) for name in quantiles}
    starts = np.searchsorted(at, np.arange(bins + 1))
    for number in range(bins):
        inside = values[starts[number] : starts[number + 1]]
        if len(inside):
            ordered = np.sort(inside)
            for name, share in quantiles.items():
                found[name][number] = ordered[quantile_rank(len(ordered), share)]
    return found


def quantile_rank(n: int, share: float) -> int:
    """The index, among ``n`` sorted samples, of the one that at least ``share`` of them do not exceed."""
    return max(0, int(np.ceil(share * n - 1e-9)) - 1)


def survival(values: Column, floor: float, points: int = 160) -> tuple[Column, Column]:
    """Points (x, share of ``values`` that is at least x) for x from ``floor`` to the greatest value, evenly spaced in powers."""
    ordered = np.sort(values)
    top = float(ordered[-1]) if len(ordered) else 0.0
    if top <= floor:
        return np.empty(0), np.empty(0)
    x = np.minimum(np.geomspace(floor, top, points), top)
    return x, (len(ordered) - np.searchsorted(ordered, x, side="left")) / len(ordered)
