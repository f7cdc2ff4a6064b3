"""The closed forms of costs, against what is counted on virtual fleets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.cost.case import Case, Load
from harness.cost.compare import differences
from harness.cost.forms import FORMS
from harness.cost.measured import measure
from harness.cost.study import SPARSE, Question, case_of, row_of
from harness.reference.settings import Settings
from harness.reference.zoo import designs
from harness.simulation.network import Pace

QUESTION = Question(keys=40, reads=80, writes=40)


@pytest.mark.parametrize("name", FORMS)
def test_theory_and_counting_agree(name):
    """On six nodes: what a write takes and brings about, what the source bears, what nodes keep and what a cut leaves."""
    case, contract = case_of(QUESTION, name, 6)
    row, counted = row_of(QUESTION, name, 6), measure(designs()[name], case, operations=20_000)
    assert counted.write_ns == pytest.approx(row.write_ns, rel=0.12)
    assert counted.messages == pytest.approx(row.messages, rel=0.15, abs=0.6)
    assert counted.origin == pytest.approx(row.origin, rel=0.12)
    assert counted.metadata == pytest.approx(row.metadata, rel=0.3, abs=1)
    assert counted.cut_reads == pytest.approx(row.cut_reads, abs=0.2)
    assert counted.others_wait_ns <= row.others_wait_ns
    assert counted.stalest_ns <= (contract.staleness.steady or 0)


def test_a_form_that_is_wrong_is_told():
    """The page says where counting differs from theory: here from a theory that has forgotten the fetches."""
    case, _ = case_of(QUESTION, "broadcast-alo", 6)
    row = row_of(QUESTION, "broadcast-alo", 6)
    counted = measure(designs()["broadcast-alo"], case, operations=4_000)
    wrong = type(row)(**{**_fields(row), "messages": 4.0 + 6, "measured": counted})
    assert [difference.quantity for difference in differences([wrong])] == ["messages"]


def test_the_sparse_question_is_the_same_at_a_smaller_size():
    """Few nodes under the load of the largest fleet: theory holds, and what a cut would tell is not told."""
    case, _ = case_of(SPARSE.question, "broadcast-alo", 300)
    row, counted = row_of(SPARSE.question, "broadcast-alo", 300), measure(designs()["broadcast-alo"], case, cut=False)
    assert counted.messages == pytest.approx(row.messages, rel=0.1)
    assert counted.cut_reads is None
    assert counted.others_wait_ns is None
    assert counted.idle == pytest.approx(300, rel=0.05)  # a heartbeat to each, once a second
    assert differences([replace(row, measured=counted)]) == ()


def _fields(row):
    return {name: getattr(row, name) for name in row.__slots__}


def test_every_strategy_that_is_compared_is_one_of_the_zoo():
    """And every strategy of the zoo is compared, but for those that are no strategy of a near cache over one source."""
    assert set(designs()) - FORMS.keys() <= {"broadcast-amo-replica", "pool", "read-atomic", "replicas", "replicated", "tags"}
    assert FORMS.keys() <= set(designs())


@pytest.mark.parametrize(("nodes", "least", "most"), [(1, 0.99, 1.01), (2, 1.1, 1.4), (10_000, 1.95, 2.0)])
def test_the_slowest_of_many_round_trips_comes_close_to_the_longest(nodes, least, most):
    """One takes the mean of two spreads; of ten thousand the slowest takes nearly both in full."""
    case = Case(nodes, Load(1, 1.0, 1.0), Settings(), Pace(0, 1_000_000))
    assert least <= case.slowest_round_trip_ns() / 1e6 <= most
