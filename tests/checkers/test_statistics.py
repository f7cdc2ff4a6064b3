"""Intervals and fits, held against the tables of their definitions and against plain sums."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkers.statistics import (
    clopper_pearson,
    incomplete_beta,
    isotonic,
    quantile_upper_rank,
    share_lower,
    share_upper,
    wilson,
    zero_failure_n,
)


def at_most(events: int, n: int, share: float) -> float:
    """The chance of at most ``events`` of ``n``, term by term."""
    return math.fsum(math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(events + 1))


@pytest.mark.parametrize(
    ("confidence", "expected"),
    [(0.95, [299, 2_995, 29_956, 299_572, 2_995_731]), (0.99, [459, 4_603, 46_050, 460_515, 4_605_168])],
)
def test_zero_failures_needed(confidence: float, expected: list[int]) -> None:
    """The sample that shows a share without one event is that of the published table."""
    assert [zero_failure_n(10.0**-digits, confidence) for digits in range(2, 7)] == expected


@pytest.mark.parametrize(("events", "n"), [(1, 47_437), (2, 62_956), (5, 105_128), (10, 169_619)])
def test_the_upper_bound_crosses_one_in_ten_thousand_at_the_published_n(events: int, n: int) -> None:
    """One unit fewer than in the table does not show a share of 1e-4, the table's n does."""
    assert share_upper(events, n) <= 1e-4 < share_upper(events, n - 1)


@pytest.mark.parametrize(("events", "expected"), [(0, 3.0e-5), (3, 7.8e-5), (10, 1.7e-4)])
def test_upper_bounds_of_a_hundred_thousand(events: int, expected: float) -> None:
    """The upper bounds for 0, 3 and 10 of 1e5 are the published ones."""
    assert share_upper(events, 100_000) == pytest.approx(expected, rel=0.01)


@given(st.integers(1, 60), st.data())
def test_clopper_pearson_is_the_interval_of_its_definition(n: int, data: st.DataObject) -> None:
    """At either end of the interval the observed count or a more extreme one has just the chance that was left over."""
    events = data.draw(st.integers(0, n))
    low, high = clopper_pearson(events, n, 0.9)
    assert 0.0 <= low <= events / n <= high <= 1.0
    assert events == n or at_most(events, n, high) == pytest.approx(0.05, abs=1e-9)
    assert events == 0 or at_most(n - events, n, 1 - low) == pytest.approx(0.05, abs=1e-9)


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.01, 0.99))
def test_incomplete_beta_is_a_binomial_tail(a: int, b: int, x: float) -> None:
    """For whole numbers I_x(a, b) is the chance of at least a successes in a + b - 1 trials."""
    assert incomplete_beta(x, a, b) == pytest.approx(1 - at_most(a - 1, a + b - 1, x), abs=1e-10)


def test_no_observation_says_nothing() -> None:
    """With n = 0 every interval is the whole range."""
    assert clopper_pearson(0, 0) == wilson(0, 0) == (0.0, 1.0)
    assert (share_lower(0, 0), share_upper(0, 0)) == (0.0, 1.0)


@given(st.integers(1, 10_000), st.data())
def test_wilson_lies_around_the_share_and_near_the_exact_interval(n: int, data: st.DataObject) -> None:
    """Wilson's interval holds the observed share and differs from the exact one by no more than small samples explain."""
    events = data.draw(st.integers(0, n))
    low, high = wilson(events, n)
    exact_low, exact_high = clopper_pearson(events, n)
    assert 0.0 <= low <= events / n <= high <= 1.0
    assert max(abs(low - exact_low), abs(high - exact_high)) <= 2.0 / (n + 2) ** 0.5


@pytest.mark.parametrize(
    ("n", "share", "rank"), [(298, 0.99, None), (299, 0.99, 299), (2_995, 0.999, 2_995), (10_000, 0.99, 9_917)]
)
def test_order_statistics_that_bound_a_quantile(n: int, share: float, rank: int | None) -> None:
    """The maximum bounds p99 from 299 observations on; of 10,000 it is the 9,917th."""
    assert quantile_upper_rank(n, share) == rank


@given(st.integers(1, 120), st.floats(0.05, 0.95), st.floats(0.6, 0.99))
def test_the_quantile_bound_is_the_smallest_that_suffices(n: int, share: float, confidence: float) -> None:
    """The chosen order statistic is at or above the quantile with enough confidence, the next lower one is not."""
    rank = quantile_upper_rank(n, share, confidence)
    enough = [r for r in range(1, n + 1) if at_most(r - 1, n, share) >= confidence]
    assert rank == (enough[0] if enough else None)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 5)), min_size=1, max_size=20))
def test_isotonic_fit(points: list[tuple[int, int]]) -> None:
    """The fit never falls, and equals the max-min formula of weighted means."""
    values, weights = zip(*points, strict=True)

    def mean(i: int, j: int) -> float:
        return sum(v * w for v, w in points[i : j + 1]) / sum(weights[i : j + 1])

    n = len(points)
    expected = [max(min(mean(i, j) for j in range(at, n)) for i in range(at + 1)) for at in range(n)]
    assert isotonic(values, weights) == pytest.approx(expected)
