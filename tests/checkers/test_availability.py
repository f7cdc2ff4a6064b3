"""Availability: rates, times and throughput by phase, node and function, against counting them one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkers.availability import check
from checkers.samples import pooled, samples
from harness.history import History, Status
from harness.plan import Contract, StalenessPromise
from harness.results import Measure
from tests.checkers.histories import MS, episode, history, stall
from tests.checkers.strategies import histories


def measure(h: History, name: str, phase: str = "steady", scope: str = "", contract: Contract | None = None) -> Measure:
    """The one measure of that name, phase and scope."""
    found = check(h, contract or Contract()).measures
    (one,) = [m for m in found if (m.name, m.phase, m.scope) == (name, phase, scope)]
    return one


def test_failures_and_silence_count_against_the_success_rate() -> None:
    """Of four operations one failed and one was never answered: half succeeded, and the note says which is which."""
    h = history("w x1 0-4 fail; r x0 s1 0-4; r x0 s2 5-; r x0 s3 6-7", end=100)
    rate = measure(h, "success-rate")
    assert (rate.value, rate.n, rate.note) == (0.5, 4, "1 failed, 1 were never answered")
    assert rate.low is not None
    assert 0.1 < rate.low < 0.5 < (rate.high or 0) < 0.9
    assert measure(h, "success-rate", scope="read").value == pytest.approx(2 / 3)
    assert measure(h, "throughput").value == pytest.approx(20)


def test_response_time_counts_from_when_the_schedule_wanted_the_call() -> None:
    """An operation that was due 30 ms before its call responds 30 ms later than it was served; the lag is reported apart."""
    h = history("r x0 s1 due=10 40-42; r x0 s2 50-51")
    assert measure(h, "service-time-max").value == 2 * MS
    assert measure(h, "response-time-max").value == 32 * MS
    assert measure(h, "schedule-lag-max", phase="").value == 30 * MS


def test_a_node_that_fails_during_a_fault_is_told_apart() -> None:
    """Phases and nodes have their own rates: what fails at one node during a fault spoils no other number."""
    h = history(
        "r x0 @a s1 0-1; r x0 @b s1 2-3; r x0 @a s1 12-13; r x0 @b s1 14-15 fail; r x0 @b s1 22-23; r x0 @b s1 50-51",
        episodes=[episode("kill", 10, 20, "b")],
    )
    contract = Contract(staleness=StalenessPromise(after_heal="5ms"))
    during = measure(h, "success-rate", "during kill", contract=contract)
    assert (during.value, during.n) == (0.5, 2)
    assert measure(h, "success-rate", "during kill", "b", contract).value == 0
    assert measure(h, "success-rate", "after kill", "b", contract).value == 1
    assert measure(h, "success-rate", "steady", contract=contract).n == 3
    assert measure(h, "throughput", "during kill", contract=contract).value == pytest.approx(100, rel=0.01)
    error = measure(h, "errors", "during kill", "error", contract)
    assert (error.value, error.n) == (1, 2)


def test_stalls_of_the_harness_are_left_out_and_counted() -> None:
    """A slow operation that overlaps a stall spoils no percentile."""
    h = history("r x0 s1 0-1; r x0 s1 10-90; r x0 s1 95-96", stalls=[stall(20, 80)])
    assert measure(h, "service-time-max").value == 1 * MS
    assert measure(h, "stalled-operations", "").value == 1
    assert measure(h, "throughput").value == pytest.approx(2 / 0.036)


def test_an_empty_history_claims_nothing() -> None:
    """Without operations there is no rate and no time."""
    names = {m.name for m in check(history(keys=("x",), nodes=("n0",)), Contract()).measures}
    assert names == {"stalled-operations"}


@settings(max_examples=150, deadline=None)
@given(histories())
def test_rates_and_times_agree_with_counting(h: History) -> None:
    """Success rates and percentiles at every node are those of the plain lists."""
    found = {(m.name, m.scope): m.value for m in check(h, Contract()).measures if m.phase == "steady"}
    for number, node in enumerate(h.nodes):
        here = [row for row in range(len(h)) if h.node[row] == number]
        ok = sorted(int(h.return_ns[row] - h.call_ns[row]) for row in here if h.status[row] == Status.OK)
        if here:
            assert found["success-rate", node] == len(ok) / len(here)
        for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)):
            expected = ok[max(0, math.ceil(share * len(ok)) - 1)] if ok else None
            assert found.get((f"service-time-{name}", node)) == expected


@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=30), st.floats(0.01, 1.0))
def test_samples_by_cell_pool_to_the_whole(points: list[tuple[int, int]], share: float) -> None:
    """Each cell's quantile is that of its values, and the pool's that of all of them."""
    cells = samples(np.array([c for c, _ in points], np.int64), np.array([v for _, v in points], np.int64), 4)
    values = [[v for c, v in points if c == cell] for cell in range(4)]
    for sample, own in [*zip(cells, values, strict=True), (pooled(cells), [v for _, v in points])]:
        assert sample.n == len(own)
        if own:
            assert sample.quantile(share) == min(v for v in own if sum(u <= v for u in own) >= share * len(own) - 1e-6)
