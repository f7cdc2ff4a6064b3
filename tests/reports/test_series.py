"""A run in time bins, against the same things counted one by one."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkers.staleness import check
from harness.history import Status
from reports.ages import ages
from reports.curve_charts import staleness_curves
from reports.series import BINS, quantile_rank, series, survival
from tests.reports.synthetic import history, plan


@given(st.integers(1, 500), st.sampled_from([0.5, 0.9, 0.99, 0.999, 1.0]))
def test_a_quantile_is_the_least_sample_that_enough_samples_do_not_exceed(n: int, share: float) -> None:
    """The rank is the smallest whose sample at least the share of all samples lies at or below."""
    rank = quantile_rank(n, share)
    assert (rank + 1) / n >= share - 1e-9
    assert rank == 0 or rank / n < share


def test_every_operation_is_in_exactly_one_bin() -> None:
    """Rates times the bins' widths give the operations back, status by status."""
    run = history()
    binned = series(run, ages(run, plan().contract))
    seconds = np.diff(binned.edges_ns) / 1e9
    counted = {name: round(float((rate * seconds).sum())) for name, rate in binned.rate.items()}
    assert counted == {name: int((run.status == code).sum()) for code, name in enumerate(("ok", "fail", "info"))}
    assert len(binned.edges_ns) <= BINS + 1


def test_quantiles_of_a_bin_are_those_of_its_operations() -> None:
    """The response time of one bin is the order statistic of the ok operations called within it."""
    run = history(5_000)
    binned = series(run, ages(run, plan().contract))
    for number in (0, 17, len(binned.edges_ns) - 2):
        inside = (
            (run.call_ns >= binned.edges_ns[number]) & (run.call_ns < binned.edges_ns[number + 1]) & (run.status == Status.OK)
        )
        times = sorted((run.return_ns - run.due_ns)[inside].tolist())
        assert binned.response_ns["p50"][number] == times[int(np.ceil(len(times) / 2)) - 1]


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=60))
def test_survival_is_the_share_of_values_at_least_that_great(values: list[int]) -> None:
    """Every point of the curve counts the values at or above it."""
    x, share = survival(np.array(values), 1e3)
    for at, part in zip(x, share, strict=True):
        assert part == pytest.approx(sum(value >= at for value in values) / len(values))


def test_an_empty_run_has_bins_without_values() -> None:
    """A history without operations is drawn, not refused."""
    run = history(10).select(np.zeros(10, bool))
    binned = series(run, ages(run, plan().contract))
    assert not binned.reads.any()
    assert np.isnan(binned.response_ns["p99"]).all()


def test_the_distribution_counts_the_same_broken_bounds_as_the_checker() -> None:
    """Over all phases, the reads said to have broken their bound are the stale reads that the checker found."""
    run = history()
    contract = plan().contract
    strict = contract.model_copy(update={"staleness": contract.staleness.model_copy(update={"steady": 1_000_000})})
    known = ages(run, strict)
    charts = staleness_curves(run, strict, known)
    found = sum(finding.count for finding in check(run, strict).findings if finding.name == "stale-read")
    said = [re.search(r"(\S+) broke the bound", chart.reading) for chart in charts]
    counted = sum(int(match[1].replace(",", "").replace("None", "0")) for match in said if match)
    assert counted == found > 20


def test_the_distribution_shows_the_bound_that_the_contract_sets() -> None:
    """A bound that depends on the fault's length is drawn at its least; where the contract sets none, the chart says so."""
    run, contract = history(), plan().contract
    charts = {chart.name: chart for chart in staleness_curves(run, contract, ages(run, contract))}
    assert [key.label for key in charts["ccdf-steady"].keys if key.style == "promise"] == ["promised: 100ms"]
    (promised,) = [key.label for key in charts["ccdf-during-partition"].keys if key.style == "promise"]
    assert promised == "promised: fault + 500ms, here at least 3.5s"
    silent = contract.model_copy(update={"staleness": contract.staleness.model_copy(update={"during": {}})})
    charts = {chart.name: chart for chart in staleness_curves(run, silent, ages(run, silent))}
    assert "The contract sets no bound for this phase." in charts["ccdf-during-partition"].reading
