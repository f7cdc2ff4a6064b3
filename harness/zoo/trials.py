"""One trial: a design is run, its history checked, and what breaks its contract is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from checkers import CHECKERS, check
from faults import FAULTS, schedule
from harness.contract import judge
from harness.durations import UNITS
from harness.findings import telling
from harness.history import History
from harness.plan import CandidateSpec, Contract, FaultSpec, Plan, WorkloadSpec
from harness.reference.bug import Bug
from harness.reference.design import Design
from harness.reference.places import topology_of
from harness.results import Finding, Outcome
from harness.simulation.fleet import PACE
from harness.simulation.forcing import force
from harness.simulation.play import play
from harness.simulation.script import Step, parse_script

TIMEOUT_NS = 1_000 * UNITS["ms"]
_PAST_BOUND_NS = 1_000 * UNITS["ms"]


@dataclass(frozen=True, slots=True)
class Trial:
    """What came out of one run.

    Attributes:
        history: the run.
        contract: what it was held to.
        findings: those that break the contract, the most telling first.
        why: the verdict's reason.
    """

    history: History
    contract: Contract
    findings: tuple[Finding, ...]
    why: str

    @property
    def broken(self) -> frozenset[str]:
        """The names of the findings that break the contract."""
        return frozenset(finding.name for finding in self.findings)


def forced(bug: Bug, design: Design, *, without: str = "") -> Trial:
    """The bug's schedule on ``design``, which is held to what the correct design promises; ``without`` one of the checkers."""
    contract = bug.correct.promise(bug.correct.settings, PACE.most_ns)
    history = force(
        design,
        parse_script(bug.schedule, bug.name),
        count=bug.nodes,
        settings=design.settings,
        settle_ns=settle_ns(contract),
    )
    return judged(history, contract, without)


def random(
    design: Design,
    contract: Contract,
    *,
    seed: int,
    nodes: int,
    workloads: Sequence[Mapping[str, Any]],
    faults: Sequence[Mapping[str, Any]],
    duration_ns: int,
) -> Trial:
    """A random run of ``design`` under ``workloads`` and ``faults``, written as in a plan."""
    struck = [FAULTS.load(fault["kind"])(FaultSpec.model_validate(fault)) for fault in faults]
    planned = schedule(struck, topology_of(design, nodes), seed, duration_ns)
    history = play(
        design,
        count=nodes,
        settings=design.settings,
        seed=seed,
        workloads=[WorkloadSpec.model_validate(workload) for workload in workloads],
        duration_ns=duration_ns,
        settle_ns=settle_ns(contract),
        timeout_ns=TIMEOUT_NS,
        faults=struck,
        planned=planned,
    )
    return judged(history, contract)


def scripted(design: Design, contract: Contract, steps: Sequence[Step], *, nodes: int, seed: int = 0) -> Trial:
    """``steps`` on ``design``; those that cannot be taken are left out."""
    history = force(design, steps, count=nodes, settings=design.settings, settle_ns=settle_ns(contract), seed=seed, lenient=True)
    return judged(history, contract)


def judged(history: History, contract: Contract, without: str = "") -> Trial:
    """What of ``history`` breaks ``contract``; without one of the checkers if it is named."""
    plan = Plan(candidate=CandidateSpec(kind="reference"), contract=contract, workloads=(WorkloadSpec(kind="register"),))
    results = check(history, contract, [name for name in CHECKERS.names if name != without])
    verdict = judge(plan, history, results)
    harmless = {*verdict.noted, *verdict.excused}
    findings = [finding for result in results for finding in result.findings if finding not in harmless]
    why = verdict.why if verdict.outcome is Outcome.VIOLATED else ""
    return Trial(history, contract, tuple(sorted(findings, key=telling)), why)


def settle_ns(contract: Contract) -> int:
    """How long a fleet is probed: past the time in which it promises to converge, or an entry cannot be seen to be stuck."""
    return (contract.converges_within or 0) + _PAST_BOUND_NS
