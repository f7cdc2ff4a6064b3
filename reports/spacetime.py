"""The space-time diagram (Lamport 1978) of a finding's witness: lanes for sessions and nodes, time downwards.

An operation is the bar on its session's lane from call to return; an arrow goes to the node asked and, if an answer came, one
comes back. When within the bar the node acted nobody knows; the arrows meet the node's lane in its middle.

Distances in time are true to one scale, with two exceptions. A stretch too long for it is drawn shorter, broken by two waves and
with its length written beside it; one too short is drawn just long enough for the order of its events to show. The turns of the
time axis are labelled, so no length needs to be measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median_low

from markupsafe import Markup

from harness.durations import format_duration
from harness.history import Episode
from reports.chart import element, joined
from reports.rows import Row
from reports.time_charts import named
from reports.words import clip, shorten

_AXIS = 118
"""Where the time axis stands."""
_LABELS = 150
"""Where the operations' labels begin."""
_LEAST_LANES, _BEFORE_LANES = 340.0, 44.0
"""Where the first lane stands at least, and how far behind the labels."""
_LETTER, _SMALL_LETTER = 7.0, 5.8
"""Pixels that a letter of a label and of its detail takes, about."""
_UNANSWERED = 22.0
"""Pixels of the open end of an operation without answer."""
_HEAD = 64
_FOOT = 28
_LEAST, _USUAL, _MOST = 7.0, 28.0, 72.0
"""Pixels that a stretch between two events takes: at least, at the median, at most."""
_LABEL_STEP = 36.0
_TICK_STEP = 14.0
_LABEL_LENGTH = 52
_KEY_LENGTH = 28
_NODE_LENGTH = 24
_UNITS = (("s", 1e9, 6), ("ms", 1e6, 3), ("us", 1e3, 3))
"""How times since the first event are written: the unit, its length in ns, its decimals."""
_FEW, _APART, _CLOSE = 4, 72.0, 46.0
"""Few sessions have lanes so far apart, more have closer ones."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """The time between two neighbouring events and the pixels it is drawn in."""

    begin_ns: int
    end_ns: int
    top: float
    bottom: float
    broken: bool


class Axis:
    """Times to heights: piecewise linear over the stretches between at least two different events."""

    def __init__(self, events: list[int]) -> None:
        times = sorted(set(events))
        scale = _USUAL / median_low(after - before for before, after in pairwise(times))
        self.stretches: list[Stretch] = []
        top = float(_HEAD + 20)
        self.first = (times[0], top)
        for before, after in pairwise(times):
            true = (after - before) * scale
            bottom = top + min(max(true, _LEAST), _MOST)
            self.stretches.append(Stretch(before, after, top, bottom, broken=true > _MOST))
            top = bottom
        self.bottom = top

    def at(self, time_ns: int) -> float:
        """The height of ``time_ns``; times outside are put on the ends."""
        for stretch in self.stretches:
            if time_ns <= stretch.end_ns:
                share = (max(time_ns, stretch.begin_ns) - stretch.begin_ns) / (stretch.end_ns - stretch.begin_ns)
                return stretch.top + share * (stretch.bottom - stretch.top)
        return self.bottom

    @property
    def turns(self) -> list[tuple[int, float]]:
        """Every event's time and height."""
        return [self.first, *((stretch.end_ns, stretch.bottom) for stretch in self.stretches)]


def spacetime(rows: tuple[Row, ...], episodes: tuple[Episode, ...], name: str) -> Markup:
    """The diagram of ``rows`` as one SVG with ids that begin with ``name``; empty if there is nothing to draw."""
    if not rows:
        return Markup("")
    struck = _on(episodes, rows)
    axis = Axis(_events(rows, struck))
    sessions = list(dict.fromkeys(row.session for row in rows))
    nodes = sorted({row.node for row in rows})
    between_sessions = _CLOSE if len(sessions) > _FEW else _APART
    words = [_words(row) for row in rows]
    lanes = max(_LEAST_LANES, _LABELS + max(_width(*each) for each in words) + _BEFORE_LANES)
    clients = {session: lanes + between_sessions * place for place, session in enumerate(sessions)}
    name_width = min(max(len(node) for node in nodes), _NODE_LENGTH) * _LETTER
    between_nodes = max(96.0, name_width + 24)
    first_node = clients[sessions[-1]] + max(130.0, name_width)
    machines = {node: first_node + between_nodes * place for place, node in enumerate(nodes)}
    width = machines[nodes[-1]] + max(48.0, name_width / 2 + 12)
    label_tops = spread([axis.at(row.call_ns) + 4 for row in rows], _LABEL_STEP, _HEAD + 22.0)
    height = max(axis.bottom, label_tops[-1] + 16) + _FOOT
    marks = [
        element("title", f"Space-time diagram of {len(rows)} operations", id=f"{name}-title"),
        element("desc", described(rows), id=f"{name}-desc"),
        _hatch(name),
        *_struck(struck, axis, machines, height, name),
        *(_lane("session", str(session), x, height) for session, x in clients.items()),
        *(_lane("node", node, x, height) for node, x in machines.items()),
        _time(axis),
        *(
            _operation(row, each, top, axis, session=clients[row.session], node=machines[row.node])
            for row, each, top in zip(rows, words, label_tops, strict=True)
        ),
    ]
    return element(
        "svg",
        joined(marks),
        class_="spacetime",
        width=f"{width:.0f}",
        height=f"{height:.0f}",
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    )


def described(rows: tuple[Row, ...]) -> str:
    """The diagram in words."""
    first = rows[0].call_ns
    parts = [
        f"After {format_duration(row.call_ns - first)} session {row.session} asked {row.node} to {row.sentence}, {row.took}"
        + (f", {row.age}" if row.age else "")
        for row in rows
    ]
    return ". ".join(parts) + "."


def spread(wanted: list[float], step: float, least: float) -> list[float]:
    """Heights at least ``step`` apart and not above ``least``, in the given order: the wanted ones, pushed down where they must.

    >>> spread([10.0, 11.0, 60.0], 20.0, 0.0)
    [10.0, 30.0, 60.0]
    """
    placed: list[float] = []
    for top in wanted:
        placed.append(max(top, least, placed[-1] + step if placed else least))
    return placed


def _on(episodes: Iterable[Episode], rows: tuple[Row, ...]) -> tuple[Episode, ...]:
    """The episodes that struck a node of the diagram while its operations went on, earliest first."""
    begin, end = min(row.call_ns for row in rows), max(row.end_ns for row in rows)
    asked = {row.node for row in rows}
    met = [
        (episode.applied_ns, episode)
        for episode in episodes
        if episode.applied_ns is not None
        and episode.applied_ns <= end
        and (episode.healed_ns is None or episode.healed_ns >= begin)
        and not asked.isdisjoint(episode.nodes)
    ]
    return tuple(episode for _, episode in sorted(met, key=lambda pair: pair[0]))


def _events(rows: tuple[Row, ...], episodes: tuple[Episode, ...]) -> list[int]:
    begin, end = min(row.call_ns for row in rows), max(row.end_ns for row in rows)
    calls = [time for row in rows for time in (row.call_ns, row.end_ns)]
    edges = [edge for e in episodes for edge in (e.applied_ns, e.healed_ns) if edge is not None and begin < edge < end]
    times = calls + edges
    return times if len(set(times)) > 1 else [*times, times[0] + 1_000_000]


def _hatch(name: str) -> Markup:
    line = element("path", d="M0 8L8 0", class_="hatch-line")
    return element("defs", element("pattern", line, id=f"{name}-hatch", width=8, height=8, patternUnits="userSpaceOnUse"))


def _struck(episodes: Iterable[Episode], axis: Axis, machines: dict[str, float], height: float, name: str) -> list[Markup]:
    """Hatched bands on the lanes of the nodes that the episodes struck, while those were on, each with its fault's name."""
    begins, ends = axis.turns[0][0], axis.turns[-1][0]
    free = dict.fromkeys(machines, 0.0)
    groups = []
    for episode in episodes:
        applied = episode.applied_ns or 0
        healed = math.inf if episode.healed_ns is None else episode.healed_ns
        top = _HEAD + 4.0 if applied <= begins else axis.at(applied)
        bottom = height - _FOOT + 12 if healed >= ends else axis.at(int(healed))
        marks = [element("title", named(episode))]
        for node in dict.fromkeys(node for node in episode.nodes if node in machines):
            x, label = machines[node], max(top + 2, free[node])
            free[node] = label + len(episode.kind) * _SMALL_LETTER + 8
            marks.append(_box(x - 26, top, 52, max(bottom - top, 2), "struck", fill=f"url(#{name}-hatch)"))
            turned = f"translate({x + 31:.1f},{label:.1f}) rotate(90)"
            marks.append(element("text", episode.kind, class_="struck-name", transform=turned))
        groups.append(element("g", joined(marks)))
    return groups


def _lane(sort: str, name: str, x: float, height: float) -> Markup:
    marks = [
        element("title", f"{sort} {name}"),
        _text(sort, x, _HEAD - 38, "lane-sort", "middle"),
        _text(clip(name, _NODE_LENGTH), x, _HEAD - 22, "lane-name", "middle"),
        _line(x, _HEAD - 12, x, height - _FOOT + 12, f"{sort}-lane"),
    ]
    return element("g", joined(marks))


def _time(axis: Axis) -> Markup:
    """The time axis: every event's time, every broken stretch with its length."""
    start, length = axis.first[0], axis.turns[-1][0] - axis.first[0]
    unit, size, digits = next((each for each in _UNITS if length >= each[1]), _UNITS[-1])
    marks = [_text("time since start", _AXIS + 6, _HEAD - 22, "lane-name", "end")]
    last = -math.inf
    for time_ns, y in axis.turns:
        marks.append(_line(_AXIS, y, _AXIS + 6, y, "axis"))
        if y - last >= _TICK_STEP:
            label = f"{time_ns / 1e9:.6f}s" if time_ns == start else f"+{(time_ns - start) / size:.{digits}f}{unit}"
            marks.append(_text(label, _AXIS - 5, y + 4, "time", "end"))
            last = y
    for stretch in axis.stretches:
        marks += _broken(stretch) if stretch.broken else [_line(_AXIS, stretch.top, _AXIS, stretch.bottom, "axis")]
    return element("g", joined(marks))


def _broken(stretch: Stretch) -> list[Markup]:
    middle = (stretch.top + stretch.bottom) / 2
    waves = (element("path", d=f"M{_AXIS - 7} {y:.1f}q3.5 -6 7 -2t7 -2", class_="break") for y in (middle - 2, middle + 6))
    return [
        _line(_AXIS, stretch.top, _AXIS, middle - 5, "axis"),
        *waves,
        _line(_AXIS, middle + 5, _AXIS, stretch.bottom, "axis"),
        _text(f"({format_duration(stretch.end_ns - stretch.begin_ns)})", _AXIS - 12, middle + 4, "break-length", "end"),
    ]


def _words(row: Row) -> tuple[str, str]:
    """An operation's label, and the detail below it."""
    label = clip(row.phrase(shorten(row.key, _KEY_LENGTH)), _LABEL_LENGTH)
    return label, f"{row.name} · {row.took}" + (f" · {row.age}" if row.age else "")


def _width(label: str, detail: str) -> float:
    """Pixels that a label and its detail take, about."""
    return max(len(label) * _LETTER, len(detail) * _SMALL_LETTER)


def _operation(row: Row, words: tuple[str, str], label_top: float, axis: Axis, *, session: float, node: float) -> Markup:
    top, bottom = axis.at(row.call_ns), axis.at(row.end_ns)
    middle = (top + bottom) / 2
    answered = row.return_ns is not None
    style = ("read" if row.function == "read" else "write") + ("" if answered else " unknown")
    label, detail = words
    label_end = _LABELS + _width(label, detail) + 8
    marks = [
        element("title", f"{row.name}: {row.sentence} at {row.node}, {row.took}"),
        _line(label_end, label_top, session - 8, top + 2, "leader"),
        _arrow(session + 5, top, node - 2, middle, f"message {style}"),
        _arrow(node - 2, middle, session + 5, bottom, f"message answer {style}") if answered else Markup(""),
        element("circle", cx=node, cy=f"{middle:.1f}", r=3.5, class_=f"event {style}"),
        _box(session - 5, top, 10, max(bottom - top, 5) if answered else _UNANSWERED, f"interval {style}"),
        _text(label, _LABELS, label_top - 1, "label"),
        _text(detail, _LABELS, label_top + 13, "detail"),
    ]
    return element("g", joined(marks), class_="operation")


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> Markup:
    return element("line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", class_=style)


def _box(x: float, y: float, width: float, height: float, style: str, **more: object) -> Markup:
    return element(
        "rect", Markup(""), x=f"{x:.1f}", y=f"{y:.1f}", width=f"{width:.1f}", height=f"{height:.1f}", class_=style, **more
    )


def _text(content: str, x: float, y: float, style: str, anchor: str = "start") -> Markup:
    return element("text", content, x=f"{x:.1f}", y=f"{y:.1f}", class_=style, text_anchor=anchor)


def _arrow(x1: float, y1: float, x2: float, y2: float, style: str) -> Markup:
    """A line with its own head: markers that refer to an id do not survive copying a part of the page."""
    angle = math.atan2(y2 - y1, x2 - x1)
    head = "".join(f"L{x2 - 8 * math.cos(angle + turn):.1f} {y2 - 8 * math.sin(angle + turn):.1f}" for turn in (0.4, -0.4))
    line = element("path", class_=style, d=f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}")
    return line + element("path", class_=f"head {style}", d=f"M{x2:.1f} {y2:.1f}{head}Z")
