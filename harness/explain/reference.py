"""What there is in the reference fleet: its strategies, their bugs, and the schedules that bring the bugs out."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping

from harness.contract.text import contract_text
from harness.errors import HarnessError
from harness.explain.docs import first_sentence, long_doc, plain
from harness.reference.bug import Bug
from harness.reference.zoo import all_bugs, designs
from harness.simulation import script
from harness.simulation.fleet import PACE
from harness.zoo.diagram import LEGEND
from harness.zoo.worked import worked

_WIDTH = 110
_STEP = 42
_ENTRY = re.compile(r"``(.+?)``\s{2,}(.+)")
"""A line of the table of steps in the docstring of schedules."""


def strategies() -> Mapping[str, str]:
    """A line on each correct strategy, by its name."""
    return {name: first_sentence(long_doc(design.node)) for name, design in sorted(designs().items())}


def bugs() -> Mapping[str, str]:
    """A line on each bug, by its name."""
    return {name: f"{bug.title} (of {bug.correct.name})" for name, bug in sorted(all_bugs().items())}


def about_strategy(name: str) -> str:
    """What a strategy does and promises, what can be wrong with it, and a plan for it."""
    design = designs()[name]
    wrong = {bug.name: bug.title for bug in all_bugs().values() if bug.correct.name == name}
    promise = contract_text(design.promise(design.settings, PACE.most_ns))
    parts = [
        long_doc(design.node),
        f"What its theory promises, with its own settings and messages of at most {PACE.most_ns / 1e6:g}ms:\n\n"
        + textwrap.indent(promise, "  "),
    ]
    if wrong:
        width = max(map(len, wrong)) + 4
        parts.append("Its bugs:\n" + "\n".join(f"  {bug}".ljust(width) + title for bug, title in wrong.items()))
    return "\n\n".join((*parts, _plan(name)))


def about_bug(name: str) -> str:
    """A bug's mechanism, its schedule as a diagram with what came of it, what is found, and what prevents it."""
    bug = all_bugs()[name]
    return "\n\n".join(
        (
            f"{bug.title[:1].upper()}{bug.title[1:]}. Number {bug.number} of the catalogue, in the strategy {bug.correct.name}.",
            _paragraph(bug.mechanism),
            _paragraph(f"What an observer sees: {bug.observed}"),
            _worked(bug),
            _paragraph(f"In public: {'; '.join(bug.seen_in)}.") if bug.seen_in else "In public: nothing that we know of.",
            _paragraph(f"What prevents it: {bug.fix}"),
            f"`anachron zoo --bug {bug.name}` runs the schedule on the bug and on the correct strategy, and random schedules.",
            _plan(bug.full_name),
        )
    )


def about_schedules() -> str:
    """How a race is written down, and how its diagram is read."""
    lines = [line for line in (script.__doc__ or "").strip().splitlines() if not line.startswith("===")]
    steps = [f"  {found[1]:<{_STEP}}{found[2]}" if (found := _ENTRY.fullmatch(line)) else line for line in lines]
    return f"{plain(chr(10).join(steps))}\n\nThe signs of a diagram:\n\n{textwrap.indent(LEGEND, '  ')}"


def _worked(bug: Bug) -> str:
    """The schedule as a diagram, and what it proves."""
    must = ", ".join(sorted(bug.fires))
    may = f"; also possible: {', '.join(sorted(bug.consequences))}" if bug.consequences else ""
    found = f"What is found: {must}{may}."
    try:
        example = worked(bug)
    except HarnessError as error:
        return f"{found}\n\nIts schedule cannot be carried out: {error}"
    proof = ""
    if example.findings:
        first = example.findings[0]
        steps = "\n".join(textwrap.fill(step, _WIDTH, initial_indent="  - ", subsequent_indent="    ") for step in first.argument)
        proof = f"\n\n{_paragraph(f'The proof ({first.name}): {first.claim}')}\n{steps}"
    schedule = textwrap.indent(example.diagram, "  ")
    return f"A schedule that brings it out (`anachron explain schedules`):\n\n{schedule}\n\n{found}{proof}"


def _plan(strategy: str) -> str:
    return f'In a plan:\n  [candidate]\n  kind = "reference"\n  strategy = "{strategy}"\n\n  [run]\n  runtime = "simulated"'


def _paragraph(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), _WIDTH)
