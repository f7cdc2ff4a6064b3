"""Measures as tables: measures down, phases or nodes across."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.results import Measure
from reports.words import count, interval, quantity


@dataclass(frozen=True, slots=True)
class Cell:
    """A number with its interval and its sample size, in words; ``interval`` may be empty."""

    value: str
    interval: str
    n: str


@dataclass(frozen=True, slots=True)
class Pivot:
    """A table: names of columns, and rows of a heading and one cell (or None) per column."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]


def by_phase(measures: Iterable[tuple[str, Measure]]) -> Pivot:
    """What was measured of answers and their times, one column per phase."""
    chosen = [m for checker, m in measures if checker == "availability" and not m.scope and m.phase]
    return _pivot([(m.name, m.phase, m) for m in chosen], tuple(dict.fromkeys(m.phase for m in chosen)))


def of_run(measures: Iterable[tuple[str, Measure]]) -> Pivot:
    """What was measured of the load and the harness over the whole run, in one column."""
    chosen = [m for checker, m in measures if checker == "availability" and not m.scope and not m.phase]
    return _pivot([(m.name, "whole run", m) for m in chosen], ("whole run",))


def by_node(measures: Iterable[tuple[str, Measure]], nodes: Sequence[str]) -> Pivot:
    """What was measured per node over the whole run, one column per node."""
    chosen = [m for _, m in measures if m.scope in nodes and not m.phase]
    cells = [(m.name, m.scope, m) for m in chosen]
    return _pivot(cells, tuple(node for node in nodes if any(m.scope == node for m in chosen)))


def _pivot(measures: Sequence[tuple[str, str, Measure]], columns: tuple[str, ...]) -> Pivot:
    """A table of (row, column, measure)."""
    rows: dict[str, dict[str, Measure]] = {}
    for heading, column, m in measures:
        rows.setdefault(heading, {})[column] = m
    return Pivot(columns, tuple((heading, _cells(row, columns)) for heading, row in rows.items()))


def _cells(row: Mapping[str, Measure], columns: Iterable[str]) -> tuple[Cell | None, ...]:
    return tuple(_cell(row[name]) if name in row else None for name in columns)


def _cell(m: Measure) -> Cell:
    return Cell(quantity(m.value, m.unit), interval(m.low, m.high, m.unit), f"n = {count(m.n)}")
