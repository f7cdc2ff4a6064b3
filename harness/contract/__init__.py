"""The verdict: what was measured, held against what was promised, and whether the run shows anything at all.

Three things are kept apart. *Clauses* hold each promise of the contract against findings and measures. *Adequacy* says what the
run exercised. Failures of the harness are neither; they are errors. The outcome follows:

    violated       some clause is. One counterexample is proof, however little else the run has shown
    inconclusive   none is, but a clause could not be decided, or evidence is missing. No data is never a pass
    pass           every clause holds (or is broken only as the contract waives), and the run was adequate

Findings that no clause promises against break nothing; the verdict lists them as ``noted``.
"""

from __future__ import annotations

from harness.contract.adequacy import READS, adequacy
from harness.contract.bounds import bound_clauses
from harness.contract.clauses import fleet_clauses, order_clauses
from harness.contract.ledger import Ledger
from harness.contract.reads import judged_reads
from harness.history import History
from harness.plan import Plan
from harness.results import Clause, Evidence, Finding, Outcome, Result, Verdict

__all__ = ["judge"]


def judge(plan: Plan, history: History, results: tuple[Result, ...]) -> Verdict:
    """The verdict on a history under its plan's contract; pure.

    Args:
        plan: its contract is held against ``results``, its adequacy against ``history``.
        history: the run.
        results: what the checkers said of ``history`` under that contract.
    """
    reads = judged_reads(history, plan.contract)
    ledger = Ledger(plan.contract, results)
    clauses = (
        *order_clauses(plan, history, reads, ledger),
        *bound_clauses(plan, history, reads, ledger),
        *fleet_clauses(plan, history, ledger),
    )
    evidence = adequacy(plan, history, reads)
    outcome, why = _outcome(clauses, evidence, ledger.gating)
    return Verdict(outcome, why, clauses, evidence, ledger.noted, ledger.excused)


def _outcome(clauses: tuple[Clause, ...], evidence: tuple[Evidence, ...], gating: tuple[Finding, ...]) -> tuple[Outcome, str]:
    """The outcome, and why: what decided it, the promise that it decided on, and what else is amiss."""
    violated = [clause for clause in clauses if clause.outcome is Outcome.VIOLATED]
    if violated:
        first = _most_telling(violated, gating)
        others = [clause.name for clause in violated if clause is not first]
        also = f" Also violated: {', '.join(others)}." if others else ""
        return Outcome.VIOLATED, f"{first.why}. The contract promises that {first.promise}.{also}"
    lacking = [item for item in evidence if not item.enough]
    if lacking:
        others = [item.name for item in lacking[1:]]
        also = f" Also missing: {', '.join(others)}." if others else ""
        return Outcome.INCONCLUSIVE, f"{_sentence(lacking[0].why)}.{also}"
    undecided = [clause for clause in clauses if clause.outcome is Outcome.INCONCLUSIVE]
    if undecided:
        others = [clause.name for clause in undecided[1:]]
        also = f" Also undecided: {', '.join(others)}." if others else ""
        return Outcome.INCONCLUSIVE, f"It stays open whether {undecided[0].promise}: {undecided[0].why}.{also}"
    waived = [clause.name for clause in clauses if clause.outcome is Outcome.WAIVED]
    held = f"All {len(clauses)} clauses hold" if len(clauses) > 1 else "The one clause holds"
    if waived:
        held = f"{len(clauses) - len(waived)} of {len(clauses)} clauses hold; broken only as waived: {', '.join(waived)}"
    judged = next(item.seen for item in evidence if item.name == READS)
    return Outcome.PASS, f"{held}. {_sentence(judged)} could have shown otherwise."


def _most_telling(violated: list[Clause], gating: tuple[Finding, ...]) -> Clause:
    """The clause that the most telling finding breaks; the first one where only measures broke any."""
    return next((clause for finding in gating for clause in violated if finding.name in clause.findings), violated[0])


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
