"""``zoo``: every bug, every correct strategy, and what the checkers say of them."""

from __future__ import annotations

import os
import time
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from harness.cli.batch import shown, terminable, write_report
from harness.cli.output import say
from harness.durations import format_duration
from harness.errors import FAILURE, PASS, VIOLATED, UsageError, suggestion
from harness.reference.zoo import all_bugs
from harness.zoo.crew import work
from harness.zoo.document import document
from harness.zoo.jobs import all_jobs
from harness.zoo.markdown import markdown
from harness.zoo.matrix import Matrix, matrix_of
from harness.zoo.page import page
from harness.zoo.view import render, view

_STATUS = {"pass": PASS, "violated": VIOLATED, "error": FAILURE}
_EVERY_S = 5.0


def run_zoo(*, seeds: int, bug: str | None, processes: int | None, out: Path, quiet: bool) -> int:
    """Run the zoo, show its matrix, write its report into ``out``, and return the exit status.

    Raises ``UsageError`` for an unknown bug, ``StorageError`` if the report cannot be written.
    """
    jobs = tuple(all_jobs(seeds, named(bug) if bug else ""))
    processes = processes or os.cpu_count() or 1
    begin_ns = time.monotonic_ns()
    with terminable(), closing(work(jobs, processes)) as answers:
        matrix = matrix_of(list(shown(answers, "the zoo", len(jobs), quiet=quiet)), all_bugs())
    facts = {
        "runs": f"{len(jobs):,}",
        "seeds": str(seeds),
        "processes": str(processes),
        "took": format_duration(time.monotonic_ns() - begin_ns),
        "anachron": version("anachron"),
    }
    _show(matrix)
    texts = {
        "results.json": document(matrix, facts) + "\n",
        "matrix.md": markdown(matrix, facts),
        "report.html": page(matrix, facts),
    }
    write_report(out, texts)
    return _STATUS[matrix.answer]


def named(bug: str) -> str:
    """The name of a bug that may be given with its strategy."""
    name = bug.rpartition("+")[2]
    if name not in all_bugs():
        raise UsageError(f'there is no bug "{bug}"', where="--bug", fix=suggestion(name, all_bugs()))
    return name


def _show(matrix: Matrix) -> None:
    """Print the matrix: in colour on a terminal, as plain text elsewhere."""
    console = Console()
    if not console.is_terminal:
        say(render(matrix))
        return
    with console.capture() as captured:
        console.print(view(matrix))
    say(captured.get())
