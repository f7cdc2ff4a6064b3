"""The zoo's matrix as Markdown, for the documents of the project."""

from __future__ import annotations

from collections.abc import Mapping

from harness.zoo.matrix import BugRow, DesignRow, Matrix

_HEAD = """\
# The zoo

Every known bug of the reference fleet and every correct strategy, as one `anachron zoo` found them. *Must fire* is what the bug's
schedule brings out on the broken strategy in every run, and nothing of it on the correct one. The last columns say in how many
random runs the bug was detected, with Wilson's interval at 95 %. `anachron explain NAME` tells each of them step by step.

"""


def markdown(matrix: Matrix, facts: Mapping[str, str]) -> str:
    """The whole document."""
    heads = ("no.", "bug", "strategy", "must fire", *matrix.workloads)
    lines = [
        _HEAD,
        f"{facts['runs']} runs, {facts['seeds']} seeds: {matrix.headline}\n\n",
        _row(*heads),
        _row(*["---"] * len(heads)),
        *(_bug(row, matrix.workloads) for row in matrix.bugs),
        "\n",
        _row("correct strategy", "scenarios", "runs", "broke its promise"),
        _row(*["---"] * 4),
        *(_design(row) for row in matrix.designs),
    ]
    return "".join(lines)


def _bug(row: BugRow, workloads: tuple[str, ...]) -> str:
    rates = {rate.workload: rate for rate in row.rates}
    found = []
    for workload in workloads:
        rate = rates.get(workload)
        low, high = rate.interval if rate else (0.0, 0.0)
        found.append(f"{rate.detected}/{rate.n} [{low:.0%}, {high:.0%}]" if rate else "not run")
    fired = ", ".join(f"`{name}`" for name in sorted(row.bug.fires))
    return _row(str(row.bug.number), f"`{row.bug.name}`: {row.bug.title}", f"`{row.bug.correct.name}`", fired, *found)


def _design(row: DesignRow) -> str:
    return _row(f"`{row.name}`", str(row.scenarios), str(row.runs), f"in {len(row.failures)} runs" if row.failures else "never")


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |\n"
