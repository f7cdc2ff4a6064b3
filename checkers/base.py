"""What a checker is, and how it puts a finding together.

A checker is a pure function from a history and a contract to a result. It does no I/O and reads no clock. The contract tells a
checker what to measure against (which misses count, which bound holds in which phase), never what to hide: an anomaly is reported
whether or not the contract forbids it, and ``harness.contract`` judges.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from checkers.phases import phase_between, phase_labels, phase_of
from harness.history import Column, History
from harness.plan import Contract
from harness.results import Finding, Result, Severity

WITNESS = 8
"""The most operations that a proof may take."""

EXAMPLES = 9
"""How many further instances a finding shows."""


class Checker(Protocol):
    """One property of histories."""

    def __call__(self, history: History, contract: Contract) -> Result:
        """Findings and measures of ``history``; the result's ``checker`` is the name the checker is registered under."""


@dataclass(frozen=True, slots=True)
class Proof:
    """One instance of an anomaly: what happened, why that is a contradiction, and the rows of the operations that show it.

    ``rows`` come most telling first; negative ones stand for operations that do not exist (the write of version 0).
    """

    claim: str
    argument: tuple[str, ...]
    rows: tuple[int, ...]
    key: str = ""
    nodes: tuple[str, ...] = ()


def findings(
    history: History,
    name: str,
    severity: Severity,
    *,
    phases: tuple[tuple[str, ...], Column],
    gravity: Column,
    prove: Callable[[int], Proof],
    scope: str = "",
) -> tuple[Finding, ...]:
    """One finding per phase in which an anomaly was seen.

    Args:
        history: where it was seen.
        name: as in ``Finding``.
        severity: as in ``Finding``.
        phases: labels, and for each instance an index into them (``phases_at``).
        gravity: for each instance how clear it is; the greatest is shown, the first of equals.
        prove: the proof of the instance with a given index.
        scope: as in ``Finding``.
    """
    labels, phase = phases
    made = []
    for number in np.unique(phase):
        instances = np.flatnonzero(phase == number)
        worst = instances[np.argsort(-gravity[instances], kind="stable")[: EXAMPLES + 1]]
        proofs = [prove(int(instance)) for instance in worst]
        made.append(
            Finding(
                name=name,
                severity=severity,
                phase=labels[number],
                count=len(instances),
                claim=proofs[0].claim,
                argument=proofs[0].argument,
                witness=witness(history, proofs[0].rows),
                key=proofs[0].key,
                scope=scope,
                nodes=proofs[0].nodes,
                examples=tuple(witness(history, proof.rows) for proof in proofs[1:]),
            )
        )
    return tuple(made)


def phases_at(history: History, contract: Contract, times_ns: Column) -> tuple[tuple[str, ...], Column]:
    """The phase labels of the history, and the index of the one that each time lies in."""
    return phase_labels(history), phase_of(history, contract, times_ns)


def phases_between(history: History, contract: Contract, begin_ns: Column, end_ns: Column) -> tuple[tuple[str, ...], Column]:
    """The phase labels of the history, and the index of the one to put down to what each interval proves as a whole."""
    return phase_labels(history), phase_between(history, contract, begin_ns, end_ns)


def witness(history: History, rows: tuple[int, ...]) -> tuple[int, ...]:
    """The op ids of at most eight rows, in call order."""
    kept = sorted(list(dict.fromkeys(row for row in rows if row >= 0))[:WITNESS])
    return tuple(int(history.op[row]) for row in kept)
