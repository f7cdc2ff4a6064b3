"""``zoo --runtime``: the bugs on real processes or in containers."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from harness.cli.batch import shown, terminable
from harness.cli.output import say
from harness.errors import PASS, VIOLATED, UsageError, suggestion
from harness.reference.zoo import all_bugs
from harness.runtimes import RUNTIMES
from harness.zoo.alive import Shown, possible, show

REAL = ("process", "docker")
"""The runtimes that start a fleet of their own."""


def run_alive(*, runtime: str, bugs: tuple[str, ...], quiet: bool) -> int:
    """Show the bugs on ``runtime``, print what came of each, and return the exit status. Raises ``UsageError``."""
    if runtime not in REAL:
        raise UsageError(
            f'the bugs cannot be shown on "{runtime}"', where="--runtime", fix=suggestion(runtime, REAL) or RUNTIMES.names[0]
        )
    names, refused = possible(bugs, runtime)
    with terminable():
        found = list(shown(show(names, runtime), "the zoo", len(names), quiet=quiet))
    console = Console()
    with console.capture() as captured:
        console.print(_table(found))
    say(captured.get())
    for name, why in refused.items():
        say(f"{name} was not run: {why}")
    right = sum(each.right for each in found)
    say(f"{right} of {len(found)} bugs were shown, {len(refused)} were not run")
    return PASS if right == len(found) else VIOLATED


def _table(found: list[Shown]) -> Table:
    table = Table(box=None, pad_edge=False)
    for head in ("", "bug", "found", "on the correct one"):
        table.add_column(head, overflow="fold")
    for each in found:
        bug = all_bugs()[each.bug]
        missed = f"; missed {', '.join(sorted(each.missed))}" if each.missed else ""
        table.add_row(
            "✔" if each.right else "✖",
            bug.full_name,
            each.error or f"{', '.join(sorted(each.broken)) or 'nothing'}{missed}",
            ", ".join(sorted(each.spared)) or "nothing",
        )
    return table
