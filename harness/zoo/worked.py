"""The worked example of a bug: its schedule, really carried out, with what every operation came to and what that proves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.history import Function, History, Seen, Status
from harness.reference.bug import Bug
from harness.results import Finding
from harness.simulation.script import EVERY, Answered, Invoke, Step, parse_script
from harness.zoo.diagram import diagram
from harness.zoo.trials import forced


@dataclass(frozen=True, slots=True)
class Worked:
    """What came of a schedule on the broken design.

    Attributes:
        diagram: the schedule with the outcomes of its operations, as text.
        findings: what broke the contract, the most telling first.
    """

    diagram: str
    findings: tuple[Finding, ...]


def worked(bug: Bug) -> Worked:
    """Carry the schedule of ``bug`` out on its broken design; raises ``HarnessError`` if that cannot be done."""
    trial = forced(bug, bug.broken)
    return Worked(diagram(bug.schedule, outcomes(parse_script(bug.schedule, bug.name), trial.history)), trial.findings)


def outcomes(steps: Sequence[Step], history: History) -> Mapping[int, str]:
    """What each operation of ``steps`` came to in ``history``, at the step at which it was known."""
    rows = iter(np.flatnonzero(history.workload == 0)[np.argsort(history.op[history.workload == 0])].tolist())
    found: dict[int, str] = {}
    for number, step in enumerate(steps):
        if isinstance(step, Invoke):
            nodes = history.nodes if step.node == EVERY else (step.node,)
            words = [" and ".join(_outcome(history, next(rows)) for _ in step.keys) for _ in nodes]
            found[_known(steps, number, step.session)] = ", ".join(words)
    return found


def _known(steps: Sequence[Step], number: int, session: str) -> int:
    """The step at which the operation that ``session`` calls at step ``number`` is over, as far as the schedule says."""
    later: Iterator[tuple[int, Step]] = enumerate(steps[number + 1 :], number + 1)
    for at, step in later:
        if isinstance(step, Invoke) and step.session == session:
            break
        if isinstance(step, Answered) and step.session == session:
            return at
    return number


def _outcome(history: History, row: int) -> str:
    status = history.status[row]
    if status == Status.INFO:
        return "no answer"
    if status == Status.FAIL:
        return f"failed, {history.errors[history.error[row]]}"
    if history.function[row] == Function.DELETE:
        return "deleted"
    if history.function[row] == Function.WRITE:
        return f"version {history.sent_version[row]}"
    if history.seen[row] != Seen.HIT:
        return "nothing"
    other = history.seen_key[row]
    return f"version {history.seen_version[row]}" + ("" if other in (-1, history.key[row]) else f" of {history.keys[other]}")
