"""The verdict: which clause or evidence decides it, on real checkers' results of small histories."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from checkers import check
from checkers.statistics import share_lower, share_upper
from harness.contract import judge
from harness.history import Episode, History, Stall
from harness.imports import read_history, register_plan
from harness.plan import Plan, parse_plan
from harness.results import Clause, Evidence, Finding, Measure, Outcome, Result, Severity, Verdict
from tests.checkers.histories import MS, history

DATA = Path(__file__).parent.parent / "data" / "histories"

LENIENT = """
[adequacy]
operations = 1
success_rate = 0.0
episodes = 0
coverage = 0.0
"""


def plan_of(contract: str = "", adequacy: str = LENIENT, faults: str = "") -> Plan:
    return parse_plan(plain(f"node_monotonic = false\n{contract}\n{faults}\n{adequacy}"))


def verdict_of(recorded: History, plan: Plan) -> Verdict:
    return judge(plan, recorded, check(recorded, plan.contract))


def clause_of(recorded: History, contract: str, adequacy: str = LENIENT) -> Clause:
    """The last clause of the verdict: the one that ``contract`` asks for."""
    return verdict_of(recorded, plan_of(contract, adequacy)).clauses[-1]


def evidence_of(recorded: History, name: str, plan: Plan) -> Evidence:
    return next(item for item in verdict_of(recorded, plan).adequacy if item.name == name)


EMPTY = history(keys=["x"], nodes=["a"])
CLEAN = "w x1 @a s0 0-1; r x1 @b s1 2-3; r x1 @b s1 4-5; w x2 @a s0 6-7; r x2 @b s1 8-9; r x2 @a s1 10-11"
REGRESS = "w x1 @a s0 0-1; w x2 @a s0 2-3; r x2 @b s1 4-5; r x1 @b s2 6-7"


def test_a_clean_run_passes() -> None:
    """Promises that were put to the test and kept are a pass, and the reason says how many reads could have shown otherwise."""
    verdict = verdict_of(history(CLEAN), plan_of('sessions = { monotonic_reads = "any-node" }'))
    assert (verdict.outcome, verdict.noted) == (Outcome.PASS, ())
    assert verdict.why == "All 2 clauses hold. 4 of 4 judged reads could have shown otherwise."


def test_one_order_violation_is_proof() -> None:
    """One step backwards violates node_monotonic, with the finding named, in spite of all missing evidence."""
    plan = parse_plan(plain("node_monotonic = true"))
    verdict = verdict_of(history(REGRESS), plan)
    clause = next(clause for clause in verdict.clauses if clause.name == "node_monotonic")
    assert verdict.outcome == clause.outcome == Outcome.VIOLATED
    assert clause.findings == ("node-regress",)
    assert verdict.why.startswith(f"{clause.why}. The contract promises that one node, in one epoch, never goes backwards.")
    assert not all(item.enough for item in verdict.adequacy)


def plain(contract: str) -> str:
    return f'[candidate]\nkind = "c"\n[[workloads]]\nkind = "w"\n[contract]\n{contract}\n'


def test_what_is_not_promised_is_noted_and_breaks_nothing() -> None:
    """A finding that no clause promises against is listed apart."""
    verdict = verdict_of(history(REGRESS), plan_of())
    assert verdict.outcome is Outcome.PASS
    assert {finding.name for finding in verdict.noted} >= {"node-regress"}


def test_integrity_is_always_promised() -> None:
    """A value of nobody violates a contract that promises nothing."""
    verdict = verdict_of(history("w x1 @a s0 0-1; r x7 @a s1 2-3"), plan_of())
    assert verdict.outcome is Outcome.VIOLATED
    assert "The contract promises that every value that is read was written to that key" in verdict.why


def test_no_data_is_never_a_pass() -> None:
    """Neither an empty history nor one without a judged read passes anything."""
    for recorded in (EMPTY, history("w x1 @a s0 0-1"), history("w x1 @a s0 0-1; r x- @a s1 2-3"), history("r x @a s0 0- info")):
        verdict = verdict_of(recorded, plan_of("linearizable = false"))
        assert verdict.outcome is Outcome.INCONCLUSIVE
        assert all(clause.outcome is Outcome.INCONCLUSIVE for clause in verdict.clauses)


def test_no_clause_passes_on_no_data() -> None:
    """Every clause that a contract can have is undecided on an empty history."""
    text = plain(
        'sessions = { read_your_writes = "any-node", monotonic_reads = "any-node", monotonic_writes = "sticky",'
        ' writes_follow_reads = "same-node" }\n'
        'staleness = { steady = "10ms", during = { kill = "1s" }, after_heal = "1s", versions = 3 }\n'
        'rates = [ { older_than = "1ms", at_most = 0.1 },'
        ' { phase = "during kill", older_than = "1ms", at_most = 0.1, per = "episode" } ]\n'
        'converges_within = "1s"\nlost_writes = 0\natomic_reads = true\nttl = { max = "30s" }\n'
    )
    for recorded in (EMPTY, replace(EMPTY, settled_ns=3)):
        verdict = verdict_of(recorded, parse_plan(text + LENIENT))
        assert len(verdict.clauses) == 15
        assert {clause.outcome for clause in verdict.clauses} == {Outcome.INCONCLUSIVE}
        assert all(clause.why for clause in verdict.clauses)
    linearizable = verdict_of(EMPTY, parse_plan(plain("linearizable = true") + LENIENT))
    assert {clause.outcome for clause in linearizable.clauses} == {Outcome.INCONCLUSIVE}


SESSION_PAIRS = {
    "sticky": "w x1 @a s0 0-1; w x2 @a s0 2-3; r x2 @b s1 4-5; r x1 @b s1 6-7",
    "same-node": "w x1 @a s0 0-1; w x2 @a s0 2-3; r x2 @b s1 4-5; r y0 @a s1 6-7; r x1 @b s1 8-9",
    "cross-node": "w x1 @a s0 0-1; w x2 @a s0 2-3; r x2 @a s1 4-5; r x1 @b s1 6-7",
}


@pytest.mark.parametrize(
    ("reach", "breaking"),
    [
        ("any-node", {"sticky", "same-node", "cross-node"}),
        ("same-node", {"sticky", "same-node"}),
        ("sticky", {"sticky"}),
    ],
)
@pytest.mark.parametrize("pair", SESSION_PAIRS)
def test_a_session_guarantee_reaches_as_far_as_it_is_promised(reach: str, breaking: set[str], pair: str) -> None:
    """A broken pair breaks a promise exactly if it lies within the promise's reach."""
    both_kept = "r y0 @a s2 0-1; r y0 @a s2 2-3"
    clause = clause_of(history(SESSION_PAIRS[pair], both_kept), f'sessions = {{ monotonic_reads = "{reach}" }}')
    assert clause.name == "sessions.monotonic_reads"
    assert clause.outcome is (Outcome.VIOLATED if pair in breaking else Outcome.PASS)


@pytest.mark.parametrize("guarantee", ["read_your_writes", "monotonic_reads", "monotonic_writes", "writes_follow_reads"])
@pytest.mark.parametrize(("reach", "together"), [("any-node", 1), ("same-node", 2), ("sticky", 3)])
def test_a_session_guarantee_needs_a_session_that_could_break_it(guarantee: str, reach: str, together: int) -> None:
    """Operations of one session count at whichever node, at one node, or without a move in between: as far as was promised."""
    first, then = {
        "read_your_writes": ("w x1", "r x1"),
        "monotonic_reads": ("r x0", "r x0"),
        "monotonic_writes": ("w x1", "w y1"),
        "writes_follow_reads": ("r y0", "w x1"),
    }[guarantee]
    runs = [
        f"{first} @a s0 0-1; {then} @a s1 4-5",
        f"{first} @a s0 0-1; {then} @b s0 4-5",
        f"{first} @a s0 0-1; r z0 @b s0 2-3; {then} @a s0 4-5",
        f"{first} @a s0 0-1; r z0 @a s0 2-3; {then} @a s0 4-5",
    ]
    for number, operations in enumerate(runs):
        clause = clause_of(history(operations), f'sessions = {{ {guarantee} = "{reach}" }}')
        assert clause.outcome is (Outcome.PASS if number >= together else Outcome.INCONCLUSIVE), operations


def test_a_promise_that_reaches_nowhere_has_no_clause() -> None:
    """What is not promised is not judged."""
    verdict = verdict_of(history(SESSION_PAIRS["sticky"]), plan_of('sessions = { monotonic_reads = "none" }'))
    assert [clause.name for clause in verdict.clauses] == ["integrity"]


STALE_20MS = "w x1 @a s0 0-1; w x2 @a s0 10-20; r x1 @b s1 40-41; r x2 @b s1 100-101; r x2 @a s1 100-102"


def test_a_bound_is_violated_by_the_certain_end() -> None:
    """A read that was certainly 20 ms stale breaks 19 ms; it does not break 20 ms."""
    strict = 'staleness = { steady = "%s" }'
    assert clause_of(history(STALE_20MS), strict % "19ms").outcome is Outcome.VIOLATED
    assert clause_of(history(STALE_20MS), strict % "20ms").outcome is Outcome.PASS


def test_what_a_fault_without_a_bound_touches_is_no_measure_of_the_steady_bound() -> None:
    """The stalest read of a clause is one that its bound was held against."""
    bound = 'staleness = { steady = "25ms" }'
    assert "certainly 20ms old" in clause_of(history(STALE_20MS), bound).measured
    struck = verdict_of(history(STALE_20MS, episodes=[partition(15, 30)]), plan_of(bound)).clauses[-1]
    assert "certainly 0ms old" in struck.measured


def test_a_bound_is_met_only_where_fresh_reads_show_it() -> None:
    """Between violated and met lies inconclusive, with the share that was seen and the resolution that would do."""
    needs = LENIENT.replace("coverage = 0.0", 'coverage = 0.9\nresolution = "%s"')
    bound = 'staleness = { steady = "25ms" }'
    met = clause_of(history(STALE_20MS), bound, needs % "80ms")
    assert met.outcome is Outcome.PASS
    assert met.resolution == "90% within 76ms after the bound"
    late = clause_of(history(STALE_20MS), bound, needs % "50ms")
    assert late.outcome is Outcome.INCONCLUSIVE
    assert "seen fresh within 50ms after the bound, 90% are needed; 90% are reached at 76ms" in late.why


def partition(applied: float, healed: float, **changes: object) -> Episode:
    window = Episode(
        fault=0,
        kind="partition",
        targets=("a->b",),
        nodes=("a", "b"),
        intended_ns=int(applied * MS),
        intended_end_ns=int(healed * MS),
        applied_ns=int(applied * MS),
        proven_ns=int(applied * MS) + 1,
        healed_ns=int(healed * MS),
        evidence=("a canary did not arrive",),
        means="proxy",
    )
    return replace(window, **changes)


def test_each_phase_is_held_to_its_own_bound() -> None:
    """A read that is stale beyond the steady bound during a fault breaks nothing, one beyond the fault's bound breaks that."""
    recorded = history(STALE_20MS, episodes=[partition(15, 30)])
    loose = 'staleness = { steady = "1ms", during = { partition = "fault + 5ms" }, after_heal = "20ms" }'
    verdict = verdict_of(recorded, plan_of(loose))
    assert {clause.name: clause.outcome for clause in verdict.clauses}["staleness.during.partition"] is Outcome.PASS
    assert Outcome.VIOLATED not in {clause.outcome for clause in verdict.clauses}
    strict = verdict_of(recorded, plan_of(loose.replace("fault + 5ms", "fault + 4ms")))
    assert {clause.name: clause.outcome for clause in strict.clauses}["staleness.during.partition"] is Outcome.VIOLATED


TOGETHER = "w x1+y1 @a s0 0-1; w x2+y2 @a s0 2-3;"


def test_half_of_a_write_breaks_atomic_reads() -> None:
    """One fractured read is proof; where it is waived, or not promised, it breaks nothing."""
    torn = history(TOGETHER, "r x2+y1 @b s1 4-5")
    clause = clause_of(torn, "atomic_reads = true")
    assert (clause.outcome, clause.findings, clause.n) == (Outcome.VIOLATED, ("fractured-read",), 1)
    waiver = '[[contract.waive]]\nfinding = "fractured-read"\nreason = "each key by itself"'
    assert clause_of(torn, f"atomic_reads = true\n{waiver}").outcome is Outcome.WAIVED
    assert "fractured-read" in {finding.name for finding in verdict_of(torn, plan_of()).noted}


def test_atomic_reads_are_only_shown_by_requests_of_several_keys() -> None:
    """What could have been half of a write and was whole passes; nothing of the sort is inconclusive, and says what is needed."""
    for reads, outcome, why in (
        ("r x2+y2 @b s1 4-5", Outcome.PASS, ""),
        (
            "r x2 @b s1 4-5; r y1 @b s1 6-7",
            Outcome.INCONCLUSIVE,
            "no read of several keys found a value that was written together",
        ),
    ):
        clause = clause_of(history(TOGETHER, reads), "atomic_reads = true")
        assert clause.outcome is outcome
        assert why in clause.why
    clause = clause_of(history(CLEAN), "atomic_reads = true")
    assert (clause.outcome, clause.why) == (
        Outcome.INCONCLUSIVE,
        "no request was for several keys; those of the workload `multi-key` are",
    )


def test_the_keys_of_one_request_are_not_after_each_other() -> None:
    """A session that wrote several keys in one request has not written one after the other, so their order was not tried."""
    promise = 'sessions = { monotonic_writes = "any-node" }'
    assert clause_of(history("w x1+y1 @a s0 0-1; r x1+y1 @b s1 4-5"), promise).n == 0
    assert clause_of(history(TOGETHER, "r x2+y2 @b s1 4-5"), promise).n == 2


def test_a_bound_for_a_fault_that_never_struck_is_undecided() -> None:
    """A promise for a phase that the run did not have is not kept by silence."""
    verdict = verdict_of(history(CLEAN), plan_of('staleness = { steady = "1s", during = { kill = "2s" } }'))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "whether no read is staler than 2s, during kill: no acknowledged write" in verdict.why


def test_a_bound_for_a_fault_in_which_no_read_was_answered_is_undecided() -> None:
    """Reads before the fault of a write that was acknowledged just before it do not show what the fault did."""
    promise = 'staleness = { steady = "20ms", during = { partition = "fault + 50ms" }, after_heal = "5ms" }'
    operations = "w x1 @a s0 0-1; r x1 @b s1 2-3; r x @b s1 30-31 fail; r x1 @b s1 %s"
    for read, outcome in (("100-101", Outcome.INCONCLUSIVE), ("44-45", Outcome.PASS)):
        recorded = history(operations % read, episodes=[partition(20, 40)])
        assert clause_of(recorded, promise).outcome is outcome
    silent = history(operations % "100-101", episodes=[partition(20, 40)])
    assert "no read was answered in the phase during partition" in clause_of(silent, promise).why


def test_episodes_in_which_nobody_read_are_no_sample_of_a_rate() -> None:
    """Sixty partitions show something only if reads were answered in them."""
    rate = 'rates = [ { phase = "during partition", older_than = "1ms", at_most = 0.05, per = "episode" } ]'
    episodes = [partition(10 * i, 10 * i + 5) for i in range(1, 61)]
    reads = "; ".join(f"r x1 @b s1 {10 * i + 2}-{10 * i + 3}" for i in range(1, 61))
    assert clause_of(history("w x1 @a s0 0-1; r x1 @b s1 900-901", episodes=episodes), rate).outcome is Outcome.INCONCLUSIVE
    assert clause_of(history(f"w x1 @a s0 0-1; {reads}", episodes=episodes), rate).outcome is Outcome.PASS


def test_a_node_that_answers_nobody_has_not_converged() -> None:
    """It was asked, so it counts."""
    needs = LENIENT.replace("coverage = 0.0", "coverage = 0.9")
    dead = history("w x1 @a s0 0-1; r x1 @a s1 11-12; r x @b s2 11-12 fail", settled=10)
    clause = clause_of(dead, 'converges_within = "5ms"', needs)
    assert (clause.outcome, clause.resolution) == (Outcome.INCONCLUSIVE, "50.0% of keys at nodes probed")


def test_versions_behind_are_counted() -> None:
    """A read two acknowledged versions behind breaks a bound of one."""
    recorded = history("w x1 @a s0 0-1; w x2 @a s0 2-3; w x3 @a s0 4-5; r x1 @b s1 6-7")
    assert clause_of(recorded, "staleness = { versions = 1 }").outcome is Outcome.VIOLATED
    assert clause_of(recorded, "staleness = { versions = 2 }").outcome is Outcome.PASS


def rate_clause(broken: int, n: int, at_most: float) -> Clause:
    """A rate clause on a measure as the staleness checker takes it."""
    plan = plan_of(f'rates = [ {{ older_than = "1ms", at_most = {at_most} }} ]')
    measure = Measure(
        "stale-rate",
        broken / n if n else None,
        "ratio",
        n=n,
        per="write-node",
        low=share_lower(broken, n) if n else None,
        high=share_upper(broken, n) if n else None,
        phase="steady",
    )
    return judge(plan, history(CLEAN), (Result("staleness", measures=(measure,)),)).clauses[-1]


@pytest.mark.parametrize(
    ("broken", "n", "at_most", "outcome"),
    [
        (0, 2994, 1e-3, Outcome.INCONCLUSIVE),
        (0, 2995, 1e-3, Outcome.PASS),
        (1, 47436, 1e-4, Outcome.INCONCLUSIVE),
        (1, 47437, 1e-4, Outcome.PASS),
        (5, 1000, 1e-3, Outcome.VIOLATED),
        (2, 1000, 1e-3, Outcome.INCONCLUSIVE),
        (0, 0, 1e-3, Outcome.INCONCLUSIVE),
        (0, 10**6, 0.0, Outcome.INCONCLUSIVE),
        (1, 10**6, 0.0, Outcome.VIOLATED),
        (3, 3, 1.0, Outcome.PASS),
    ],
)
def test_a_rate_is_judged_by_its_confidence_limits(broken: int, n: int, at_most: float, outcome: Outcome) -> None:
    """Violated by the lower limit, met by the upper one, undecided in between: the numbers of DEFINITIONS, "Statistics"."""
    assert rate_clause(broken, n, at_most).outcome is outcome


def test_an_undecided_rate_says_how_many_units_it_takes() -> None:
    """The reason names the zero-failure sample size."""
    assert "it takes 2,995 without any" in rate_clause(0, 100, 1e-3).why


def test_rates_are_measured_by_the_real_checker() -> None:
    """Twenty writes, all seen late at one of two nodes, break a rate of one in ten older than 5 ms."""
    writes = [f"w x{v} @a s0 {20 * v}-{20 * v + 1}" for v in range(1, 21)]
    late = [f"r x{v - 1} @b s1 {20 * v + 8}-{20 * v + 9}" for v in range(1, 21)]
    fresh = [f"r x{v} @a s2 {20 * v + 8}-{20 * v + 9}" for v in range(1, 21)]
    clause = clause_of(history("; ".join(writes + late + fresh)), 'rates = [ { older_than = "5ms", at_most = 0.1 } ]')
    assert clause.outcome is Outcome.VIOLATED
    assert "20 of 40" in clause.why


@pytest.mark.parametrize(
    ("operations", "outcome"),
    [
        ("w x1 @a s0 0-1; r x1 @b s1 20-21; r x- @b s1 60-61", Outcome.PASS),
        ("w x1 @a s0 0-1; r x1 @b s1 20-21; r x1 @b s1 60-61", Outcome.VIOLATED),
        ("w x1 @a s0 0-1; r x1 @b s1 20-21; r x1 @b s1 40-41", Outcome.INCONCLUSIVE),
    ],
)
def test_a_time_to_live_needs_a_read_that_came_late_enough(operations: str, outcome: Outcome) -> None:
    """Violated by a value that was found after its time, met by reads that did not find one, undecided where none came then."""
    clause = clause_of(history(operations), 'ttl = { max = "40ms", grace = "10ms" }')
    assert (clause.name, clause.outcome) == ("ttl", outcome)


CONVERGED = "w x1 @a s0 0-1; w x2 @a s0 2-3; r x2 @a s1 11-12; r x1 @b s1 13-14; r x2 @b s1 15-16"
STUCK = "w x1 @a s0 0-1; w x2 @a s0 2-3; r x2 @a s1 11-12; r x1 @b s1 13-14; r x1 @b s1 50-51"


@pytest.mark.parametrize(
    ("operations", "settled", "within", "outcome"),
    [
        (CONVERGED, 10, "5ms", Outcome.PASS),
        (CONVERGED, 10, "2ms", Outcome.VIOLATED),
        (CONVERGED, None, "5ms", Outcome.INCONCLUSIVE),
        (STUCK, 10, "20ms", Outcome.VIOLATED),
        (STUCK, 10, "2s", Outcome.INCONCLUSIVE),
        (CONVERGED.replace("r x1 @b s1 13-14; r x2 @b s1 15-16", "r x1 @b s1 4-5"), 10, "5ms", Outcome.INCONCLUSIVE),
    ],
)
def test_convergence_needs_every_node_seen_fresh(operations: str, settled: float | None, within: str, outcome: Outcome) -> None:
    """Met if all keys at all nodes were seen converged, violated by one that was stale for too long, else undecided."""
    needs = LENIENT.replace("coverage = 0.0", "coverage = 0.9")
    clause = clause_of(history(operations, settled=settled), f'converges_within = "{within}"', needs)
    assert (clause.name, clause.outcome) == ("converges_within", outcome)


def test_entries_that_are_waived_as_stuck_need_no_convergence() -> None:
    """An entry proven stuck, and excused, is no missing evidence."""
    stuck = 'waive = [ { finding = "stuck", reason = "we know" } ]'
    needs = LENIENT.replace("coverage = 0.0", "coverage = 0.9")
    clause = clause_of(history(STUCK, settled=10), f'converges_within = "20ms"\n{stuck}', needs)
    assert (clause.name, clause.outcome) == ("converges_within", Outcome.WAIVED)


LOST = "w x1 @a s0 0-1; w x2 @a s0 2-3; r x1 @a s1 11-12"


@pytest.mark.parametrize(("allowed", "outcome"), [(0, Outcome.VIOLATED), (1, Outcome.PASS)])
def test_lost_writes_are_counted_against_what_is_allowed(allowed: int, outcome: Outcome) -> None:
    """One lost write breaks a promise of none, and keeps a promise of at most one."""
    clause = clause_of(history(LOST, settled=10), f"lost_writes = {allowed}")
    assert clause.outcome is outcome
    assert clause.findings == ("lost-write",)


def test_a_miss_that_counts_as_loss_promises_no_loss() -> None:
    """With misses = loss a missing acknowledged value is a violation without a word about lost_writes."""
    recorded = history("w x1 @a s0 0-1; r x- @a s1 11-12", settled=10)
    assert clause_of(recorded, 'misses = "loss"').outcome is Outcome.VIOLATED
    assert verdict_of(recorded, plan_of('misses = "allowed"')).clauses[-1].name == "integrity"


def test_linearizability_is_undecided_where_the_search_was_given_up() -> None:
    """An unfinished search is no pass; a finding of another key still is a violation."""
    plan = parse_plan(plain("linearizable = true") + LENIENT)
    undecided = Result("linearizable-register", measures=(Measure("keys-undecided", 2.0, "count", n=3, per="key"),))
    recorded = read_history(DATA / "stale.csv")
    assert judge(plan, recorded, (undecided,)).outcome is Outcome.INCONCLUSIVE
    assert "given up on 2 keys" in judge(plan, recorded, (undecided,)).why
    assert judge(plan, recorded, (undecided, *check(recorded, plan.contract))).outcome is Outcome.VIOLATED


def finding_of(name: str, phase: str, severity: Severity = Severity.ORDER) -> Finding:
    return Finding(name, severity, phase, 3, "It happened.", ("So.",), (0,))


@pytest.mark.parametrize(
    ("phase", "outcome"),
    [
        ("during kill", Outcome.WAIVED),
        ("after kill", Outcome.WAIVED),
        ("steady", Outcome.VIOLATED),
        ("during pause", Outcome.VIOLATED),
    ],
)
def test_a_waiver_holds_in_and_after_its_fault_only(phase: str, outcome: Outcome) -> None:
    """A waived finding is counted and shown, and excuses nothing outside of its fault."""
    waiver = 'waive = [ { finding = "late-write", during = "kill", reason = "we know" } ]'
    plan = parse_plan(plain(f"node_monotonic = true\n{waiver}") + LENIENT)
    verdict = judge(plan, history(CLEAN), (Result("integrity", (finding_of("late-write", phase),)),))
    clause = verdict.clauses[-1]
    assert clause.outcome is outcome
    assert clause.findings == ("late-write",)
    assert verdict.outcome is (Outcome.PASS if outcome is Outcome.WAIVED else Outcome.VIOLATED)
    if outcome is Outcome.WAIVED:
        assert "we know" in clause.why
        assert "3 times waived" in clause.measured
        assert "broken only as waived: node_monotonic." in verdict.why


def test_the_most_telling_finding_gives_the_reason() -> None:
    """What was lost is told before that no order fits, whatever the contract's order and the counts."""
    plan = parse_plan(plain("linearizable = true\nlost_writes = 0") + LENIENT)
    many, lost = replace(finding_of("not-linearizable", "steady"), count=999), finding_of("lost-write", "during kill")
    why = judge(plan, history(CLEAN), (Result("x", (many, lost)),)).why
    assert "The contract promises that no acknowledged write is lost." in why
    assert why.endswith("Also violated: linearizable.")


def test_a_waiver_does_not_cover_other_findings() -> None:
    """A waived finding beside an unwaived one of the same clause leaves the clause violated."""
    waiver = 'waive = [ { finding = "late-write", reason = "we know" } ]'
    plan = parse_plan(plain(f"node_monotonic = true\n{waiver}") + LENIENT)
    results = (Result("x", (finding_of("late-write", "steady"), finding_of("node-regress", "steady"))),)
    assert judge(plan, history(CLEAN), results).clauses[-1].outcome is Outcome.VIOLATED


FAULT = '[[faults]]\nkind = "partition"\nevery = "1s"\nlasts = "100ms"\n'
ADEQUATE = LENIENT.replace("episodes = 0", "episodes = 2")


@pytest.mark.parametrize(
    ("episodes", "enough", "why"),
    [
        ([partition(1, 2), partition(3, 4)], True, ""),
        ([partition(1, 2)], False, "struck 1 of 2 times"),
        ([], False, "never struck"),
        (
            [partition(1, 2), partition(3, 4, proven_ns=None, evidence=("canary arrived",)), partition(5, 6)],
            False,
            "canary arrived",
        ),
        ([partition(1, 2), partition(3, 4), partition(5, 6, applied_ns=None, proven_ns=None)], False, "at 5ms was never applied"),
    ],
)
def test_every_episode_of_every_fault_is_proven(episodes: list[Episode], enough: bool, why: str) -> None:  # noqa: FBT001 - a parameter
    """Too few episodes, and any one that was not proven or never applied, make the run inconclusive by name."""
    plan = plan_of(adequacy=ADEQUATE, faults=FAULT)
    recorded = history(CLEAN, episodes=episodes)
    evidence = evidence_of(recorded, "fault partition", plan)
    assert evidence.enough is enough
    assert why in evidence.why
    verdict = verdict_of(recorded, plan)
    assert verdict.outcome is (Outcome.PASS if enough else Outcome.INCONCLUSIVE)
    assert why in verdict.why


def test_an_unproven_episode_is_told_in_one_sentence() -> None:
    """Of ten links the first have names, of the evidence only what speaks against the episode is told, and not without end."""
    links = tuple(f"replica-{number}->primary" for number in range(10))
    marks = ", ".join(f"{link} in 7.38ms" for link in links)
    evidence = (f"before: a mark crossed {marks}", f"unproven at its start: the delay did not bite: a mark crossed {marks}")
    struck = partition(3, 4, proven_ns=None, targets=links, evidence=evidence)
    why = evidence_of(history(CLEAN, episodes=[struck]), "fault partition", plan_of(adequacy=ADEQUATE, faults=FAULT)).why
    assert why.startswith("the partition of replica-0->primary, replica-1->primary and 8 more at 3ms was applied")
    assert "(at its start: the delay did not bite: a mark crossed replica-0->primary in 7.38ms" in why
    assert "before:" not in why
    assert len(why) < 320


@pytest.mark.parametrize(
    ("during", "enough"),
    [("r x2 @b s1 50-51", True), ("r x @b s1 50-51 fail", True), ("r x2 @b s1 30-61", True), ("r x @b s1 30- info", False)],
)
def test_a_fault_that_nobody_worked_through_shows_nothing(during: str, enough: bool) -> None:  # noqa: FBT001 - a parameter
    """An episode counts only if an operation was under way while it was on, whatever became of it."""
    plan = plan_of(adequacy=LENIENT.replace("episodes = 0", "episodes = 1"), faults=FAULT)
    recorded = history(f"{CLEAN}; {during}; r x2 @a s2 70-71", episodes=[partition(40, 60)])
    evidence = evidence_of(recorded, "fault partition", plan)
    assert evidence.enough is enough
    assert enough or "no operation was under way in 1 of 1 episodes" in evidence.why
    assert verdict_of(recorded, plan).outcome is (Outcome.PASS if enough else Outcome.INCONCLUSIVE)


def test_two_faults_of_one_kind_are_told_apart() -> None:
    """Each fault of the plan needs episodes of its own."""
    plan = plan_of(adequacy=ADEQUATE, faults=FAULT + FAULT)
    verdict = verdict_of(history(CLEAN, episodes=[partition(1, 2), partition(3, 4)]), plan)
    enough = {item.name: item.enough for item in verdict.adequacy}
    assert (enough["fault partition 1"], enough["fault partition 2"]) == (True, False)


def test_reads_that_could_not_have_seen_a_violation_do_not_count() -> None:
    """A session that reads its own write where it wrote it, or reads before any write, shows nothing."""
    blind = history("r x0 @b s1 0-1; w x1 @a s0 2-3; r x1 @a s0 4-5; r x1 @a s0 6-7")
    evidence = evidence_of(blind, "reads", plan_of())
    assert (evidence.seen, evidence.enough) == ("0 of 3 judged reads", False)
    assert (
        evidence_of(history("w x1 @a s0 2-3; r x1 @a s1 4-5; r x1 @b s0 6-7"), "reads", plan_of()).seen == "2 of 2 judged reads"
    )


def test_success_is_asked_for_outside_of_faults() -> None:
    """Failures during a fault are what the fault is for; failures at other times show that the run was none."""
    needs = plan_of(adequacy=LENIENT.replace("success_rate = 0.0", "success_rate = 0.9"), faults=FAULT)
    operations = f"{CLEAN}; r x @b s3 20-21 fail; r x @b s3 22-23 fail"
    assert not evidence_of(history(operations), "success-rate", needs).enough
    assert evidence_of(history(operations, episodes=[partition(15, 30)]), "success-rate", needs).enough
    only = evidence_of(history(operations, episodes=[partition(0, 30)]), "success-rate", needs)
    assert (only.enough, only.seen) == (False, "no operation outside of faults")


def test_coverage_counts_keys_at_nodes() -> None:
    """Keys that were written count at every node that was read from; ages are shown in decades."""
    needs = plan_of(adequacy=LENIENT.replace("coverage = 0.0", "coverage = 0.75"))
    recorded = history("w x1 @a s0 0-1; r x1 @a s1 2-3; r x1 @b s1 20-21; w y1 @a s0 4-5; r y1 @b s1 5000-5001")
    evidence = evidence_of(recorded, "coverage", needs)
    assert (evidence.enough, evidence.seen) == (True, "3 of 4 pairs at 2 of 2 nodes; 3 of 20 (key, node, age) cells")
    fewer = evidence_of(history("w x1 @a s0 0-1; r x1 @a s1 2-3; r x0 @b s1 0-1; w y1 @a s0 4-5"), "coverage", needs)
    assert (fewer.enough, fewer.seen) == (False, "1 of 4 pairs at 2 of 2 nodes; 1 of 20 (key, node, age) cells")


def test_coverage_counts_keys_alone_where_clients_find_their_way() -> None:
    """A key lies in one place then: nobody reads it at the nodes that do not have it."""
    needs = plan_of(adequacy=LENIENT.replace("coverage = 0.0", "coverage = 0.75"))
    recorded = history("w x1 @a s0 0-1; r x1 @a s1 2-3; w y1 @b s0 4-5; r y1 @b s1 5000-5001")
    assert not evidence_of(recorded, "coverage", needs).enough
    evidence = evidence_of(replace(recorded, routed=True), "coverage", needs)
    assert (evidence.enough, evidence.seen) == (True, "2 of 2 pairs at 2 of 2 nodes; 2 of 10 (key, node, age) cells")


@pytest.mark.parametrize(
    ("changes", "name", "why"),
    [
        ({"complete": False}, "complete", "cut off"),
        ({"stalls": (Stall(0, 6 * MS, 0), Stall(3 * MS, 7 * MS, 1))}, "stalls", "64% of the run"),
        ({"episodes": (partition(1, 1, kind="crash", fault=-1, nodes=("b",)),)}, "crashes", "ended by itself"),
    ],
)
def test_a_run_that_is_not_the_planned_one_does_not_pass(changes: dict[str, object], name: str, why: str) -> None:
    """A cut-off run, a harness that stood still, a node that died by itself are each named; a violation is one all the same."""
    recorded = replace(history(CLEAN), **changes)
    verdict = verdict_of(recorded, plan_of())
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert [item.name for item in verdict.adequacy if not item.enough] == [name]
    assert why in verdict.why
    broken = replace(history("w x1 @a s0 0-1; r x7 @a s1 2-3"), **changes)
    assert verdict_of(broken, plan_of()).outcome is Outcome.VIOLATED


def test_settling_is_asked_for_where_it_is_promised() -> None:
    """A run without a settle phase says nothing of convergence, but may well satisfy a contract that does not promise it."""
    assert "settled" not in {item.name for item in verdict_of(history(CLEAN), plan_of()).adequacy}
    assert not evidence_of(history(CLEAN), "settled", plan_of('converges_within = "1s"')).enough
    assert evidence_of(history(CLEAN, settled=12), "settled", plan_of("lost_writes = 0")).enough


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("fresh.csv", Outcome.PASS),
        ("stale.csv", Outcome.VIOLATED),
        ("crashed.csv", Outcome.INCONCLUSIVE),
        ("versions.jsonl", Outcome.VIOLATED),
        ("stale.edn", Outcome.VIOLATED),
        ("independent.edn", Outcome.INCONCLUSIVE),
    ],
)
def test_golden_histories_keep_their_verdicts(name: str, outcome: Outcome) -> None:
    """Histories of unknown origin are held to linearizability; no acknowledged write that another one reads shows nothing."""
    assert verdict_of(read_history(DATA / name), register_plan()).outcome is outcome
