"""``cost``: what each strategy costs a fleet of some size, by theory and as counted."""

from __future__ import annotations

import os
import time
from importlib.metadata import version
from pathlib import Path

from harness.cli.batch import shown, terminable, write_report
from harness.cli.output import say
from harness.cost.forms import FORMS
from harness.cost.page import Answers, answer, document, ordered, page
from harness.cost.real import RUNTIME, refusal
from harness.cost.study import CHECKED, REAL, SIZES, SPARSE, Part, Question, Row, really, rows
from harness.durations import format_duration
from harness.errors import PASS

_FLEETS = 2
"""Real fleets at once, for each processor: most of the time they wait."""


def run_cost(*, nodes: int, question: Question, check: bool, real: bool, processes: int | None, out: Path, quiet: bool) -> int:
    """Answer the question for a fleet of ``nodes``, write the page into ``out``, and return the exit status.

    Raises ``StorageError`` if the page cannot be written.
    """
    most = max(CHECKED)  # whatever is larger takes too long
    checked = tuple(sorted({*CHECKED, min(nodes, most)})) if check else ()
    sizes = tuple(sorted({*SIZES, *checked, nodes}))
    at_once = processes or os.cpu_count() or 1
    why_not = refused(check=check, real=real)
    begin_ns = time.monotonic_ns()
    with terminable():
        asked = _found(Part(question, sizes, checked), at_once, "the costs", quiet=quiet)
        sparse = _found(SPARSE, at_once, "the largest fleet", quiet=quiet) if check else []
        small = [] if why_not else _found(REAL, at_once, "small fleets", quiet=quiet)
        if small:
            small = list(shown(really(REAL, small, _FLEETS * at_once), "real fleets", len(small), quiet=quiet))
    found = Answers(asked, sparse, small, why_not)
    facts = {
        "checked at": ", ".join(f"{size:,}" for size in (*checked, *(SPARSE.sizes if check else ()))) or "no size",
        "real processes at": ", ".join(map(str, REAL.sizes)) if small else "no size",
        "took": format_duration(time.monotonic_ns() - begin_ns),
        "anachron": version("anachron"),
    }
    say("\n".join(answer([row for row in ordered(asked) if row.nodes == nodes])))
    _tell(found)
    texts = {"results.json": document(found, question, facts) + "\n", "report.html": page(found, question, nodes, facts)}
    write_report(out, texts)
    return PASS


def _found(part: Part, processes: int, what: str, *, quiet: bool) -> list[Row]:
    return list(shown(rows(part, processes), what, len(part.sizes) * len(part.strategies), quiet=quiet))


def refused(*, check: bool, real: bool) -> str:
    """Why there are no real fleets; empty if there are."""
    if not check:
        return "nothing was to be counted (--no-check)"
    if not real:
        return "only virtual fleets were to be counted (--no-real)"
    why = refusal()
    return f"the runtime {RUNTIME} is not to be had: {why}" if why else ""


def _tell(found: Answers) -> None:
    """What was checked, and where words differ."""
    if found.refusal:
        say(f"No real fleet was counted: {found.refusal}.")
    lived = [row for row in found.small if row.real]
    if lived:
        told = {(each.strategy, each.nodes) for each in found.differences if each.real}
        say(f"Model and real processes agree in {len(lived) - len(told)} of {len(lived)} fleets, of {len(FORMS)} strategies.")
    for row in found.small:
        if row.trouble:
            say(f"{row.strategy} of {row.nodes} real processes was not counted: {row.trouble}")
    for difference in found.differences:
        say(str(difference))
