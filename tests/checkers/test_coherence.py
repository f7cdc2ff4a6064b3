"""Pairs of writes and nodes: support of bounds, rates, Polaris and lag, against their definitions read pair by pair."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings

from checkers.coherence import bound_support, incidents, lag_curves, polaris_measures, relapse_measures, support_measures
from checkers.pairs import Pairs, pairs
from checkers.stalls import awake_ns
from checkers.versions import versions
from harness.history import NEVER, History
from harness.plan import Adequacy, Contract, StalenessPromise
from tests.checkers.histories import MS, episode, history, stall
from tests.checkers.strategies import CONTRACTS, Reading, histories


def promise(steady: str, **more: object) -> Contract:
    """A contract with a bound on staleness."""
    return Contract(staleness=StalenessPromise(steady=steady, **more))


def late(h: History, contract: Contract) -> dict[str, list[int]]:
    """How late each pair was seen fresh, by phase."""
    return {s.phase: s.late_ns.tolist() for s in bound_support(h, contract, pairs(h, contract))}


@settings(max_examples=300, deadline=None)
@given(histories(), CONTRACTS)
def test_pairs_agree_with_the_definition(h: History, contract: Contract) -> None:
    """What each node had of each acknowledged write and when, read one pair at a time."""
    reading, found = Reading(h, contract), pairs(h, contract)
    judged = [(r, reading.newest(r)) for r in reading.reads if reading.newest(r) is not None]
    acked = sorted({(w.key, w.sent) for w in reading.writes if w.acked})
    expected = {}
    for (key, version), node in product(acked, sorted({r.node for r, _ in judged})):
        here = [(r, v) for r, v in judged if (r.key, r.node) == (key, node) and v is not None]
        expected[key, version, node] = (
            reading.ack(key, version),
            min((r.ret for r, _ in here if (reading.meant(r) or 0) >= version), default=NEVER),
            max((r.call for r, v in here if v < version), default=-NEVER),
            max((r.call for r, _ in here), default=-NEVER),
        )
    table = h.derive(versions)
    columns = (table.key[found.place], table.version[found.place], found.node)
    times = (found.sup_ns, found.fresh_ns, found.stale_ns, found.read_ns)
    rows = zip(*(c.tolist() for c in (*columns, *times)), strict=True)
    assert {(k, v, n): (sup, fresh, stale, read) for k, v, n, sup, fresh, stale, read in rows} == expected


def test_where_clients_are_routed_a_write_makes_one_pair() -> None:
    """A key is read where the ring leads: at b, then at a, which missed the second write. No other node is waited for."""
    h = history(
        "w x1 @a 0-1; r x1 @a s1 2-3; w x2 @b 4-5; r x2 @b s1 6-7; r x1 @a s1 20-21; w y1 @c s2 0-1; r y1 @c s1 8-9",
        nodes=["a", "b", "c", "d"],
    )
    apart = pairs(h, promise("10ms"))
    assert len(apart) == 3 * 3
    h = replace(h, routed=True)
    found = pairs(h, promise("10ms"))
    assert found.sup_ns.tolist() == [1 * MS, 5 * MS, 1 * MS]
    assert found.fresh_ns.tolist() == [3 * MS, 7 * MS, 9 * MS]
    assert found.stale_ns.tolist() == [-NEVER, 20 * MS, -NEVER]
    assert late(h, promise("10ms")) == {"steady": [0, 0, 0]}
    assert [(m.scope, m.value, m.n) for m in relapse_measures(h, found)] == [("", 1, 3)]
    assert {curve.scope for curve in lag_curves(h, found)} == {""}


def test_a_bound_is_supported_by_fresh_reads_in_time() -> None:
    """Node a is fresh 2 ms after the bound, node b within it, node c never: two of three pairs hold at 2 ms, one at once."""
    h = history("w x1 @p 0-5; r x1 @a s1 16-17; r x1 @b s2 7-8; r x0 @c s3 16-17")
    contract = promise("10ms")
    assert late(h, contract) == {"steady": [0, 2 * MS, NEVER]}
    (support,) = bound_support(h, contract, pairs(h, contract))
    assert (support.held(0), support.held(2 * MS), support.unseen) == (1, 2, 1)
    assert support.resolution_ns(0.6) == 2 * MS
    assert support.resolution_ns(0.95) is None
    needed = Adequacy(coverage=0.6, resolution="1ms")
    resolution, coverage = support_measures([support], needed)
    assert (resolution.name, resolution.value, resolution.n, resolution.censored) == ("bound-resolution", 2 * MS, 3, 1)
    assert (coverage.name, coverage.value, coverage.phase) == ("bound-coverage", pytest.approx(1 / 3), "steady")


def test_stale_at_one_second_and_fresh_at_three_says_nothing_of_two() -> None:
    """A pair seen stale before its bound and fresh after it neither breaks nor meets it: it holds at a coarse resolution only."""
    h = history("w x1 @p 0-5; r x0 @a s1 1000-1001; r x1 @a s1 3000-3005")
    assert late(h, promise("2s")) == {"steady": [1000 * MS]}


def test_a_superseded_version_counts_as_fresh_with_the_newer_one() -> None:
    """A version that no read found is at the node when a newer one is."""
    h = history("w x1 @p 0-5; w x2 @p 6-8; r x2 @a s1 9-10")
    assert late(h, promise("10ms")) == {"steady": [0, 0]}


def test_pairs_beside_a_fault_are_held_to_its_bound() -> None:
    """A write acknowledged during, just before or in the grace period after a partition belongs to it; others are steady."""
    writes = "w x1 @p 0-1; w x2 @p 96-97; w x3 @p 120-121; w x4 @p 145-146; w x5 @p 300-301; r x5 @a s1 310-311"
    h = history(writes, episodes=[episode("partition", 100, 140, "a")])
    found = late(h, promise("10ms", during={"partition": "fault + 20ms"}, after_heal="30ms"))
    assert {phase: len(pairs) for phase, pairs in found.items()} == {"steady": 2, "during partition": 3}
    assert found["during partition"] == [(311 - at - 60) * MS for at in (146, 121, 97)]
    # A fault that the contract does not name promises nothing.
    assert {phase: len(pairs) for phase, pairs in late(h, promise("10ms", after_heal="30ms")).items()} == {"steady": 2}


def test_time_in_which_the_harness_stood_still_does_not_make_a_pair_late() -> None:
    """A stall between acknowledgement and fresh read is taken off."""
    h = history("w x1 @p 0-5; r x1 @a s1 40-41", stalls=[stall(10, 34), stall(30, 36)])
    assert late(h, promise("10ms")) == {"steady": [0]}


def test_polaris_counts_observed_pairs_and_single_incidents() -> None:
    """Two writes that one node lacked for the same second are one incident of two pairs; pairs not looked at are left out."""
    h = history(
        "w x1 @p 0-5; w x2 @p 10-15; r x0 @a s1 500-501; r x2 @a s1 900-901",
        "r x2 @b s2 16-17; r x2 @b s2 600-601; r x2 @c s3 17-18",
    )
    found = pairs(h, Contract())
    two_hundred = next(m for m in polaris_measures(found) if m.scope == "200ms")
    assert (two_hundred.value, two_hundred.n, two_hundred.censored) == (0.5, 4, 2)
    assert "2 pairs in 1 incidents" in two_hundred.note


def test_a_fresh_read_ends_an_incident() -> None:
    """A node that caught up before the next write was acknowledged, and fell behind again, had two incidents."""
    h = history("w x1 @p 0-5; r x0 @a s1 6-7; r x1 @a s1 8-9; w x2 @p 10-15; r x1 @a s1 16-17")
    found = pairs(h, Contract())
    assert incidents(found.take(found.stale_ns > found.sup_ns)) == 2
    assert incidents(found.take(np.zeros(len(found), bool))) == 0


def test_lag_lies_between_its_two_curves() -> None:
    """Node a lacked the write for 15 to 30 ms, node b relapsed: its lag is bounded from above only, and it is counted."""
    h = history("w x1 @p 0-5; r x0 @a s1 20-21; r x1 @a s1 29-30; r x1 @b s2 6-7; r x0 @b s2 50-51")
    found = pairs(h, Contract())
    curves = {(c.name, c.scope): c for c in lag_curves(h, found)}
    assert curves["coherence-lag-certain", "a"].x[-1] == 15 * MS
    assert curves["coherence-lag-possible", "a"].x[-1] == 30 * MS
    assert curves["coherence-lag-certain", "b"].x == (0,)
    assert curves["coherence-lag-possible", "b"].x[-1] == 7 * MS
    assert {m.scope: m.value for m in relapse_measures(h, found)} == {"a": 0, "b": 1}


def test_nobody_read() -> None:
    """Without reads there are no pairs, and nothing is claimed."""
    found = pairs(history("w x1 0-5"), Contract())
    assert len(found) == 0
    assert isinstance(found, Pairs)
    assert all(m.value is None for m in polaris_measures(found))
    assert bound_support(history("w x1 0-5"), promise("1s"), found) == ()


def test_the_clock_without_stalls() -> None:
    """Overlapping stalls count once; times within one stand at its begin; what is no time stays as it is."""
    h = history("w x1 0-5", stalls=[stall(10, 20), stall(15, 30), stall(40, 50)])
    times = np.array([0, 10, 15, 30, 35, 45, 60, NEVER, -NEVER]) * np.array([MS] * 7 + [1, 1])
    assert (awake_ns(h, times)[:7] // MS).tolist() == [0, 10, 10, 10, 15, 20, 30]
    assert awake_ns(h, times)[7:].tolist() == [NEVER, -NEVER]
