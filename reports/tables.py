"""Measures as tables: phases down and measures across, or measures down and nodes across."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.results import Measure
from reports.words import count, interval, quantity


@dataclass(frozen=True, slots=True)
class Cell:
    """A number with its interval and sample, in words; ``detail`` may be empty."""

    value: str
    detail: str


@dataclass(frozen=True, slots=True)
class Pivot:
    """A table: names of columns, and rows of a heading and one cell (or None) per column."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]


def by_phase(measures: Iterable[tuple[str, Measure]]) -> Pivot:
    """What was measured of answers and their times, one row per phase."""
    chosen = [m for checker, m in measures if checker == "availability" and not m.scope]
    return _pivot([(m.phase or "whole run", m.name, m) for m in chosen], tuple(dict.fromkeys(m.name for m in chosen)))


def by_node(measures: Iterable[tuple[str, Measure]], nodes: Sequence[str]) -> Pivot:
    """What was measured per node, one column per node."""
    chosen = [m for _, m in measures if m.scope in nodes]
    cells = [(f"{m.name}, {m.phase}" if m.phase else m.name, m.scope, m) for m in chosen]
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
    around = interval(m.low, m.high, m.unit)
    return Cell(quantity(m.value, m.unit), f"{around}, n = {count(m.n)}" if around else f"n = {count(m.n)}")
