"""``cost``: what each strategy costs a fleet of some size, by theory and as counted."""

from __future__ import annotations

import os
import time
from importlib.metadata import version
from pathlib import Path

from harness.cli.batch import shown, terminable, write_report
from harness.cli.output import say
from harness.cost.forms import FORMS
from harness.cost.page import answer, differences, document, ordered, page
from harness.cost.study import CHECKED, SIZES, Question, rows
from harness.durations import format_duration
from harness.errors import PASS


def run_cost(*, nodes: int, question: Question, check: bool, processes: int | None, out: Path, quiet: bool) -> int:
    """Answer the question for a fleet of ``nodes``, write the page into ``out``, and return the exit status.

    Raises ``StorageError`` if the page cannot be written.
    """
    checked = tuple(sorted({*CHECKED, nodes})) if check else ()
    sizes = tuple(sorted({*SIZES, *checked, nodes}))
    begin_ns = time.monotonic_ns()
    with terminable():
        answers = rows(question, sizes, checked, processes or os.cpu_count() or 1)
        found = list(shown(answers, "the costs", len(sizes) * len(FORMS), quiet=quiet))
    facts = {
        "checked at": ", ".join(f"{size:,}" for size in checked) or "no size",
        "took": format_duration(time.monotonic_ns() - begin_ns),
        "anachron": version("anachron"),
    }
    own = [row for row in ordered(found) if row.nodes == nodes]
    say("\n".join(answer(own)))
    for difference in differences(found):
        say(
            f"theory and counting differ: {difference.strategy}, {difference.nodes:,} nodes, {difference.quantity}: "
            f"{difference.form:,.3g} and {difference.counted:,.3g}"
        )
    texts = {"results.json": document(found, question, facts) + "\n", "report.html": page(found, question, nodes, facts)}
    write_report(out, texts)
    return PASS
