"""``zoo --runtime``: the bugs and the correct strategies on real processes or in containers."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from itertools import chain
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harness.cli.batch import shown, terminable, write_report
from harness.cli.output import say
from harness.durations import format_duration
from harness.errors import UsageError, suggestion
from harness.reference.zoo import all_bugs
from harness.results import Outcome
from harness.runtimes import RUNTIMES
from harness.zoo.alive import Shown, possible, show
from harness.zoo.kept import Kept, keep
from harness.zoo.reality import Reality, word

REAL = ("process", "docker")
"""The runtimes that start a fleet of their own."""
_MARKS = {Outcome.PASS: "✔", Outcome.INCONCLUSIVE: "?"}
_WIDTH = 110


def run_alive(*, runtime: str, bugs: tuple[str, ...], strategies: tuple[str, ...], out: Path, quiet: bool) -> int:
    """Show the bugs and try the correct strategies on ``runtime``, print what came of each, and return the exit status.

    ``results.json`` and the runs of the strategies are written into a directory of the runtime's name in ``out``. Raises
    ``UsageError``, ``StorageError`` if they cannot be written, and ``InterruptedRunError``.
    """
    if runtime not in REAL:
        raise UsageError(
            f'the bugs cannot be shown on "{runtime}"', where="--runtime", fix=suggestion(runtime, REAL) or RUNTIMES.names[0]
        )
    directory = out / runtime
    names, refused = possible(bugs, runtime)
    begin_ns = time.monotonic_ns()
    with terminable():
        work: Iterator[Shown | Kept] = chain(show(names, runtime), keep(strategies, runtime, directory))
        found = list(_told(work, len(names) + len(strategies), quiet=quiet))
    reality = Reality(
        tuple(each for each in found if isinstance(each, Shown)),
        refused,
        tuple(each for each in found if isinstance(each, Kept)),
    )
    took = format_duration(time.monotonic_ns() - begin_ns)
    _print(reality)
    for each in reality.bugs:
        if each.error:
            say(f"{all_bugs()[each.bug].full_name} could not be run: {each.error}\n")
    say(f"{reality.headline}, on {runtime}, in {took}")
    facts = {"runtime": runtime, "took": took, "anachron": version("anachron")}
    write_report(directory, {"results.json": reality.document(facts) + "\n"})
    return reality.status


def _told(work: Iterable[Shown | Kept], total: int, *, quiet: bool) -> Iterator[Shown | Kept]:
    """The results as they come, with progress on standard error: each takes seconds, so a log has a line for each."""
    if quiet or sys.stderr.isatty():
        yield from shown(work, "the zoo", total, quiet=quiet)
        return
    for number, each in enumerate(work, 1):
        name, came = (
            (all_bugs()[each.bug].full_name, _of_bug(each)) if isinstance(each, Shown) else (each.strategy, _of_run(each))
        )
        sys.stderr.write(f"{number} of {total}: {name}: {came.splitlines()[0]}\n")
        yield each


def _print(reality: Reality) -> None:
    """Print the tables: as wide as a terminal, and plain elsewhere."""
    console = Console() if sys.stdout.isatty() else Console(width=_WIDTH, color_system=None)
    bugs = _table("", "bug", "found", "on the correct one")
    for each in reality.bugs:
        bug = all_bugs()[each.bug]
        bugs.add_row("✔" if each.right else "✖", bug.full_name, _of_bug(each), ", ".join(sorted(each.spared)) or "nothing")
    simulated = _table("", "only simulated", "why")
    for name, why in reality.simulated.items():
        simulated.add_row("-", all_bugs()[name].full_name, why)
    strategies = _table("", "correct strategy", "verdict", "operations", "faults, each proven")
    for one in reality.strategies:
        mark = _MARKS.get(one.outcome, "✖") if one.outcome else "✖"
        strategies.add_row(mark, one.strategy, _of_run(one), f"{one.operations:,}", ", ".join(one.faults))
    for table in (bugs, simulated, strategies):
        if table.row_count:
            with console.capture() as captured:
                console.print(table)
            say("\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n")


def _of_bug(each: Shown) -> str:
    missed = f"; missed {', '.join(sorted(each.missed))}" if each.missed else ""
    return each.error.partition("\n")[0] or f"{', '.join(sorted(each.broken)) or 'nothing'}{missed}{_again(each.tries)}"


def _of_run(each: Kept) -> str:
    if each.right:
        return f"{word(each.outcome)}{_again(each.tries)}"
    return f"{word(each.outcome)}{_again(each.tries)}: {each.why}" + (f"\nthe run: {each.run}" if each.run else "")


def _again(tries: int) -> str:
    return "" if tries == 1 else f" (at try {tries})"


def _table(*heads: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for head in heads:
        table.add_column(head, overflow="fold", justify="right" if head == "operations" else "left")
    return table
