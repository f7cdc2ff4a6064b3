"""The contract's clauses of order, convergence and loss, one function a promise; ``harness.contract.bounds`` has the others.

Integrity and order findings fail at one: a single instance is proof. What can only be shown by looking long enough (convergence,
losses) is met where the fleet was looked at: the plan's coverage says how much of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from checkers.sessions import stays
from harness.contract.ledger import Ledger, settle
from harness.contract.reads import JudgedReads
from harness.durations import format_duration
from harness.history import Column, Function, History, Seen, Status
from harness.plan import Plan, Reach
from harness.results import Clause, Finding, Severity

_SCOPES: dict[Reach, tuple[str, ...]] = {
    "none": (),
    "sticky": ("sticky",),
    "same-node": ("sticky", "same-node"),
    "any-node": ("sticky", "same-node", "cross-node"),
}
"""Which findings break a session guarantee of a given reach: the narrower a broken pair, the more promises it breaks."""

_REACHES: dict[Reach, str] = {
    "none": "",
    "sticky": "while the session stays at one node",
    "same-node": "at one node",
    "any-node": "wherever the session goes",
}
_GUARANTEES = {
    "read_your_writes": "a session reads what it wrote, or newer",
    "monotonic_reads": "a session never reads older than it has read",
    "monotonic_writes": "a session's writes appear in their order",
    "writes_follow_reads": "what a session writes appears after what it had read",
}
_PAIRS = {
    "read_your_writes": "reads of a key after a write of it",
    "monotonic_reads": "reads of a key after a read of it",
    "monotonic_writes": "writes after a write",
    "writes_follow_reads": "writes after a read",
}


def order_clauses(plan: Plan, history: History, reads: JudgedReads, ledger: Ledger) -> Iterator[Clause]:
    """Integrity, and the promises that one counterexample breaks."""
    contract = plan.contract
    yield _integrity(reads, ledger)
    if contract.linearizable:
        yield _linearizable(reads, ledger)
    if contract.atomic_reads:
        yield _atomic_reads(ledger)
    # Where no key has an order, node_monotonic says nothing that linearizable does not say.
    if contract.node_monotonic and not (contract.linearizable and not history.ordered.any()):
        yield _node_monotonic(history, ledger)
    for guarantee in _GUARANTEES:
        reach: Reach = getattr(contract.sessions, guarantee)
        if reach != "none":
            yield _session(guarantee, reach, history, ledger)


def fleet_clauses(plan: Plan, history: History, ledger: Ledger) -> Iterator[Clause]:
    """The promises about what the fleet comes to: convergence, lost writes."""
    if plan.contract.converges_within is not None:
        yield _converges(plan, history, ledger, plan.contract.converges_within)
    if plan.contract.lost_writes is not None:
        yield _lost_writes(plan, ledger, "lost_writes", plan.contract.lost_writes)
    elif plan.contract.misses == "loss":
        # To call a miss a loss is to promise that there is none.
        yield _lost_writes(plan, ledger, "misses", 0)


def _integrity(reads: JudgedReads, ledger: Ledger) -> Clause:
    return settle(
        "integrity",
        "every value that is read was written to that key, by a write that may have happened, before the read returned",
        ledger.against(lambda finding: finding.severity == Severity.INTEGRITY),
        measured=f"{len(reads):,} reads",
        n=len(reads),
    )


def _linearizable(reads: JudgedReads, ledger: Ledger) -> Clause:
    undecided = sum(int(measure.value or 0) for measure in ledger.measures("keys-undecided"))
    missing = f"the search for an order was given up on {undecided} key{'s' if undecided > 1 else ''}" if undecided else ""
    distances = [
        f"{symbol} {format_duration(measure.value)}"
        for symbol, name in (("Δ", "delta-atomicity"), ("Γ", "gamma-atomicity"))
        for measure in ledger.measures(name)
        if measure.value is not None
    ]
    return settle(
        "linearizable",
        "each key is one register: every read returns the latest write",
        ledger.against(_named("not-linearizable")),
        measured=", ".join([f"{len(reads):,} reads", *distances]),
        n=len(reads),
        missing=missing,
    )


def _atomic_reads(ledger: Ledger) -> Clause:
    shares = ledger.measures("fractured-share")
    n = sum(measure.n for measure in shares)
    missing = ""
    if not shares:
        missing = "no request was for several keys; those of the workload `multi-key` are"
    elif n == 0:
        missing = "no read of several keys found a value that was written together with another of them"
    return settle(
        "atomic_reads",
        "what was written in one request is read in one request whole, or not at all",
        ledger.against(_named("fractured-read")),
        measured=f"{n:,} reads of several keys that were written together",
        n=n,
        missing=missing,
    )


def _node_monotonic(history: History, ledger: Ledger) -> Clause:
    found = _found(history) & (history.epoch >= 0)
    n = _exercised(history.call_ns, _group(history.key, history.node, history.epoch + 1), found, found)
    return settle(
        "node_monotonic",
        "one node, in one epoch, never goes backwards",
        ledger.against(_named("node-regress", "late-write")),
        measured=f"{n:,} reads after another one of their key, node and epoch",
        n=n,
        missing="" if n else "no key was read twice at one node in one epoch",
    )


def _session(guarantee: str, reach: Reach, history: History, ledger: Ledger) -> Clause:
    scopes, name = _SCOPES[reach], guarantee.replace("_", "-")
    read, wrote = _found(history), (history.function != Function.READ) & (history.status == Status.OK)
    earlier, later, same_key = {
        "read_your_writes": (wrote, read, True),
        "monotonic_reads": (read, read, True),
        "monotonic_writes": (wrote, wrote, False),
        "writes_follow_reads": (read, wrote, False),
    }[guarantee]
    within = {"any-node": history.session, "same-node": _group(history.session, history.node), "sticky": history.derive(stays)}[
        reach
    ]
    n = _exercised(history.call_ns, _group(within, history.key) if same_key else within, earlier, later)
    where = "" if reach == "any-node" else " at one node"
    return settle(
        f"sessions.{guarantee}",
        f"{_GUARANTEES[guarantee]}, {_REACHES[reach]}",
        ledger.against(lambda finding: finding.name == name and finding.scope in scopes),
        measured=f"{n:,} {_PAIRS[guarantee]} in one session{where}",
        n=n,
        missing="" if n else f"there were no {_PAIRS[guarantee]} in one session{where}",
    )


def _converges(plan: Plan, history: History, ledger: Ledger, within_ns: int) -> Clause:
    whole = [measure for measure in ledger.measures("convergence") if not measure.scope and not measure.phase]
    n, censored = (sum(measure.n for measure in whole), sum(measure.censored for measure in whole))
    slowest = max((measure.value for measure in whole if measure.value is not None), default=None)
    coverage = max((measure.value or 0.0 for measure in ledger.measures("convergence-coverage")), default=0.0)
    broken = ledger.against(_named("stuck", "slow-convergence"))
    proven_stuck = sum(finding.count for finding in broken.all if finding.name == "stuck")
    unseen = censored - proven_stuck
    missing = ""
    if history.settled_ns is None:
        missing = "the run ended before the fleet was left to converge"
    elif unseen > 0:
        missing = f"{unseen:,} of {n:,} keys at nodes were not seen converged, nor stale for longer than promised"
    elif coverage < plan.adequacy.coverage:
        missing = (
            f"only {coverage:.1%} of the keys at nodes were probed after the last write, {plan.adequacy.coverage:.0%} are needed"
        )
    return settle(
        "converges_within",
        f"every node has the newest version {format_duration(within_ns)} after writing has stopped and faults are healed",
        broken,
        measured=f"{n - censored:,} of {n:,} keys at nodes converged"
        + (f", the slowest after {format_duration(slowest)}" if slowest is not None else ""),
        n=n,
        missing=missing,
        resolution=f"{coverage:.1%} of keys at nodes probed",
    )


def _lost_writes(plan: Plan, ledger: Ledger, name: str, allowed: int) -> Clause:
    whole = ledger.measures("lost-writes")
    n = sum(measure.n for measure in whole)
    unjudged = sum(measure.censored for measure in whole)
    missing = ""
    if n < plan.adequacy.coverage * (n + unjudged) or n == 0:
        missing = f"only {n:,} of {n + unjudged:,} acknowledged writes could be looked for after the run"
    return settle(
        name,
        f"at most {allowed} acknowledged write{' is' if allowed == 1 else 's are'} lost"
        if allowed
        else "no acknowledged write is lost",
        ledger.against(_named("lost-write")),
        measured=f"{n:,} acknowledged writes",
        n=n,
        missing=missing,
        allowed=allowed,
    )


def _named(*names: str) -> Callable[[Finding], bool]:
    return lambda finding: finding.name in names


def _found(history: History) -> Column:
    """Where an ok read found a version that has an order."""
    found: Column = (history.seen == Seen.HIT) & (history.status == Status.OK) & history.ordered[history.key]
    return found


def _group(*columns: Column) -> Column:
    """One number a row for what the ``columns`` say together; they hold whole numbers from 0."""
    group = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        group = group * (int(column.max(initial=0)) + 1) + column
    return group


def _exercised(call_ns: Column, group: Column, earlier: Column, later: Column) -> int:
    """How many ``later`` operations were called after an ``earlier`` one of their group: those that can break a promise."""
    order = np.argsort(group, kind="stable")
    begins = np.ones(len(order), np.bool_)
    begins[1:] = np.diff(group[order]) != 0
    # What is called at one time has no order: the keys of one request are not after each other.
    ticks = begins.copy()
    ticks[1:] |= np.diff(call_ns[order]) != 0
    before = np.cumsum(earlier[order]) - earlier[order]
    at_begin, at_tick = (before[np.maximum.accumulate(np.where(edge, np.arange(len(order)), 0))] for edge in (begins, ticks))
    return int((later[order] & (at_tick > at_begin)).sum())
