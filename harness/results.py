"""What checkers and the contract say: findings, measures, curves, clauses, the verdict. Plain records, no behaviour but order.

Operations are named by their op id, so that a result stays valid however the history is sliced or sorted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Severity(IntEnum):
    """Classes of findings, gravest first (integrity is always fatal)."""

    INTEGRITY = 0
    ORDER = 1
    CONVERGENCE = 2
    BOUND = 3
    INFO = 4


class Outcome(StrEnum):
    """What can be said of a run, or of one clause of its contract.

    Within one run a violation outranks missing evidence: see ``harness.contract``.
    """

    PASS = "pass"  # noqa: S105 - a verdict, no secret
    VIOLATED = "violated"
    INCONCLUSIVE = "inconclusive"
    WAIVED = "waived"
    """Broken, counted and shown, but excused by the contract; for clauses only."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One named anomaly in one phase, with the clearest instance as its proof.

    Attributes:
        name: the anomaly, in kebab case: ``node-regress``, ``stale-read``, ``lost-write``.
        severity: its class.
        scope: what the name leaves open, such as ``same-node`` or ``cross-node``; may be empty.
        phase: ``steady``, ``during <fault>`` or ``after <fault>``.
        count: how many instances the history holds in this scope and phase.
        claim: one sentence that says what happened in the clearest instance, with numbers.
        argument: the contradiction in steps, each a sentence.
        witness: op ids of the operations that prove it, in call order; at most eight.
        key: the key's name; empty where several keys are involved.
        nodes: names of the nodes involved.
        examples: witnesses of further instances, worst first; at most nine.
    """

    name: str
    severity: Severity
    phase: str
    count: int
    claim: str
    argument: tuple[str, ...]
    witness: tuple[int, ...]
    key: str = ""
    scope: str = ""
    nodes: tuple[str, ...] = ()
    examples: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Measure:
    """A number with its interval and its sample.

    Attributes:
        name: what is measured: ``staleness-lo-p99``, ``convergence``, ``success-rate``.
        value: the point estimate, or None where nothing was observed.
        unit: ``ns``, ``versions``, ``ratio``, ``count``, ``ops/s``.
        low, high: the interval, where there is one.
        n: sample size, in the unit of analysis named by ``per``.
        per: ``read``, ``write``, ``write-node``, ``episode``, ``operation``, ``key-node``, ``request``.
        phase: as in ``Finding``; empty for the whole run.
        scope: a node's or fault's name; empty for all.
        censored: how many of the ``n`` were cut off before their value was seen.
        note: one sentence for the reader.
    """

    name: str
    value: float | None
    unit: str
    n: int
    per: str
    low: float | None = None
    high: float | None = None
    phase: str = ""
    scope: str = ""
    censored: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """A function sampled at a few dozen points, for a chart and its text alternative."""

    name: str
    scope: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    x_unit: str
    y_unit: str
    n: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What one checker says of one history."""

    checker: str
    findings: tuple[Finding, ...] = ()
    measures: tuple[Measure, ...] = ()
    curves: tuple[Curve, ...] = ()


@dataclass(frozen=True, slots=True)
class Clause:
    """One promise of the contract, held against what was measured.

    Attributes:
        name: the promise's key in the contract: ``staleness.steady``, ``sessions.monotonic_reads``.
        promise: the promise in words: ``no read older than 100 ms``.
        measured: what was seen, in words and numbers.
        interval: the confidence or certainty interval in words; may be empty.
        n: how many units could have broken the promise.
        resolution: how fine the probe was, in words; may be empty.
        outcome: the judgement on this clause.
        why: one sentence, wherever the outcome is not ``pass``.
        findings: names of the findings that decided it.
    """

    name: str
    promise: str
    measured: str
    outcome: Outcome
    n: int = 0
    interval: str = ""
    resolution: str = ""
    why: str = ""
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing a run must have exercised before its silence means anything."""

    name: str
    needed: str
    seen: str
    enough: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer: an outcome, and every clause and piece of evidence behind it.

    Attributes:
        outcome: pass, violated or inconclusive.
        why: the clause or the evidence that decided it, in one sentence.
        clauses: every promise, in the order of the contract.
        adequacy: what the run exercised.
        noted: findings that no clause promises against.
        excused: findings that a waiver of the contract excuses.
    """

    outcome: Outcome
    why: str
    clauses: tuple[Clause, ...]
    adequacy: tuple[Evidence, ...]
    noted: tuple[Finding, ...] = ()
    excused: tuple[Finding, ...] = ()
