"""A chart as SVG that needs no script: marks in a stretched coordinate box, axes and labels as text around it.

The plot's box is ``WIDE`` by ``WIDE`` units whatever its size on the screen; strokes and text are not stretched. So a chart fits
every width, stays sharp on paper, takes its colours from the style sheet, and is zoomed by changing the box's ``viewBox`` alone.
That is why the charts are drawn here and not by a plotting library's canvas, which knows neither print nor dark mode and shows
nothing without its megabyte of script.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from harness.history import Column
from reports.words import printable, quantity

WIDE = 10_000
"""Units of a plot's box, both ways."""

_ZERO = 0.07
"""Share of a logarithmic axis with a zero that the step from zero to its least positive value takes."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A label on an axis, ``at`` a share of its length from its low end."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Scale:
    """Values to shares of an axis. ``log`` with ``zero``: a step for 0 below ``low``, then powers."""

    low: float
    high: float
    unit: str
    log: bool = False
    zero: bool = False

    def at(self, values: Column | float) -> Column:
        """Where the values lie, 0 to 1; what lies outside is put on the edge, NaN stays."""
        number = np.asarray(values, dtype=float)
        if self.high <= self.low:  # one value only: it lies in the middle of its axis
            middle: Column = np.where(np.isnan(number), number, 0.5)
            return np.where(number < self.low, 0.0, middle)
        if not self.log:
            return np.clip((number - self.low) / (self.high - self.low), 0.0, 1.0)
        floor = _ZERO if self.zero else 0.0
        share = np.log(np.maximum(number, self.low) / self.low) / math.log(self.high / self.low)
        above: Column = np.clip(floor + (1.0 - floor) * share, 0.0, 1.0)
        return np.where(number < self.low, 0.0, above) if self.zero else above

    def ticks(self, most: int = 6) -> tuple[Tick, ...]:
        """Up to ``most`` round values with their labels."""
        values = powers(self.low, self.high, most) if self.log else steps(self.low, self.high, most)
        if self.zero:
            values = [0.0, *values]
        return tuple(Tick(float(self.at(value)), self._label(value)) for value in values)

    def _label(self, value: float) -> str:
        if value == 0:
            return "0"
        if self.unit == "share":
            return f"{value * 100:g}%" if value >= 1e-3 else f"{value:.0e}".replace("e-0", "e-")  # noqa: PLR2004  # 0.1%
        return quantity(value, self.unit)


def steps(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten from ``low`` to ``high``."""
    raw = (high - low) / max(1, most - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def powers(low: float, high: float, most: int) -> list[float]:
    """Powers of ten from ``low`` to ``high``, every second or third where they are many; also 2 and 5 times them where few."""
    exponents = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
    if len(exponents) > 2:  # noqa: PLR2004  # from three powers on they carry an axis alone
        every = math.ceil(len(exponents) / most)
        return [10.0**exponent for exponent in exponents[::every]]
    around = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if math.log10(high / low) > 0.5 else (1, 1.5, 2, 3, 4, 5, 7)  # noqa: PLR2004  # half a power
    fine = [10.0**exponent * factor for exponent in around for factor in factors]
    return [value for value in fine if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)][:most]


def log_scale(values: Iterable[Column], unit: str, *, least: float, zero: bool = False) -> Scale:
    """A logarithmic scale that holds all positive ``values``, and begins with a whole power of ten, at ``least`` or above."""
    finite = [column[np.isfinite(column) & (column > 0)] for column in (np.asarray(v, dtype=float) for v in values)]
    joined = np.concatenate([np.empty(0), *finite])
    low = max(least, float(joined.min())) if len(joined) else least
    high = max(low * 10, float(joined.max()) * 1.3) if len(joined) else least * 10
    return Scale(10.0 ** math.floor(math.log10(low) + 1e-9), high, unit, log=True, zero=zero)


def zero_scale(values: Iterable[Column], unit: str) -> Scale:
    """A linear scale from 0 to a little above the greatest of ``values``."""
    finite = [column[np.isfinite(column)] for column in values]
    top = max((float(column.max()) for column in finite if len(column)), default=0.0)
    return Scale(0.0, top * 1.06 or 1.0, unit)


@dataclass(frozen=True, slots=True)
class Key:
    """One entry of a legend: a line style of the style sheet, and what it stands for."""

    style: str
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart, ready for the page.

    Attributes:
        name: its anchor and the prefix of its parts' ids.
        title: what is shown; ``reading``: what it says of this run, in a sentence; ``described``: its text alternative.
        y_label, x_label: the axes' names.
        marks: SVG in the plot's box; the grid is already in it.
        in_time: whether its x axis is the run's time, zoomed together with all others of that kind.
        height: of the plot, in CSS pixels.
    """

    name: str
    title: str
    reading: str
    described: str
    x_label: str
    y_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    marks: Markup
    keys: tuple[Key, ...] = ()
    in_time: bool = False
    height: int = 180


def element(tag: str, content: str | Markup = "", **attributes: object) -> Markup:
    """One SVG element, escaped; an underscore in an attribute's name stands for a hyphen, a trailing one for nothing."""
    parts = Markup("").join(
        Markup(' {}="{}"').format(Markup(name.rstrip("_").replace("_", "-")), printable(value))  # noqa: S704  # names are ours
        for name, value in attributes.items()
    )
    inner = content if isinstance(content, Markup) else printable(content)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(tag), parts, inner)  # noqa: S704  # tags are ours


def joined(marks: Iterable[Markup]) -> Markup:
    """Marks, one after the other."""
    return Markup("").join(marks)


def grid(y_ticks: Iterable[Tick], x_ticks: Iterable[Tick] = ()) -> Markup:
    """Thin lines at the ticks."""
    across = [element("line", class_="grid", x1=0, x2=WIDE, y1=up(t.at), y2=up(t.at)) for t in y_ticks]
    down = [element("line", class_="grid", x1=wide(t.at), x2=wide(t.at), y1=0, y2=WIDE) for t in x_ticks]
    return joined(across + down)


def staircase(edges: Column, heights: Column, style: str, *, filled: bool = False) -> Markup:
    """A step per bin, broken where there is no value; ``edges`` and ``heights`` are shares of the axes."""
    path: list[str] = []
    open_ = False
    for left, right, height in zip(edges[:-1], edges[1:], heights, strict=True):
        if math.isnan(height):
            if open_ and filled:
                path.append(f"V{WIDE}Z")
            open_ = False
            continue
        if not open_:
            path.append(f"M{wide(left)} {WIDE}V{up(height)}" if filled else f"M{wide(left)} {up(height)}")
        else:
            path.append(f"V{up(height)}")
        path.append(f"H{wide(right)}")
        open_ = True
    if open_ and filled:
        path.append(f"V{WIDE}Z")
    return element("path", class_=style, d="".join(path)) if path else Markup("")


def polyline(x: Column, y: Column, style: str) -> Markup:
    """A line through points given as shares of the axes."""
    points = [f"{wide(a)} {up(b)}" for a, b in zip(x, y, strict=True) if not (math.isnan(a) or math.isnan(b))]
    return element("path", class_=style, d="M" + "L".join(points)) if len(points) > 1 else Markup("")


def wide(share: float) -> str:
    """A share of the x axis in the plot's units."""
    return f"{share * WIDE:.4g}" if share * WIDE < 1000 else f"{share * WIDE:.0f}"  # noqa: PLR2004  # as fine as a screen


def up(share: float) -> str:
    """A share of the y axis, counted from below, in the plot's units."""
    return f"{(1 - share) * WIDE:.0f}"


def table_of(columns: Mapping[str, Column]) -> dict[str, list[float | None]]:
    """Columns for a script: numbers rounded to five digits, None where there is none."""
    return {
        name: [None if not math.isfinite(value) else float(f"{value:.5g}") for value in column.tolist()]
        for name, column in columns.items()
    }
