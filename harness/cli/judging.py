"""``check`` and ``report``: a recorded history in, the verdict and the reports out."""

from __future__ import annotations

import shlex
import webbrowser
from collections.abc import Mapping
from pathlib import Path

import checkers
from harness import conductor, contract
from harness.cli.output import complain, say
from harness.cli.runs import show_verdict
from harness.errors import PASS, HistoryError, StorageError
from harness.history import History
from harness.imports import REGISTER_PLAN, read_history, register_plan
from harness.shipped import find_plan
from harness.store import NodeLog, RunDirectory
from harness.store.files import write_text
from reports import Report, render_html, write_all


def check_source(source: Path, plan: str | None, report_file: Path | None) -> int:
    """Judge the run or history at ``source`` and return the verdict's exit status.

    A run directory's reports are written again, but not when another plan's contract judges: they would no longer be the run's.
    Raises ``HistoryError``, ``PlanError``, and ``StorageError`` if ``report_file`` cannot be written.
    """
    report = judge_source(source, plan)
    show_verdict(report)
    if source.is_dir() and plan is None:
        _write_all(report, RunDirectory(source))
    if report_file is not None:
        write_text(report_file, render_html(report))
        say(str(report_file))
    return report.exit_status


def judge_source(source: Path, plan: str | None) -> Report:
    """What the contract of ``plan`` says of the run or history at ``source``; without one, the run's own, or linearizability.

    Raises ``HistoryError`` and ``PlanError``.
    """
    if source.is_dir():
        directory = RunDirectory.open(source)
        if plan is None:
            return conductor.evaluate(directory)
        return _judge(directory.load_history(), plan, source, directory.load_environment(), directory.load_node_logs())
    if source.exists():
        return _judge(read_history(source), plan, source, {"candidate": f"a history from {source.name}"})
    raise HistoryError(
        "there is no such run or history",
        where=str(source),
        fix="name a directory under runs/, or a .parquet, .csv, .jsonl or .edn file",
    )


def write_reports(run: Path, *, open_it: bool) -> int:
    """Write the reports of the run directory ``run`` again; raises ``HistoryError`` and ``StorageError``."""
    directory = RunDirectory.open(run)
    paths = write_all(conductor.evaluate(directory), directory.path)
    for path in paths.values():
        say(str(path))
    if open_it and not webbrowser.open(paths["report.html"].resolve().as_uri()):
        complain("no browser could be opened; open the file above yourself")
    return PASS


def _judge(
    history: History,
    reference: str | None,
    source: Path,
    environment: Mapping[str, str],
    node_logs: Mapping[str, NodeLog] | None = None,
) -> Report:
    """Hold ``history`` to the contract of another plan than its run's, or to linearizability."""
    plan, text = find_plan(reference) if reference is not None else (register_plan(), REGISTER_PLAN)
    results = checkers.check(history, plan.contract)
    again = ["anachron", "check", str(source), *(["--plan", reference] if reference is not None else [])]
    return Report(
        plan=plan,
        plan_text=text,
        history=history,
        results=results,
        verdict=contract.judge(plan, history, results),
        run=str(source),
        environment=environment,
        node_logs=node_logs or {},
        command=shlex.join(again),
    )


def _write_all(report: Report, directory: RunDirectory) -> None:
    """Write the reports; where that fails, say so and leave the verdict as it is."""
    try:
        paths = write_all(report, directory.path)
    except StorageError as error:
        complain(str(error))
    else:
        say(str(paths["report.html"]))
