"""Distributions: how often reads were how old, phase by phase, against the contract; and every curve the checkers drew."""

from __future__ import annotations

from itertools import groupby

import numpy as np

from checkers.phases import STEADY, phases
from harness.history import Column, History
from harness.plan import Contract
from harness.results import Curve
from reports.ages import Ages
from reports.chart import Chart, Key, Scale, element, grid, joined, log_scale, polyline, wide, zero_scale
from reports.series import survival
from reports.words import count, duration, plural, quantity

_LEAST_AGE_NS = 1e5
_STYLES = ("series-1", "series-2", "series-3", "series-4", "series-5", "series-6")
_AXES = {
    "ns": "time",
    "ratio": "share",
    "versions": "versions",
}


def staleness_curves(history: History, contract: Contract, known: Ages) -> tuple[Chart, ...]:
    """Per phase in which a read was possibly stale: the share of reads at least that old, certain and possible."""
    timeline = phases(history, contract)
    charts = []
    for number, label in enumerate(timeline.labels):
        inside = known.known & (timeline.of == number)
        lo, hi = known.lo_ns[inside], known.hi_ns[inside]
        if len(hi) and hi.max() > _LEAST_AGE_NS:
            charts.append(_ccdf(label, lo, hi, _promised(contract, label)))
    return tuple(charts)


def _promised(contract: Contract, phase: str) -> tuple[int, str] | None:
    """The bound in ns that the contract names for a phase, with its words; None where it depends on the fault's length."""
    if phase == STEADY:
        steady = contract.staleness.steady
        return None if steady is None else (steady, duration(steady))
    bound = contract.staleness.during.get(phase.partition(" ")[2])
    return None if bound is None or bound.plus_fault else (bound.extra_ns, duration(bound.extra_ns))


def _ccdf(phase: str, lo: Column, hi: Column, promise: tuple[int, str] | None) -> Chart:
    floor = max(_LEAST_AGE_NS, 1.0)
    curves = [survival(lo, floor), survival(hi, floor)]
    bound = np.array([promise[0]] if promise and promise[0] > 0 else [], dtype=float)
    x_scale = log_scale([*(x for x, _ in curves), bound], "ns", least=floor)
    y_scale = log_scale([share for _, share in curves], "share", least=1e-7)
    y_scale = Scale(y_scale.low, 1.0, "share", log=True)
    x_ticks, y_ticks = x_scale.ticks(5), y_scale.ticks()
    marks = [grid(y_ticks, x_ticks)]
    keys = []
    for style, label, (x, share) in zip(("lo-max", "hi-max"), ("certain age", "possible age"), curves, strict=True):
        marks.append(polyline(x_scale.at(x), y_scale.at(share), f"line {style}"))
        keys.append(Key(style, label))
    if promise and promise[0] > 0:
        at = wide(float(x_scale.at(promise[0])))
        marks.append(element("line", class_="line promise", x1=at, x2=at, y1=0, y2=10_000))
        keys.append(Key("promise", f"promised: {promise[1]}"))
    stale = int((lo > 0).sum())
    reading = f"{count(stale)} of {plural(len(lo), 'read')} were certainly stale" + (
        f", the oldest by {duration(lo.max())}." if stale else "."
    )
    if promise:
        beyond = int((lo > promise[0]).sum())
        reading += f" {count(beyond) if beyond else 'None'} certainly broke the bound of {promise[1]}."
    return Chart(
        name="ccdf-" + phase.replace(" ", "-"),
        title=f"How old reads were, {phase}",
        reading=reading,
        described="Share of reads at least as old as x, both axes logarithmic, as certain and as possible age. " + reading,
        x_label="age",
        y_label="share of reads at least that old",
        x_ticks=x_ticks,
        y_ticks=y_ticks,
        marks=joined(marks),
        keys=tuple(keys),
        height=220,
    )


def checker_curves(curves: tuple[Curve, ...]) -> tuple[Chart, ...]:
    """One chart per name of the checkers' curves, one line per scope."""
    drawable = sorted((curve for curve in curves if len(curve.x) > 1), key=lambda curve: curve.name)
    return tuple(_of_curves(name, tuple(group)) for name, group in groupby(drawable, key=lambda curve: curve.name))


def _of_curves(name: str, curves: tuple[Curve, ...]) -> Chart:
    first = curves[0]
    xs, ys = ([np.array(axis, dtype=float) for axis in axes] for axes in ([c.x for c in curves], [c.y for c in curves]))
    in_powers = first.x_unit == "ns" and max(float(x.max()) for x in xs) > 0
    x_scale = log_scale(xs, "ns", least=1e4, zero=any((x <= 0).any() for x in xs)) if in_powers else zero_scale(xs, first.x_unit)
    y_scale = Scale(0.0, 1.0, "share") if first.y_unit == "ratio" else zero_scale(ys, first.y_unit)
    x_ticks, y_ticks = x_scale.ticks(5), y_scale.ticks()
    styles = [_STYLES[number % len(_STYLES)] for number in range(len(curves))]
    lines = [polyline(x_scale.at(x), y_scale.at(y), f"line {style}") for x, y, style in zip(xs, ys, styles, strict=True)]
    reading = " ".join(_last_point(curve) for curve in curves[:4])
    return Chart(
        name=f"curve-{name}",
        title=name.replace("-", " "),
        reading=reading,
        described=f"{name}: {plural(len(curves), 'line')}. " + reading,
        x_label=_AXES.get(first.x_unit, first.x_unit),
        y_label=_AXES.get(first.y_unit, first.y_unit),
        x_ticks=x_ticks,
        y_ticks=y_ticks,
        marks=joined([grid(y_ticks, x_ticks), *lines]),
        keys=tuple(Key(style, curve.scope or "all") for style, curve in zip(styles, curves, strict=True)),
        height=220,
    )


def _last_point(curve: Curve) -> str:
    """Where a curve ends, as a sentence."""
    scope = f"{curve.scope}: " if curve.scope else ""
    return f"{scope}{quantity(curve.y[-1], curve.y_unit)} at {quantity(curve.x[-1], curve.x_unit)}."


def data_table(curves: tuple[Curve, ...], most: int = 12) -> tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]:
    """Every curve as (name, scope, points in words), thinned to ``most`` points: the charts' text alternative."""
    tables = []
    for curve in curves:
        chosen = np.unique(np.linspace(0, len(curve.x) - 1, min(most, len(curve.x))).round().astype(int)) if curve.x else ()
        points = tuple((quantity(curve.x[i], curve.x_unit), quantity(curve.y[i], curve.y_unit)) for i in chosen)
        tables.append((curve.name, curve.scope or "all", points))
    return tuple(tables)
