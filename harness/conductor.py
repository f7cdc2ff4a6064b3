"""One run from start to finish: a plan goes in, a judged history comes out. Always heals, always saves.

    prepare   everything the plan names is loaded and checked; nothing has started yet
    run       nodes start, sessions drive them while faults strike; all heals, and the fleet is probed until it converges;
              the history is saved, then checked, judged and reported. A reference fleet does all of that in virtual time
    evaluate  the second half again, for a run that was stored

Things stop in a fixed order: sessions first, then faults, then the candidate's own connections, then the nodes. The first Ctrl-C
(or SIGTERM) ends a run early in that same order and judges what there is. A second one is for the impatient: it still heals and
stops everything, but leaves the judging to ``anachron check``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from checkers import check
from faults import FAULTS, Fault, refuse_direct, refuse_impossible, schedule
from harness.candidates import CANDIDATES, Candidate, Capped, Guarded
from harness.candidates.reference import Reference
from harness.candidates.several import refuse_several
from harness.contract import judge
from harness.contract.text import contract_text
from harness.durations import UNITS, format_duration
from harness.environment import load_average, machine_facts
from harness.errors import InterruptedRunError, PlanError, StorageError
from harness.experiment import Experiment, Recording, Watcher, conduct
from harness.history import History
from harness.journal import read_oddities
from harness.plan import Plan, Spec
from harness.registry import Registry
from harness.runtimes import RUNTIMES
from harness.runtimes.base import Capability, Runtime
from harness.runtimes.simulated import SIMULATED
from harness.simulation.conducting import simulate
from harness.simulation.fleet import PACE
from harness.simulation.strikes import refuse_unsimulated
from harness.store import RunDirectory
from reports import Report, write_all
from workloads import WORKLOADS

T = TypeVar("T")

__all__ = ["Finished", "Watcher", "evaluate", "prepare", "run"]

_LOG_LINES = 40
_REAL_HOP_NS = 50 * UNITS["ms"]
"""How long a message between two processes may take on a busy machine."""
_THEORY = "# The plan has no contract of its own: this is what the theory of its strategy promises under these faults."


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that is over.

    Attributes:
        report: what came out.
        directory: where everything is kept.
        paths: the reports that were written, by file name.
    """

    report: Report
    directory: RunDirectory
    paths: Mapping[str, Path]


def prepare(plan: Plan) -> Experiment:
    """Load and check everything that ``plan`` names; nothing is started. Raises ``PlanError`` and ``UnsupportedError``."""
    candidate = _named(CANDIDATES, plan.candidate)(plan.candidate)
    _refuse_elsewhere(plan, candidate)
    plan = _promised(plan, candidate)
    for spec in plan.workloads:
        workload = _named(WORKLOADS, spec)(spec, candidate.topology)
        if not workload.ordered:
            _refuse_version_order(plan)
        refuse_several(spec, workload, candidate)
    if isinstance(candidate, Capped):
        _refuse_load(plan, candidate.load_cap)
    faults = tuple(_named(FAULTS, spec)(spec) for spec in plan.faults)
    if plan.run.runtime == SIMULATED:
        refuse_unsimulated(faults)
    else:
        runtime = _runtime(plan, faults, Path())
        refuse_impossible(faults, runtime)
        refuse_direct(faults, candidate.topology, runtime)
    _refuse_sealed(faults, candidate)
    planned = schedule(faults, candidate.topology, plan.seed, plan.run.duration)
    return Experiment(plan, candidate, faults, planned)


def run(plan: Plan, text: str, root: Path, watch: Watcher) -> Finished:
    """Carry out ``plan``, which was written as ``text``, in a new directory under ``root``.

    Raises ``PlanError`` and ``UnsupportedError`` before anything starts, ``StartupError`` if the nodes do not come up,
    ``InterruptedRunError`` if the user does not wait for the verdict, and ``StorageError`` if the history cannot be saved. Later
    failures of the harness are told in the report.
    """
    experiment = prepare(plan)
    if experiment.plan.contract != plan.contract:
        text = f"{text.rstrip()}\n\n{_THEORY}\n{contract_text(experiment.plan.contract)}\n"
    plan = experiment.plan
    directory = RunDirectory.create(root, plan, text)
    runtime = _runtime(plan, experiment.faults, directory.path)
    directory.add_environment({**_facts(experiment, runtime), **machine_facts()})  # a killed run can say what it was, too
    if plan.run.runtime == SIMULATED:
        recording = simulate(experiment, watch)
    else:
        recording = asyncio.run(conduct(experiment, runtime, directory, watch))
    try:
        return _finish(directory, plan, recording, watch)
    except KeyboardInterrupt:
        raise InterruptedRunError(
            "the run was interrupted while it was judged",
            where=str(directory.path),
            fix="`anachron check` judges what was recorded",
        ) from None


def _finish(directory: RunDirectory, plan: Plan, recording: Recording, watch: Watcher) -> Finished:
    """Save, check, judge and report what was recorded."""
    watch.stage("saving")
    directory.save_history(recording.history)
    failure = {"failure": str(recording.failure)} if recording.failure else {}
    directory.add_environment({"load average at the end": load_average(), **failure})
    watch.stage("checking")
    report = _report(directory, plan, recording.history)
    watch.stage("writing the report")
    try:
        paths = write_all(report, directory.path)
    except StorageError as error:
        paths = {}
        watch.stage(str(error))
    return Finished(report, directory, paths)


def evaluate(directory: RunDirectory) -> Report:
    """Check and judge a stored run again; raises ``HistoryError`` and ``PlanError`` if it cannot be read."""
    return _report(directory, directory.load_plan(), directory.load_history())


def _named(registry: Registry[T], spec: Spec) -> T:
    """What the ``kind`` of ``spec`` names; raises ``PlanError`` that points into the plan file."""
    try:
        return registry.load(spec.kind)
    except PlanError as error:
        raise spec.error(error.what, key="kind", why=error.why, fix=error.fix) from None


def _runtime(plan: Plan, faults: Sequence[Fault], directory: Path) -> Runtime:
    return RUNTIMES.load(plan.run.runtime)(
        directory,
        client_proxies=plan.run.client_proxies,
        node_proxies=plan.run.node_proxies,
        messages=any(fault.needs & {Capability.MESSAGES, Capability.CLIENT_MESSAGES} for fault in faults),
    )


def _report(directory: RunDirectory, plan: Plan, history: History) -> Report:
    results = check(history, plan.contract)
    environment = directory.load_environment()
    return Report(
        plan=plan,
        plan_text=directory.plan_file.read_text(),
        history=history,
        results=results,
        verdict=judge(plan, history, results),
        run=str(directory.path),
        environment=environment,
        logs={path.stem: _end(path) for path in sorted(directory.logs.glob("*.log"))},
        node_logs=directory.load_node_logs(),
        oddities=tuple(str(oddity) for oddity in read_oddities(directory.journals)),
        failure=environment.get("failure", ""),
    )


def _facts(experiment: Experiment, runtime: Runtime) -> Mapping[str, str]:
    """What is known of the experiment before it starts, for people."""
    left_out = _left_out(experiment)
    return {
        "candidate": f"{experiment.plan.candidate.kind}: {experiment.candidate.product}",
        "runtime": experiment.plan.run.runtime,
        "means": runtime.means,
        "operation time-out": format_duration(experiment.plan.run.timeout),
        **({"left out": "; ".join(left_out)} if left_out else {}),
    }


def _left_out(experiment: Experiment) -> tuple[str, ...]:
    """The episodes that the schedule leaves out, each with its reason."""
    return tuple(
        f"{episode.kind} at {format_duration(episode.intended_ns)}: {episode.skipped}"
        for episode in experiment.planned
        if episode.skipped
    )


def _end(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-_LOG_LINES:])


def _promised(plan: Plan, candidate: Candidate) -> Plan:
    """``plan`` with what theory promises of its candidate under its faults, if it has no contract and there is a theory."""
    if not isinstance(candidate, Reference) or "contract" in plan.model_fields_set:
        return plan
    real = plan.run.runtime != SIMULATED
    theory = candidate.promise(_REAL_HOP_NS if real else PACE.most_ns, sockets=real)
    kinds = {fault.kind for fault in plan.faults}
    during = {kind: bound for kind, bound in theory.staleness.during.items() if kind in kinds}
    staleness = theory.staleness.model_copy(update={"during": during})
    return plan.model_copy(update={"contract": theory.model_copy(update={"staleness": staleness})})


def _refuse_elsewhere(plan: Plan, candidate: Candidate) -> None:
    """Raise ``PlanError`` for servers that cannot be simulated."""
    if plan.run.runtime != SIMULATED or isinstance(candidate, Reference):
        return
    raise plan.candidate.error(
        f'the candidate "{plan.candidate.kind}" cannot be simulated',
        key="kind",
        why="only the reference fleet is known well enough to be simulated; this one consists of real servers",
        fix='kind = "reference" under [candidate], or another runtime under [run]',
    )


def _refuse_load(plan: Plan, load_cap: float) -> None:
    """Raise ``PlanError`` if the workloads might make more operations a second than the candidate allows."""
    for spec in plan.workloads:
        if spec.rate is None:
            raise spec.error(
                f'the workload "{spec.kind}" goes as fast as it is answered',
                key="rate",
                why=f"this candidate is used by others, too, and allows {load_cap:g} operations a second",
                fix="give every workload a rate",
            )
    together = sum(spec.rate for spec in plan.workloads if spec.rate is not None)
    if together > load_cap:
        raise plan.candidate.error(
            f"the workloads make {together:g} operations a second together, and the candidate allows {load_cap:g}",
            key="load_cap",
            fix="lower the rates, or raise load_cap if the deployment can bear it",
        )


def _refuse_sealed(faults: Sequence[Fault], candidate: Candidate) -> None:
    """Raise ``PlanError`` for a fault that strikes messages where nobody between the nodes can read them."""
    if not isinstance(candidate, Guarded) or candidate.access.tls is None:
        return
    for fault in faults:
        if fault.needs & {Capability.MESSAGES, Capability.CLIENT_MESSAGES}:
            raise fault.spec.error(
                f'the fault "{fault.spec.kind}" picks out messages, and with TLS nobody can read them on their way',
                fix="tls = false under [candidate], or a fault that strikes the whole connection",
            )


def _refuse_version_order(plan: Plan) -> None:
    """Raise ``PlanError`` if the contract promises what only an order of versions can show (DEFINITIONS, "Versions")."""
    contract = plan.contract
    promised = [
        name
        for name, asked in (
            ("node_monotonic", contract.node_monotonic),
            ("atomic_reads", contract.atomic_reads),
            ("staleness", contract.staleness.steady is not None),
            ("sessions", any(reach != "none" for reach in contract.sessions.model_dump().values())),
            ("rates", bool(contract.rates)),
            ("converges_within", contract.converges_within is not None),
            ("lost_writes", contract.lost_writes is not None),
        )
        if asked
    ]
    if promised:
        raise PlanError(
            f"the contract promises {', '.join(promised)}, which nothing can show for keys with several writers",
            why="their versions have no order: nobody knows which of two concurrent writes came first",
            fix="give each key one writer; or promise linearizable = true, and node_monotonic = false, which needs an order",
        )
