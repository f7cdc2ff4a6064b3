"""Samples of non-negative values, most of them often 0: sorted once in cells, pooled and asked for quantiles at little cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from checkers.statistics import QUANTILES
from harness.history import Column


@dataclass(frozen=True, slots=True)
class Sample:
    """``n`` values: the positive ones, ascending; all others are 0."""

    positive: Column
    n: int

    def quantile(self, share: float) -> int:
        """The smallest value that at least ``share`` of all do not exceed: one that was really seen."""
        rank = max(1, math.ceil(share * self.n - 1e-9)) - (self.n - len(self.positive))
        return int(self.positive[rank - 1]) if rank > 0 else 0

    def quantiles(self) -> Iterator[tuple[str, int]]:
        """The quantiles that every distribution is reported by, and the maximum, by name."""
        for name, share in QUANTILES.items():
            yield name, self.quantile(share)
        yield "max", self.quantile(1.0)


def samples(cell: Column, values: Column, cells: int) -> list[Sample]:
    """One sample for each cell number below ``cells``."""
    counts = np.bincount(cell, minlength=cells)
    positive = np.flatnonzero(values)
    if len(positive) == 0:
        return [Sample(values[:0], int(n)) for n in counts]
    span = int(values[positive].max()) + 1
    # One sort for all: cell first, value within.
    ordered = np.sort(cell[positive].astype(np.int64) * span + values[positive])
    edges = np.searchsorted(ordered, np.arange(cells + 1) * span)
    return [
        Sample(ordered[begin:end] - number * span, int(n))
        for number, (begin, end, n) in enumerate(zip(edges[:-1], edges[1:], counts, strict=True))
    ]


def pooled(parts: Sequence[Sample]) -> Sample:
    """All ``parts`` as one sample. Merging ordered runs is what a stable sort is quick at."""
    filled = [part.positive for part in parts if len(part.positive)]
    n = sum(part.n for part in parts)
    if len(filled) == 1:
        return Sample(filled[0], n)
    return Sample(np.sort(np.concatenate(filled), kind="stable") if filled else np.zeros(0, np.int64), n)
