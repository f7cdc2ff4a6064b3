"""Distributions: how often reads were how old, phase by phase, against the contract; and every curve the checkers drew."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from checkers.phases import STEADY, bound_of, phase_labels, phase_of
from harness.durations import format_duration
from harness.history import Column, History
from harness.plan import Contract
from harness.results import Curve
from reports.ages import Ages
from reports.chart import Chart, Key, Scale, element, grid, joined, log_scale, polyline, wide, zero_scale
from reports.series import survival
from reports.words import count, plural, quantity

_LEAST_AGE_NS = 1e5
_ALL = "series-0"
_STYLES = ("series-1", "series-2", "series-3", "series-4", "series-5", "series-6")
_LEAST_X_NS = 1e4
_MOST_READ = 4
"""Lines of a chart that its reading speaks of."""


def staleness_curves(history: History, contract: Contract, known: Ages) -> tuple[Chart, ...]:
    """Per phase in which a read was possibly stale: the share of reads at least that old, certain and possible."""
    phase = phase_of(history, contract, history.call_ns)
    broke = _broke(history, contract, known)
    charts = []
    for number, label in enumerate(phase_labels(history)):
        inside = known.known & (phase == number)
        lo, hi = known.lo_ns[inside], known.hi_ns[inside]
        if len(hi) and hi.max() > _LEAST_AGE_NS:
            charts.append(_ccdf(label, lo, hi, _promised(history, contract, label), int(broke[inside].sum())))
    return tuple(charts)


def _broke(history: History, contract: Contract, known: Ages) -> Column:
    """Mask of the reads that were certainly older than the bound that held while they were stale."""
    stale = np.flatnonzero(known.lo_ns > 0)
    broke = np.zeros(len(history), dtype=bool)
    broke[stale] = known.lo_ns[stale] > bound_of(history, contract, known.since_ns[stale], history.call_ns[stale])
    return broke


@dataclass(frozen=True, slots=True)
class Promise:
    """The least bound in ns that the contract sets to reads of a phase, with its words; None where it sets none."""

    least_ns: int | None
    words: str


def _promised(history: History, contract: Contract, phase: str) -> Promise:
    steady, fault = contract.staleness.steady, phase.partition(" ")[2]
    if phase == STEADY and steady is not None:
        return Promise(steady, format_duration(steady))
    bound = contract.staleness.during.get(fault)
    if steady is None or bound is None:
        return Promise(None, "The contract sets no bound for this phase.")
    ends = ((e.applied_ns, history.end_ns if e.healed_ns is None else e.healed_ns) for e in history.episodes if e.kind == fault)
    least = min(max(steady, bound.of(end - begin)) for begin, end in ends if begin is not None)
    return Promise(least, f"{bound}, here at least {format_duration(least)}" if bound.plus_fault else format_duration(least))


def _ccdf(phase: str, lo: Column, hi: Column, promise: Promise, broken: int) -> Chart:
    floor = max(_LEAST_AGE_NS, 1.0)
    curves = [survival(lo, floor), survival(hi, floor)]
    bound = np.array([promise.least_ns] if promise.least_ns else [], dtype=float)
    x_scale = log_scale([*(x for x, _ in curves), bound], "ns", least=floor)
    y_scale = log_scale([share for _, share in curves], "share", least=1e-7)
    y_scale = Scale(y_scale.low, 1.0, "share", log=True)
    x_ticks, y_ticks = x_scale.ticks(5), y_scale.ticks()
    marks = [grid(y_ticks, x_ticks)]
    keys = []
    for style, label, (x, share) in zip(("lo-max", "hi-max"), ("certain age", "possible age"), curves, strict=True):
        marks.append(polyline(x_scale.at(x), y_scale.at(share), f"line {style}"))
        keys.append(Key(style, label))
    if promise.least_ns:
        at = wide(float(x_scale.at(promise.least_ns)))
        marks.append(element("line", class_="line promise", x1=at, x2=at, y1=0, y2=10_000))
        keys.append(Key("promise", f"promised: {promise.words}"))
    stale = int((lo > 0).sum())
    reading = f"{count(stale)} of {plural(len(lo), 'read')} were certainly stale" + (
        f", the oldest by {format_duration(lo.max())}." if stale else "."
    )
    if promise.least_ns is None:
        reading += f" {promise.words}"
    else:
        reading += f" {count(broken) if broken else 'None'} broke the bound of {promise.words}."
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


@dataclass(frozen=True, slots=True)
class Kind:
    """How curves of one name are drawn and read.

    Attributes:
        title, x_label, y_label: for people.
        tail: whether y falls from 1 towards rare cases, and is drawn in powers.
        counted: what the shares are of, in the words that follow "1%".
    """

    title: str
    x_label: str
    y_label: str
    tail: bool
    counted: str


_KINDS = {
    "staleness-lo": Kind(
        "Certain age per node", "age", "share of reads older than that", tail=True, counted="of reads older than"
    ),
    "staleness-hi": Kind(
        "Possible age per node", "age", "share of reads older than that", tail=True, counted="of reads older than"
    ),
    "coherence-lag-certain": Kind(
        "Lag per node, at least", "lag", "share of writes missing for longer", tail=True, counted="of writes missing for over"
    ),
    "coherence-lag-possible": Kind(
        "Lag per node, at most", "lag", "share of writes missing for longer", tail=True, counted="of writes missing for over"
    ),
    "t-visibility": Kind(
        "Visibility of writes",
        "time since the write was acknowledged",
        "share of reads that found it",
        tail=False,
        counted="found",
    ),
    "bound-coverage": Kind(
        "How closely bounds were probed",
        "time past the bound",
        "share of writes seen fresh by then",
        tail=False,
        counted="seen fresh",
    ),
}
_RARE = 0.01


def checker_curves(curves: tuple[Curve, ...]) -> tuple[Chart, ...]:
    """One chart per name of the checkers' curves, one line per scope; the known names first."""
    known = list(_KINDS)
    ordered = sorted(curves, key=lambda curve: (known.index(curve.name) if curve.name in known else len(known), curve.name))
    groups = [tuple(group) for _, group in groupby(ordered, key=lambda curve: curve.name)]
    return tuple(_of_curves(group) for group in groups if any(len(curve.x) > 1 for curve in group))


def _of_curves(group: tuple[Curve, ...]) -> Chart:
    curves = tuple(curve for curve in group if len(curve.x) > 1)
    first, name = curves[0], curves[0].name
    kind = _KINDS.get(name) or Kind(name.replace("-", " "), first.x_unit, first.y_unit, tail=False, counted="")
    xs, ys = ([np.array(axis, dtype=float) for axis in axes] for axes in ([c.x for c in curves], [c.y for c in curves]))
    shares = first.y_unit == "ratio"
    in_powers = first.x_unit == "ns" and any((x > 0).any() for x in xs)
    zero = any((x <= 0).any() for x in xs)
    x_scale = log_scale(xs, "ns", least=_LEAST_X_NS, zero=zero) if in_powers else zero_scale(xs, first.x_unit)
    if kind.tail:
        y_scale = replace(log_scale(ys, "share", least=1e-7), high=1.0)
    else:
        y_scale = Scale(0.0, 1.0, "share") if shares else zero_scale(ys, first.y_unit)
    x_ticks, y_ticks = x_scale.ticks(5), y_scale.ticks()
    scopes = sorted({curve.scope for curve in group if curve.scope})
    styles = [_STYLES[scopes.index(curve.scope) % len(_STYLES)] if curve.scope else _ALL for curve in curves]
    lines = []
    for x, y, style in zip(xs, ys, styles, strict=True):
        drawn = np.where(y > 0, y_scale.at(y), np.nan) if kind.tail else y_scale.at(y)
        lines.append(polyline(x_scale.at(x), drawn, f"line {style}"))
    say = _rare if kind.tail else _nearly_all if shares else _ends
    reading = "; ".join(say(curve, kind) for curve in group[:_MOST_READ] if curve.x) + "."
    return Chart(
        name=f"curve-{name}",
        title=kind.title,
        reading=reading,
        described=f"{kind.title}: {plural(len(curves), 'line')}; {kind.y_label} against {kind.x_label}. " + reading,
        x_label=kind.x_label,
        y_label=kind.y_label,
        x_ticks=x_ticks,
        y_ticks=y_ticks,
        marks=joined([grid(y_ticks, x_ticks), *lines]),
        keys=tuple(Key(style, curve.scope or "all nodes") for style, curve in zip(styles, curves, strict=True)),
        height=220,
    )


def _rare(curve: Curve, kind: Kind) -> str:
    """Where a falling curve passes one in a hundred, in words."""
    scope = curve.scope or "all nodes"
    for x, y in zip(curve.x, curve.y, strict=True):
        if y <= _RARE and x == 0:
            return f"{scope}: {f'only {quantity(y, curve.y_unit)}' if y else 'none'} {kind.counted} {quantity(x, curve.x_unit)}"
        if y <= _RARE:
            at_most = quantity(x, curve.x_unit)
            return f"{scope}: at most 1% {kind.counted} {at_most}"
    return f"{scope}: still {quantity(curve.y[-1], curve.y_unit)} {kind.counted} {quantity(curve.x[-1], curve.x_unit)}"


def _nearly_all(curve: Curve, kind: Kind) -> str:
    """Where a rising share passes 99 in a hundred, in words."""
    scope = curve.scope or "all nodes"
    for x, y in zip(curve.x, curve.y, strict=True):
        if y >= 1 - _RARE:
            return f"{scope}: 99% {kind.counted} from {quantity(x, curve.x_unit)} on"
    return f"{scope}: {quantity(curve.y[-1], curve.y_unit)} {kind.counted} at {quantity(curve.x[-1], curve.x_unit)}"


def _ends(curve: Curve, kind: Kind) -> str:
    """Where a curve begins and ends, in words."""
    ends = (f"{quantity(curve.y[at], curve.y_unit)} at {quantity(curve.x[at], curve.x_unit)}" for at in (0, -1))
    return f"{curve.scope or kind.title}: {', '.join(ends)}"


def data_table(curves: tuple[Curve, ...], most: int = 12) -> tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]:
    """Every curve as (name, scope, points in words), thinned to ``most`` points: the charts' text alternative."""
    tables = []
    for curve in curves:
        chosen = np.unique(np.linspace(0, len(curve.x) - 1, min(most, len(curve.x))).round().astype(int)) if curve.x else ()
        points = tuple((quantity(curve.x[i], curve.x_unit), quantity(curve.y[i], curve.y_unit)) for i in chosen)
        tables.append((curve.name, curve.scope or "all", points))
    return tuple(tables)
