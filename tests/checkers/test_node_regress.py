"""No node goes backwards: planted steps are found, lag and restarts are not mistaken for them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from checkers.node_regress import check, steps_back
from harness.history import History, Seen
from harness.plan import Contract
from tests.checkers.big import big_history
from tests.checkers.histories import episode, history
from tests.checkers.strategies import CONTRACTS, Reading, histories

BACK = "w x1 @p 0-1; w x2 @p 2-3; r x2 @n 4-5; r x1 @n 6-7"


def test_a_step_back_is_found_with_its_four_operations() -> None:
    """Two writes, the read that saw the newer and the later one that did not."""
    (finding,) = check(history(BACK), Contract()).findings
    assert (finding.name, finding.count, finding.witness, finding.nodes) == ("node-regress", 1, (0, 1, 2, 3), ("n",))
    assert (
        finding.claim
        == "Node n answered version 2 of x and 1ms later, in the same epoch, version 1: 1 version back in x's order."
    )
    assert finding.argument[-1].endswith("a contradiction, unless the node went backwards.")


def test_reads_that_prove_nothing_are_not_compared() -> None:
    """Other nodes, other epochs, unknown epochs, overlapping reads and keys without order are no steps back."""
    clean = ["r x2 @n 4-5; r x1 @m 6-7", "r x2 @n e1 4-5; r x1 @n e2 6-7", "r x2 @n e-1 4-5; r x1 @n e-1 6-7"]
    clean += ["r x2 @n 4-6; r x1 @n 6-7", "r x1 @n 4-5; r x2 @n 6-7", "r x2 @n 4-5; r x- @n 6-7"]
    for reads in clean:
        assert check(history("w x1 @p 0-1; w x2 @p 2-3", reads), Contract()).findings == ()
    assert check(history(BACK, unordered=("x",)), Contract()).findings == ()


def test_a_correct_history_with_lagging_replicas_is_clean() -> None:
    """Replicas that are late but in order never step back."""
    assert check(big_history(50_000, keys=50), Contract(misses="loss")).findings == ()


def test_the_late_effect_of_an_unanswered_write_is_not_the_node_s_fault() -> None:
    """An old version whose write timed out is left to late-write."""
    assert check(history("w x1 0-; w x2 1-2; r x2 3-4; r x1 5-6"), Contract()).findings == ()


def test_misses_count_only_where_the_contract_says_so() -> None:
    """A value that is gone again is a step back only where misses are not allowed; it then means the initial value."""
    h = history("w x1 0-1; r x1 2-3; r x- 4-5")
    assert check(h, Contract()).findings == ()
    (finding,) = check(h, Contract(misses="loss")).findings
    assert "found nothing, which can mean no more than the initial value" in finding.argument[-1]


def test_the_deepest_step_is_shown_and_phases_are_told_apart() -> None:
    """One finding a phase; its witness is the step over most versions."""
    writes = "w x1 @p 0-1; w x2 @p 1-2; w x3 @p 2-3"
    reads = "r x3 4-5; r x2 6-7; r x1 8-9; r x2 31-32"
    findings = check(history(writes, reads, episodes=[episode("kill", 30, 40)]), Contract()).findings
    assert [(f.phase, f.count, f.witness) for f in findings] == [("steady", 2, (0, 2, 3, 5)), ("during kill", 1, (1, 2, 3, 6))]
    assert findings[0].examples == ((1, 2, 3, 4),)


def test_one_planted_step_in_a_large_history_is_found() -> None:
    """A single read swapped for an older version is found among many."""
    h = big_history(50_000, keys=20)
    reads = np.flatnonzero((h.seen == Seen.HIT) & (h.seen_version > 5))
    victim = int(reads[len(reads) // 2])
    older = (h.key == h.key[victim]) & (h.sent_version == h.seen_version[victim] - 5)
    h.columns["seen_version"][victim] -= 5
    h.columns["seen_op"][victim] = h.op[older][0]
    (finding,) = check(h, Contract()).findings
    assert int(h.op[victim]) in finding.witness
    assert finding.count == 1


@settings(max_examples=400, deadline=None)
@given(histories(), CONTRACTS)
def test_steps_are_what_the_definition_says(h: History, contract: Contract) -> None:
    """The offending reads are those of all pairs, and each comes with the newest version that had been shown."""
    reading = Reading(h, contract)
    pairs = list(reading.steps_back())
    steps = steps_back(h, contract)
    assert sorted(steps.then.tolist()) == sorted({then.row for _, then in pairs})
    for first, then, late in zip(steps.first, steps.then, steps.late, strict=True):
        highest = max(reading.found(a) or 0 for a, b in pairs if b.row == then)
        assert reading.found(reading.ops[first]) == highest
        assert (first, then) in {(a.row, b.row) for a, b in pairs}
        assert late == ((reading.newest(reading.ops[then]) or 0) >= highest)
    assert sum(f.count for f in check(h, contract).findings) == int((~steps.late).sum())
