"""``shrink``: the few operations of a run that prove a finding, and the smallest plan that still leads to it."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from checkers import CHECKERS
from harness import conductor
from harness.cli.judging import judge_source
from harness.cli.output import complain, say
from harness.cli.progress import Silence, progress
from harness.contract import judge
from harness.errors import PASS, AnachronError, HistoryError, StorageError, suggestion
from harness.history import History
from harness.plan import Plan, parse_plan
from harness.results import Finding, Result
from harness.runtimes.simulated import SIMULATED
from harness.shrink.plans import Reduced, Tables, reduce_plan
from harness.shrink.slicing import Slice, slice_history
from harness.shrink.toml import toml_text
from harness.simulation.conducting import simulate
from harness.store import RunDirectory
from harness.store.files import storage_error, write_text
from reports import Report, write_all
from reports.ages import ages
from reports.lanes import lanes
from reports.record import GATING
from reports.rows import rows
from reports.words import one_line, plural


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be shown with less: a finding of a run, and the checker that made it."""

    report: Report
    finding: Finding
    checker: str


def shrink_source(source: Path, *, finding: str | None, plan: str | None, to: Path | None, seconds: int, quiet: bool) -> int:
    """Shrink the run or history at ``source`` to what still shows ``finding``, or the most telling one.

    Raises ``HistoryError`` where there is nothing to shrink or it cannot be read, ``PlanError``, and ``StorageError``.
    """
    wanted = choose(judge_source(source, plan), finding)
    end_s = monotonic() + seconds
    directory = (
        to or (source / "shrunk" if source.is_dir() else source.with_name(f"{source.stem}-shrunk"))
    ) / wanted.finding.name
    sliced = slice_history(
        wanted.report.history,
        wanted.report.plan.contract,
        wanted.finding,
        CHECKERS.load(wanted.checker),
        late=lambda: monotonic() > end_s,
    )
    if sliced is None:
        raise HistoryError(
            f'the finding "{wanted.finding.name}" cannot be isolated',
            where=str(source),
            why=f"the checker {wanted.checker} does not find it a second time in the same history",
            fix="report it as a defect of that checker",
        )
    _tell_slice(wanted, sliced)
    saved = _save(wanted, sliced, directory)
    if wanted.report.plan.run.runtime == SIMULATED and source.is_dir():
        _shrink_plan(wanted, directory.with_suffix(".toml"), late=lambda: monotonic() > end_s, quiet=quiet)
    say(f"\n{directory}\n  anachron check {shlex.quote(str(directory))}    judges these operations alone\n{saved}")
    return PASS


def choose(report: Report, name: str | None) -> Wanted:
    """The finding called ``name``, or the most telling one; raises ``HistoryError`` if there is none."""
    there = list(dict.fromkeys(finding.name for finding in report.findings))
    if not there:
        raise HistoryError(
            "there is nothing to shrink", where=report.run, why="its history has no finding", fix="name a run that was violated"
        )
    if name is not None and name not in there:
        raise HistoryError(f'this run has no finding "{name}"', where=report.run, fix=suggestion(name, there))
    finding = next(each for each in report.findings if name in (None, each.name))
    return Wanted(report, finding, next(result.checker for result in report.results if finding in result.findings))


def _tell_slice(wanted: Wanted, sliced: Slice) -> None:
    """Print the operations that are left, and what they show."""
    report, finding, history = wanted.report, wanted.finding, sliced.history
    where = ", ".join(one_line(part) for part in (finding.scope, finding.phase) if part)
    left = f"{len(history):,} of {plural(len(report.history), 'operation')}"
    episodes = len(report.history.episodes)
    if episodes:
        left += f", {len(history.episodes)} of {plural(episodes, 'fault episode')}"
    least = "no operation can be spared" if sliced.minimal else "fewer may be enough: tries or time ran out"
    known = ages(history, report.plan.contract)
    say(f"{finding.name}  {where}, {report.weight(finding)}")
    say(f"  {one_line(sliced.finding.claim)}")
    say(f"\n{left}; {least} ({plural(sliced.checks, 'check')})\n")
    say(lanes(rows(history, history.op.tolist(), known), history.episodes))
    say("")
    for step in sliced.finding.argument:
        say(f"  {one_line(step)}")


def _save(wanted: Wanted, sliced: Slice, directory: Path) -> Path:
    """Write the slice as a run directory of its own; the path of its report."""
    report = wanted.report
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, directory) from None
    run = RunDirectory(directory)
    write_text(run.plan_file, report.plan_text)
    run.save_history(sliced.history)
    shrunk = f"{len(sliced.history):,} of {plural(len(report.history), 'operation')} of {report.run}"
    run.add_environment({**report.environment, "shrunk": shrunk})
    try:
        return write_all(conductor.evaluate(run), directory)["report.html"]
    except StorageError as error:
        complain(str(error))
        return directory


def _shrink_plan(wanted: Wanted, path: Path, *, late: Callable[[], bool], quiet: bool) -> None:
    """Look for the smallest plan that leads to the same finding in the simulation, and write it to ``path``."""
    tables = tomllib.loads(wanted.report.plan_text)
    counted = 0
    with progress(quiet=quiet) as watch:

        def fails(smaller: Tables) -> bool:
            nonlocal counted
            counted += 1
            if counted % 25 == 1:
                watch.stage(f"shrinking the plan: run {counted}")
            return _found(smaller, wanted) is not None

        if not fails(tables):
            complain("the plan is left as it is: run again, it does not lead to the same finding with this version of Anachron")
            return
        reduced = reduce_plan(tables, fails, late=late)
    history = _found(reduced.tables, wanted)
    assert history is not None  # noqa: S101 - it was found a moment ago, and a simulated run is the same again
    text = "".join(f"# {line}\n" for line in _origin(wanted, reduced, history)) + toml_text(reduced.tables)
    write_text(path, text)
    say(f"\nthe smallest plan that still leads to it, after {plural(reduced.runs, 'run')} in the simulation:\n")
    say(text)
    say(f"{path}\n  anachron run {shlex.quote(str(path))}    runs it, with the same outcome each time")


def _found(tables: Tables, wanted: Wanted) -> History | None:
    """The history of a run of the plan ``tables`` if it has the finding, with the same weight; None if it is no plan, too."""
    try:
        plan = parse_plan(toml_text(tables))
        experiment = conductor.prepare(plan)
    except AnachronError:
        return None
    history = simulate(experiment, Silence()).history
    result = CHECKERS.load(wanted.checker)(history, plan.contract)
    return history if any(_alike(finding, plan, history, result, wanted) for finding in result.findings) else None


def _alike(finding: Finding, plan: Plan, history: History, result: Result, wanted: Wanted) -> bool:
    if (finding.name, finding.scope) != (wanted.finding.name, wanted.finding.scope):
        return False
    if wanted.report.weight(wanted.finding) != GATING:
        return True
    report = Report(plan, "", history, (result,), judge(plan, history, (result,)), "")
    return report.weight(finding) == GATING


def _origin(wanted: Wanted, reduced: Reduced, history: History) -> Iterator[str]:
    report = wanted.report
    yield f"The smallest plan that leads to {wanted.finding.name}, found by `anachron shrink`."
    yield f"From {report.run}, plan {report.plan.hash}: {plural(len(report.history), 'operation')} then, {len(history):,} here."
    if not reduced.minimal:
        yield "Tries or time ran out before all smaller plans had been tried."
