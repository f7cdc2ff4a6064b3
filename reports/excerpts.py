"""What the nodes of a finding wrote into their logs around its operations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.durations import parse_duration
from harness.results import Finding
from harness.store import NodeLog
from reports.rows import Row
from reports.words import clip

AROUND_NS = parse_duration("1s")
"""How long before the first operation and after the last one lines are shown."""
_MOST_LINES = 12
"""How many lines of one node are shown."""
_MOST_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the log of ``node``; ``at_ns`` is in ns since the start of the run.

    ``place`` says where it lies to the operations: ``before``, ``between`` or ``after``.
    """

    node: str
    at_ns: int
    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Lines of several nodes in the order of their times.

    ``nodes`` are those whose log is known; ``left_out`` says how many later lines of which of them are not here.
    """

    nodes: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()
    left_out: tuple[tuple[str, int], ...] = ()


def excerpt(finding: Finding, rows: Iterable[Row], logs: Mapping[str, NodeLog]) -> Excerpt:
    """What the nodes that were asked, that answered or that the finding names wrote around its operations.

    What a node wrote before the times of the run began tells of its start, and is not shown.
    """
    witness = tuple(rows)
    if not witness:
        return Excerpt()
    begin, end = min(row.call_ns for row in witness), max(row.end_ns for row in witness)
    names = [*(name for row in witness for name in (row.node, row.server or row.node)), *finding.nodes]
    lines: list[Line] = []
    left_out: list[tuple[str, int]] = []
    nodes = tuple(dict.fromkeys(name for name in names if name in logs))
    for node in nodes:
        around = logs[node].between(max(0, begin - AROUND_NS), end + AROUND_NS)
        lines += (
            Line(node, at_ns, _place(at_ns, begin, end), clip(text, _MOST_CHARACTERS)) for at_ns, text in around[:_MOST_LINES]
        )
        if len(around) > _MOST_LINES:
            left_out.append((node, len(around) - _MOST_LINES))
    return Excerpt(nodes, tuple(sorted(lines, key=lambda line: line.at_ns)), tuple(left_out))


def _place(at_ns: int, begin_ns: int, end_ns: int) -> str:
    if at_ns < begin_ns:
        return "before"
    return "between" if at_ns <= end_ns else "after"
