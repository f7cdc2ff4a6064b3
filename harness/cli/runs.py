"""``run``: plans in, verdicts out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from harness import conductor
from harness.cli import dry_run
from harness.cli.output import complain, say
from harness.cli.overrides import override
from harness.cli.progress import progress
from harness.conductor import Finished
from harness.durations import parse_duration
from harness.errors import FAILURE, INCONCLUSIVE, PASS, USAGE, VIOLATED, AnachronError, InterruptedRunError, UsageError
from harness.plan import Plan
from harness.shipped import find_plan
from reports import Report, render_text, verdict_view

_GRAVEST_FIRST = (VIOLATED, FAILURE, USAGE, INCONCLUSIVE, PASS)


def run_plans(
    references: Sequence[str],
    *,
    changes: Mapping[str, int | str | None],
    runs_dir: Path,
    quiet: bool,
) -> int:
    """Run each plan, with ``changes`` to its keys where they are not None, and return the gravest exit status.

    All plans are read and prepared before the first one starts. Raises ``PlanError`` and ``UnsupportedError`` then; from the
    first start on, the failure of one run is told and does not keep the others from running. Ctrl-C ends the run that goes on,
    and with it all of them.
    """
    plans = _plans(references, changes)
    for plan, _ in plans:
        conductor.prepare(plan)
    statuses: list[int] = []
    summary: list[str] = []
    for reference, (plan, text) in zip(references, plans, strict=True):
        try:
            finished = run_one(plan, text, runs_dir, quiet=quiet)
        except AnachronError as error:
            complain(str(error))
            statuses.append(error.exit_status)
            summary.append(f"error         {reference}")
            if isinstance(error, InterruptedRunError):
                break
            continue
        statuses.append(finished.report.exit_status)
        summary.append(f"{finished.report.answer:<13} {reference}  {report_path(finished)}")
        if was_interrupted(finished.report):
            break
    if len(references) > 1:
        summary += [f"not run       {reference}" for reference in references[len(summary) :]]
        say("\n" + "\n".join(summary))
    return gravest(statuses)


def rehearse_plans(references: Sequence[str], *, changes: Mapping[str, int | str | None]) -> int:
    """Say what running each plan would do, and do nothing. Raises ``PlanError`` and ``UnsupportedError`` as running would."""
    say("\n\n".join(dry_run.tell(conductor.prepare(plan)) for plan, _ in _plans(references, changes)))
    return PASS


def run_one(plan: Plan, text: str, runs_dir: Path, *, quiet: bool) -> Finished:
    """Run one plan under the eyes of the user and show its verdict; the last line is the path of the report."""
    with progress(quiet=quiet) as watch:
        finished = conductor.run(plan, text, runs_dir, watch)
    show_verdict(finished.report)
    if "report.html" not in finished.paths:
        complain(f"the report is not complete; `anachron report {finished.directory.path}` draws it again and says what is wrong")
    say(str(report_path(finished)))
    return finished


def show_verdict(report: Report) -> None:
    """Print the verdict: in colour on a terminal, as plain text elsewhere."""
    console = Console()
    if not console.is_terminal:
        say(render_text(report))
        return
    # Captured, not printed: a console that cannot write ends the program with status 1, which would say "violated".
    with console.capture() as captured:
        console.print(verdict_view(report))
    say(captured.get())


def was_interrupted(report: Report) -> bool:
    """Whether the user ended the run early: it was cut off, and not by a failure."""
    return not report.history.complete and not report.failure


def report_path(finished: Finished) -> Path:
    """The path of the HTML report, or of the run directory if it could not be drawn."""
    return finished.paths.get("report.html", finished.directory.path)


def gravest(statuses: Iterable[int]) -> int:
    """The exit status that speaks for several: no violation is hidden by a failure, no failure by a lack of evidence.

    >>> gravest([0, 2, 255, 1, 0])
    1
    """
    return min(statuses, key=_GRAVEST_FIRST.index, default=PASS)


def _plans(references: Sequence[str], wanted: Mapping[str, int | str | None]) -> list[tuple[Plan, str]]:
    """The plans with their texts, changed where ``wanted``."""
    changes = {key: value for key, value in wanted.items() if value is not None}
    duration = changes.get("run.duration")
    if isinstance(duration, str):
        changes["run.duration"] = _checked_duration(duration)
    plans = [find_plan(reference) for reference in references]
    return [override(text, changes) for _, text in plans] if changes else plans


def _checked_duration(text: str) -> str:
    """``text`` if it is a duration that sessions can run for; raises ``UsageError``."""
    try:
        duration_ns = parse_duration(text)
    except ValueError as error:
        raise UsageError(str(error), where="--duration") from None
    if duration_ns == 0:
        raise UsageError("a run needs some time", where="--duration", fix='give it a length, such as "20s"')
    return text.strip()
