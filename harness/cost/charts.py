"""Costs over the size of the fleet, as curves with the measured points on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from harness.cost.study import Row
from reports.chart import Chart, Key, element, grid, joined, log_scale, polyline, up, wide

GROUPS = {
    "exact": ("no-cache", "versioned-keys", "sync-invalidation", "owner", "lease"),
    "told of changes": ("tracking", "broadcast-alo", "broadcast-update", "broadcast-amo", "two-tier", "refresh-ahead"),
    "by time": ("ttl-check", "swr", "ttl"),
}
"""Strategies that are drawn together."""

_TICK = 0.025
"""Half the height of a measured point's mark, as a share of the axis."""


def charts(rows: Sequence[Row]) -> tuple[Chart, ...]:
    """Messages of a write, and load of the origin, each for the three groups of strategies."""
    quantities: tuple[tuple[str, str, str, Callable[[Row], float], Callable[[Row], float]], ...] = (
        (
            "messages",
            "Messages of a write",
            "messages between places, with the fetches that it induces",
            lambda row: row.messages,
            lambda row: row.measured.messages if row.measured else float("nan"),
        ),
        (
            "origin",
            "Load of the source of truth",
            "requests a second",
            lambda row: row.origin,
            lambda row: row.measured.origin if row.measured else float("nan"),
        ),
    )
    return tuple(
        _chart(f"{name}-{number}", f"{title}: {group}", label, [row for row in rows if row.strategy in names], (form, counted))
        for name, title, label, form, counted in quantities
        for number, (group, names) in enumerate(GROUPS.items())
    )


def _chart(
    name: str, title: str, label: str, rows: Sequence[Row], quantity: tuple[Callable[[Row], float], Callable[[Row], float]]
) -> Chart:
    form, counted = quantity
    strategies = list(dict.fromkeys(row.strategy for row in rows))
    x_scale = log_scale([np.array([row.nodes for row in rows], dtype=float)], "", least=1)
    y_scale = log_scale([np.array([value for row in rows for value in (form(row), counted(row))])], "", least=1)
    x_ticks, y_ticks = x_scale.ticks(5), y_scale.ticks()
    marks, keys, said = [grid(y_ticks, x_ticks)], [], []
    for number, strategy in enumerate(strategies, 1):
        own = sorted((row for row in rows if row.strategy == strategy), key=lambda row: row.nodes)
        x = x_scale.at(np.array([row.nodes for row in own], dtype=float))
        marks.append(polyline(x, y_scale.at(np.array([form(row) for row in own])), f"line series-{number}"))
        for at, row in zip(x, own, strict=True):
            if row.measured:
                y = float(y_scale.at(counted(row)))
                ends = {"y1": up(min(1, y + _TICK)), "y2": up(max(0, y - _TICK))}
                marks.append(element("line", class_=f"line series-{number}", x1=wide(float(at)), x2=wide(float(at)), **ends))
        keys.append(Key(f"series-{number}", strategy))
        said.append(f"{strategy} {_number(form(own[0]))} to {_number(form(own[-1]))}")
    reading = f"From {min(row.nodes for row in rows)} to {max(row.nodes for row in rows):,} nodes: {', '.join(said)}."
    return Chart(
        name=name,
        title=title,
        reading=reading,
        described=f"{label}, over the number of nodes, both axes logarithmic; upright marks are what was counted. {reading}",
        x_label="nodes",
        y_label=label,
        x_ticks=x_ticks,
        y_ticks=y_ticks,
        marks=joined(marks),
        keys=tuple(keys),
        height=220,
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"  # noqa: PLR2004 - two digits say enough
