"""Convergence: planted stuck entries, clean runs, and the times against the definition read key by key and node by node."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from checkers.convergence import acknowledged_at, check, settling
from checkers.reads import reads
from checkers.versions import versions
from harness.history import History
from harness.plan import Contract
from harness.results import Measure, Severity
from tests.checkers.histories import MS, episode, history, stall
from tests.checkers.strategies import CONTRACTS, Reading, histories

SECOND = Contract(converges_within="1s")
WRITES = "w x1 @a 0-5; w x2 @a 10-20"


def measures(h: History, name: str, phase: str = "", contract: Contract = SECOND) -> dict[str, Measure]:
    """The measures of that name and phase, by scope."""
    return {m.scope: m for m in check(h, contract).measures if (m.name, m.phase) == (name, phase)}


def test_an_entry_that_never_leaves_is_stuck() -> None:
    """A node that answers the old version later than the contract allows, and never the new one, is stuck."""
    h = history(WRITES, "r x2 @a s1 150-151; r x1 @b s2 150-151; r x1 @b s2 2000-2001", settled=100)
    (finding,) = check(h, SECOND).findings
    assert (finding.name, finding.severity, finding.key, finding.nodes) == ("stuck", Severity.CONVERGENCE, "x", ("b",))
    assert finding.witness == (0, 1, 4)
    assert finding.claim.startswith("1.9s after the fleet was left alone, b still answered version 1 of x, not version 2")
    slowest = measures(h, "convergence")
    assert (slowest[""].value, slowest[""].n, slowest[""].censored) == (1900 * MS, 2, 1)
    assert (slowest["a"].value, slowest["a"].censored) == (0, 0)


def test_an_entry_that_leaves_late_is_slow() -> None:
    """The same node is slow, not stuck, if it answers the new version in the end; its proof shows when."""
    h = history(WRITES, "r x1 @b s2 150-151; r x1 @b s2 2000-2001; r x2 @b s2 3000-3001", settled=100)
    (finding,) = check(h, SECOND).findings
    assert (finding.name, finding.witness) == ("slow-convergence", (0, 1, 3, 4))
    assert measures(h, "convergence")[""].censored == 0


def test_convergence_in_time_is_silent() -> None:
    """Stale within the bound and fresh afterwards is as promised, and so is anything without a promise."""
    lines = (WRITES, "r x1 @b s2 1099-1100; r x2 @b s2 1101-1102")
    assert check(history(*lines, settled=100), SECOND).findings == ()
    assert check(history(WRITES, "r x1 @b s2 9000-9001", settled=100), Contract()).findings == ()


def test_stale_reads_before_the_fleet_was_left_alone_do_not_count() -> None:
    """Only reads called after writing stopped and faults were healed tell of convergence."""
    h = history(WRITES, "r x1 @b s2 5000-5001; r x2 @b s2 6001-6002", settled=6000)
    assert check(h, SECOND).findings == ()
    assert measures(h, "convergence")[""].value == 0


def test_a_run_that_never_settled_says_so() -> None:
    """Without a time at which the fleet was left alone there is no measure of convergence, and no finding."""
    result = check(history(WRITES, "r x1 @b s2 9000-9001"), SECOND)
    assert result.findings == ()
    (none,) = result.measures
    assert (none.name, none.value, none.n) == ("convergence", None, 0)


def test_coverage_counts_written_keys_at_nodes_that_are_read() -> None:
    """Of two written keys at two nodes three were probed; a key that was never written is not asked for."""
    lines = (
        "w x1 @a 0-1; w y1 @a 2-3; r z0 @b s1 4-5; r x1 @a s1 110-111; r x1 @b s1 112-113; r y1 @b s1 114-115; r z0 @a s1 116-117"
    )
    (coverage,) = measures(history(lines, settled=100), "convergence-coverage").values()
    assert (coverage.value, coverage.n) == (0.75, 4)


def test_time_in_which_the_harness_stood_still_is_taken_off() -> None:
    """A stale read 1.9 s after the settling is in time if the harness stood still for a second of it."""
    h = history(WRITES, "r x1 @b s2 2000-2001; r x2 @b s2 2100-2101", settled=100, stalls=[stall(500, 1500)])
    assert check(h, SECOND).findings == ()
    assert measures(h, "convergence")[""].value == 900 * MS


def test_catching_up_after_a_fault_while_writes_go_on() -> None:
    """After a heal it counts what had been acknowledged by then: newer writes do not make a node late, the next fault ends it."""
    h = history(
        "w x1 @a 0-5; w x2 @a 20-25; w x3 @a 45-46; r x1 @b s1 50-51; r x2 @b s1 60-61; r x2 @b s1 70-71",
        "w y1 @a 80-81; r y0 @b s1 105-106; r y1 @b s1 300-301",
        episodes=[episode("partition", 10, 40, "b"), episode("partition", 75, 100, "b"), episode("pause", 200, 210, "b")],
    )
    found = measures(h, "convergence", "after partition")[""]
    assert (found.value, found.n, found.censored) == (10 * MS, 2, 1)
    assert measures(h, "convergence", "after pause")[""].value == 0


@settings(max_examples=300, deadline=None)
@given(histories(settle=True), CONTRACTS)
def test_times_agree_with_the_definition(h: History, contract: Contract) -> None:
    """The last stale call after the settling and whether a fresh one follows are those of a reading pair by pair."""
    if h.settled_ns is None:
        return
    reading, expected = Reading(h, contract), {}
    judged = [(r, v) for r in reading.reads if (v := reading.newest(r)) is not None and r.call >= h.settled_ns]
    for key, node in {(r.key, r.node) for r, _ in judged}:
        here = [(r, v) for r, v in judged if (r.key, r.node) == (key, node)]
        stale = [
            r for r, v in here if any(w.key == key and w.sent > v and reading.sup(key, w.sent) < r.call for w in reading.writes)
        ]
        last = max((r.row for r in stale), default=-1)
        lasted = max((r.call - h.settled_ns for r in stale), default=0)
        expected[key, node] = (lasted, bool(stale) and not any(r.row > last for r, _ in here if r not in stale))
    spells = settling(h, reads(h, contract))
    rows = zip(*(c.tolist() for c in (spells.key, spells.node, spells.lasted_ns, spells.censored)), strict=True)
    assert {(key, node): (lasted, censored) for key, node, lasted, censored in rows} == expected


@settings(max_examples=100, deadline=None)
@given(histories())
def test_what_had_been_acknowledged_at_a_moment(h: History) -> None:
    """Per key the newest version that was superseding older ones at that time."""
    reading, table = Reading(h, Contract()), h.derive(versions)
    newest = acknowledged_at(table, 10)
    for key in np.flatnonzero(h.ordered):
        known = [w.sent for w in reading.writes if w.key == key and reading.sup(w.key, w.sent) <= 10]
        assert table.version[newest[key]] == max(known, default=0)
