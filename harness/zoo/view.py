"""The zoo's matrix for the terminal."""

from __future__ import annotations

import io

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.zoo.matrix import Matrix, Rate
from reports.words import SIGNS, count, one_line

_COLOURS = {"pass": "green", "violated": "red", "error": "magenta"}
_WIDTH = 110
_HOW = "   forced: by its schedule; then, by workload, the random runs in which it was detected, with a 95 % interval"


def view(matrix: Matrix) -> RenderableType:
    """The matrix as something that a rich console prints."""
    sign = SIGNS[matrix.answer]
    parts: list[RenderableType] = [
        Text.assemble((f" {sign.mark} {sign.word} ", f"bold reverse {_COLOURS[sign.style]}"), "  ", matrix.headline),
        Text(
            "   forced: by its schedule; then, by workload, the random runs in which it was detected, with a 95 % interval",
            style="dim",
        ),
        Text(),
        _bugs(matrix),
    ]
    if matrix.designs:
        parts += [Text(), _designs(matrix)]
        idle = [name for name, bugs in matrix.needed.items() if not bugs]
        if idle:
            parts += [Text(), Text(f"no bug needs the checkers {', '.join(idle)}: whether they still bite is not shown here")]
    parts += [Text(f"✖ {one_line(complaint)}", style="red") for complaint in matrix.complaints]
    parts += [Text(f"! {one_line(error)}", style="magenta") for error in matrix.errors]
    return Group(*parts)


def render(matrix: Matrix) -> str:
    """The matrix as plain text without colour."""
    out = io.StringIO()
    Console(file=out, width=_WIDTH, color_system=None, force_terminal=False, legacy_windows=False).print(view(matrix))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _bugs(matrix: Matrix) -> Table:
    table = _table("bug", "of the strategy", "forced", "correct")
    for name in matrix.workloads:
        table.add_column(name, justify="right", no_wrap=True)
    for row in matrix.bugs:
        table.add_row(
            row.bug.name,
            row.bug.correct.name,
            _mark(good=not (row.missed or row.unexpected or row.errors)),
            _mark(good=not (row.spared or row.failures)),
            *("\n".join(_rate(rate) for rate in row.rates if rate.workload == name) or "-" for name in matrix.workloads),
        )
    return table


def _rate(rate: Rate) -> str:
    low, high = rate.interval
    return f"{rate.detected}/{rate.n} [{low:.0%}, {high:.0%}]"


def _designs(matrix: Matrix) -> Table:
    table = _table("correct strategy", "", "scenarios", "runs", "broke its promise")
    for row in matrix.designs:
        broke = Text(f"in {count(len(row.failures))} runs", style="red") if row.failures else Text("never")
        table.add_row(row.name, _mark(good=not row.failures and not row.errors), count(row.scenarios), count(row.runs), broke)
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(name, no_wrap=True)
    return table


def _mark(*, good: bool) -> Text:
    return Text("✔", style="green") if good else Text("✖", style="red")
