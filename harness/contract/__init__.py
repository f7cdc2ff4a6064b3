"""The verdict: what was measured, held against what was promised, and whether the run shows anything at all.

Three things are kept apart. *Clauses* hold each promise of the contract against findings and measures. *Adequacy* says what the
run exercised. Failures of the harness are neither; they are errors. The outcome follows:

    violated       some clause is. One counterexample is proof, however little else the run has shown
    inconclusive   none is, but a clause could not be decided, or evidence is missing. No data is never a pass
    pass           every clause holds (or is broken only as the contract waives), and the run was adequate

Findings that no clause promises against break nothing; the verdict lists them as ``noted``.
"""

from __future__ import annotations

from harness.contract.adequacy import adequacy
from harness.contract.bounds import bound_clauses
from harness.contract.clauses import fleet_clauses, order_clauses
from harness.contract.ledger import Ledger
from harness.contract.reads import judged_reads
from harness.history import History
from harness.plan import Plan
from harness.results import Clause, Evidence, Outcome, Result, Verdict

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
    outcome, why = _outcome(clauses, evidence)
    return Verdict(outcome, why, clauses, evidence, ledger.noted, ledger.excused)


def _outcome(clauses: tuple[Clause, ...], evidence: tuple[Evidence, ...]) -> tuple[Outcome, str]:
    """The outcome, and the sentence that names the clause or the evidence that decided it."""
    violated = [clause for clause in clauses if clause.outcome is Outcome.VIOLATED]
    if violated:
        return Outcome.VIOLATED, f"{violated[0].name}: {violated[0].why}{_others(violated, 'clause', 'violated')}."
    lacking = [item for item in evidence if not item.enough]
    if lacking:
        return Outcome.INCONCLUSIVE, f"{lacking[0].why}{_others(lacking, 'piece of evidence', 'missing')}."
    undecided = [clause for clause in clauses if clause.outcome is Outcome.INCONCLUSIVE]
    if undecided:
        return Outcome.INCONCLUSIVE, f"{undecided[0].name}: {undecided[0].why}{_others(undecided, 'clause', 'undecided')}."
    waived = [clause for clause in clauses if clause.outcome is Outcome.WAIVED]
    held = f"all {len(clauses)} clauses hold" if len(clauses) > 1 else "the one clause holds"
    if waived:
        held = f"{len(clauses) - len(waived)} of {len(clauses)} clauses hold, and {waived[0].name} is broken only as waived"
        held += _others(waived, "clause", "waived")
    return Outcome.PASS, f"{held}; {evidence[0].seen} could have shown otherwise."


def _others(found: list[Clause] | list[Evidence], noun: str, state: str) -> str:
    """How many more there are than the first one."""
    more = len(found) - 1
    if more == 0:
        return ""
    plural = noun.replace("piece", "pieces") if "piece" in noun else f"{noun}s"
    return f"; {more} more {noun if more == 1 else plural} {'is' if more == 1 else 'are'} {state}"
