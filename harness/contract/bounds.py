"""The contract's clauses of staleness: bounds, rates and time to live.

A bound is violated by one read that was certainly staler (``stale-read``). That no such read was seen shows little: it is met
only where enough (write, node) pairs were *seen* fresh in time, by the acknowledgement plus the bound plus the plan's resolution.
Between the two lies inconclusive, with the share that was reached and the resolution at which it would have been enough.

A rate is an estimate: violated where even the lower confidence limit of the share exceeds what is allowed, met where the upper
limit does not, inconclusive in between, with the number of units that would settle it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from checkers.coherence import Support, bound_support
from checkers.pairs import pairs
from checkers.phases import STEADY, bound_of, phase_labels, phase_of
from checkers.reads import reads
from checkers.staleness import ages
from checkers.statistics import clopper_pearson, zero_failure_n
from checkers.versions import versions
from harness.contract.ledger import Ledger, settle
from harness.contract.reads import JudgedReads
from harness.durations import format_duration
from harness.history import NEVER, History
from harness.plan import Plan, RatePromise, TimeToLive
from harness.results import Clause, Measure, Outcome

_NOT_JUDGED = "no checker took this measure"


def bound_clauses(plan: Plan, history: History, judged: JudgedReads, ledger: Ledger) -> Iterator[Clause]:
    """The promises about how stale a read may be."""
    contract, staleness = plan.contract, plan.contract.staleness
    if staleness.steady is not None:
        supports = {support.phase: support for support in bound_support(history, contract, pairs(history, contract))}
        words = f"{format_duration(staleness.steady)}, steady"
        yield _bound(plan, history, ledger, supports.get(STEADY), key="steady", words=words)
        for fault, bound in staleness.during.items():
            grace = f" and for {format_duration(staleness.after_heal)} after it" if staleness.after_heal else ""
            words = f"{bound}, during {fault}{grace}"
            yield _bound(plan, history, ledger, supports.get(f"during {fault}"), key=f"during.{fault}", words=words)
    if staleness.versions is not None:
        n = int(judged.revealing.sum())
        yield settle(
            "staleness.versions",
            f"no read is more than {staleness.versions} acknowledged versions behind",
            ledger.against(lambda finding: finding.name == "stale-versions"),
            measured=f"{n:,} reads after an acknowledged write",
            n=n,
        )
    measures = ledger.measures("stale-rate")
    for number, rate in enumerate(contract.rates):
        yield _rate(number, rate, measures[number] if number < len(measures) else None)
    if contract.ttl is not None:
        yield _time_to_live(contract.ttl, ledger)


def _bound(plan: Plan, history: History, ledger: Ledger, support: Support | None, *, key: str, words: str) -> Clause:
    """A bound on the age of reads, for one phase of the run."""
    needed = plan.adequacy
    phase = STEADY if key == "steady" else key.replace("during.", "during ")
    broken = ledger.against(lambda finding: finding.name == "stale-read" and _judged_in(finding.phase, plan) == phase)
    oldest = _stalest(plan, history, phase)
    measured = "no read" if oldest is None else f"the stalest read was certainly {format_duration(oldest)} old"
    name, promise = f"staleness.{key}", f"no read is staler than {words}"
    if support is None or len(support.late_ns) == 0 or oldest is None:
        what = "read was answered" if support is not None else "acknowledged write was followed by reads"
        missing = f"no {what} in the phase {phase}, so nothing shows that the bound holds"
        return settle(name, promise, broken, measured=measured, n=0, missing=missing)
    n, held = len(support.late_ns), support.held(needed.resolution)
    low, high = clopper_pearson(held, n)
    reached = support.resolution_ns(needed.coverage)
    missing = ""
    if held < needed.coverage * n:
        better = f"; {needed.coverage:.0%} are reached at {format_duration(reached)}" if reached is not None else ""
        missing = (
            f"only {held / n:.1%} of {n:,} (write, node) pairs were seen fresh within {format_duration(needed.resolution)} "
            f"after the bound, {needed.coverage:.0%} are needed{better}"
        )
    return settle(
        name,
        promise,
        broken,
        measured=f"{measured}; {held:,} of {n:,} (write, node) pairs seen fresh in time",
        n=n,
        missing=missing,
        interval=f"{held / n:.2%} in time, {low:.2%} to {high:.2%} at 95% confidence",
        resolution=f"{needed.coverage:.0%} within {format_duration(reached)} after the bound"
        if reached is not None
        else f"{needed.coverage:.0%} never seen fresh",
    )


def _stalest(plan: Plan, history: History, phase: str) -> int | None:
    """The greatest certain age among the reads that were held to the bound of ``phase``; None if there are none.

    What a fault without a bound of its own has touched is held to none (``checkers.phases.bound_of``).
    """
    found = reads(history, plan.contract)
    judged = np.array([_judged_in(label, plan) == phase for label in phase_labels(history)])
    held = np.flatnonzero(judged[phase_of(history, plan.contract, found.call_ns)])
    lo = ages(history, found)[0][held]
    since, call = history.derive(versions).newer_sup_ns[found.place[held]], found.call_ns[held]
    bound = bound_of(history, plan.contract, np.where(lo > 0, since, call), call)
    bounded = lo[bound < NEVER]
    return int(bounded.max()) if len(bounded) else None


def _judged_in(phase: str, plan: Plan) -> str:
    """The phase whose bound a read in ``phase`` is held to: the fault's own, if it has one, in the grace period after it, too."""
    fault = phase.removeprefix("during ").removeprefix("after ")
    return f"during {fault}" if fault in plan.contract.staleness.during else STEADY


def _rate(number: int, rate: RatePromise, measure: Measure | None) -> Clause:
    """A share of units that may see a read older than a limit."""
    unit = "fault episodes" if rate.per == "episode" else "(write, node) pairs"
    n = 0 if measure is None else measure.n
    share, low, high = (0.0, 0.0, 1.0) if measure is None else (measure.value or 0.0, measure.low or 0.0, _or(measure.high, 1.0))
    outcome, why = Outcome.INCONCLUSIVE, ""
    seen = f"{round(share * n):,} of {n:,} {unit}"
    limit = f"{rate.at_most:.3g}"
    if measure is None:
        why = _NOT_JUDGED
    elif n and low > rate.at_most:
        outcome = Outcome.VIOLATED
        why = f"{seen} saw a read older than {format_duration(rate.older_than)}: at least {low:.3g}, and {limit} is allowed"
    elif n and high <= rate.at_most:
        outcome = Outcome.PASS
    elif rate.at_most == 0.0:
        why = f"{seen} saw one, but no sample shows that a rate is 0: promise a bound on staleness instead"
    else:
        why = (
            f"{seen} saw one, so the rate may be up to {high:.3g} and {limit} is allowed: "
            f"it takes {zero_failure_n(rate.at_most, rate.confidence):,} without any to show that"
        )
    return Clause(
        name=f"rates[{number}]",
        promise=f"at most {limit} of {unit} see a read older than {format_duration(rate.older_than)}"
        + (f", {rate.phase}" if rate.phase else ""),
        measured=f"{share:.3g} ({seen})" if n else "nothing",
        outcome=outcome,
        n=n,
        interval=f"{low:.3g} to {high:.3g}, each at {rate.confidence:.0%} confidence" if n else "",
        why=why,
    )


def _time_to_live(promise: TimeToLive, ledger: Ledger) -> Clause:
    """How long a value may be served after it was written."""
    measures = ledger.measures("expired-reads")
    n = sum(measure.n for measure in measures)
    grace = f", give or take {format_duration(promise.grace)}" if promise.grace else ""
    return settle(
        "ttl",
        f"no value is served for longer than {format_duration(promise.max)}{grace}",
        ledger.against(lambda finding: finding.name == "expired-read"),
        measured=f"{n:,} reads",
        n=n,
        missing=""
        if n
        else f"no read came later than {format_duration(promise.max + promise.grace)} after the latest write of its key"
        if measures
        else _NOT_JUDGED,
    )


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
