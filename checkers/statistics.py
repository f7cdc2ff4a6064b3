"""Intervals, sample sizes and monotone fits: what may be said of a share or a quantile after n observations.

Shares get the exact interval of Clopper and Pearson where a promise is judged by it, and Wilson's where many are shown;
quantiles get bounds from order statistics. Nothing here assumes a distribution. The unit that is counted must be independent of
the next one: a write at a node, or a fault episode, not a read (a thousand reads of one stale entry are one event).

Sources: DEFINITIONS, "Statistics"; Clopper and Pearson, Biometrika 26 (1934); Wilson, JASA 22 (1927); Barlow et al., Statistical
Inference under Order Restrictions (1972). The continued fraction of the incomplete beta function is Abramowitz and Stegun 26.5.8.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
"""The quantiles that every distribution is reported by, beside its maximum."""

_PRECISION = 1e-15
_TINY = 1e-300


def incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b) for a, b > 0: the distribution function of Beta(a, b) at ``x``."""
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    if x > (a + 1.0) / (a + b + 2.0):  # the fraction converges fast only below the mean
        return 1.0 - incomplete_beta(1.0 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    return front * _beta_fraction(x, a, b)


def _beta_fraction(x: float, a: float, b: float) -> float:
    """The continued fraction 1/(1+ d1/(1+ d2/(1+ ...))) by the modified Lentz algorithm."""
    c, d = 1.0, 1.0 / _nonzero(1.0 - (a + b) * x / (a + 1.0))
    value = d
    limit = 200 + int(5 * math.sqrt(max(a, b)))  # needs O(sqrt(max(a, b))) terms
    for m in range(1, limit):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1.0 / _nonzero(1.0 + step * d)
            c = _nonzero(1.0 + step / c)
            value *= c * d
        if abs(c * d - 1.0) < _PRECISION:
            break
    return value


def _nonzero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def beta_quantile(p: float, a: float, b: float) -> float:
    """The ``x`` with I_x(a, b) = p: bisection first, then as many halvings as a double has digits for."""
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2.0
        if not low < middle < high or high - low < 1e-13 * high:
            break
        if incomplete_beta(middle, a, b) < p:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def clopper_pearson(events: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact two-sided interval of a share of which ``events`` of ``n`` were seen; (0, 1) for n = 0."""
    alpha = (1.0 - confidence) / 2.0
    return share_lower(events, n, 1.0 - alpha), share_upper(events, n, 1.0 - alpha)


def share_upper(events: int, n: int, confidence: float = 0.95) -> float:
    """The exact one-sided upper bound of a share: 3.0e-5 for 0 events of 1e5 at 95 %."""
    if events >= n:
        return 1.0
    if events == 0:
        return -math.expm1(math.log1p(-confidence) / n)
    return beta_quantile(confidence, events + 1.0, n - events)


def share_lower(events: int, n: int, confidence: float = 0.95) -> float:
    """The exact one-sided lower bound of a share."""
    return 1.0 - share_upper(n - events, n, confidence) if events else 0.0


def wilson(events: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's two-sided interval of a share: nearly exact, and cheap enough for a table of hundreds; (0, 1) for n = 0."""
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    share = events / n
    centre = share + z * z / (2.0 * n)
    spread = z * math.sqrt(share * (1.0 - share) / n + z * z / (4.0 * n * n))
    scale = 1.0 + z * z / n
    low = 0.0 if events == 0 else (centre - spread) / scale
    high = 1.0 if events == n else (centre + spread) / scale
    return low, high


def zero_failure_n(share: float, confidence: float = 0.95) -> int:
    """How many units without an event show that the share of events is at most ``share``."""
    return math.ceil(math.log1p(-confidence) / math.log1p(-share))


def quantile_upper_rank(n: int, quantile: float, confidence: float = 0.95) -> int | None:
    """The rank (from 1) of the smallest order statistic that bounds ``quantile`` from above; None if n is too small for any."""
    if quantile**n > 1.0 - confidence:
        return None
    low, high = 1, n
    while low < high:
        middle = (low + high) // 2
        # P(at most middle - 1 of n lie below the quantile) = P(the order statistic is at or above it)
        if incomplete_beta(1.0 - quantile, n - middle + 1.0, middle) >= confidence:
            high = middle
        else:
            low = middle + 1
    return low


def isotonic(values: Sequence[float], weights: Sequence[float]) -> tuple[float, ...]:
    """The non-decreasing sequence nearest to ``values`` in weighted squares: adjacent violators are pooled."""
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        mean, total, length = float(value), float(weight), 1
        while blocks and blocks[-1][0] >= mean:
            before, before_weight, before_length = blocks.pop()
            both = before_weight + total
            mean = (before * before_weight + mean * total) / both if both else before
            total, length = both, length + before_length
        blocks.append((mean, total, length))
    return tuple(mean for mean, _, length in blocks for _ in range(length))
