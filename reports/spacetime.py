"""The space-time diagram (Lamport 1978) of a finding's witness: lanes for sessions and nodes, time downwards.

An operation is the bar on its session's lane from call to return; an arrow goes to the node asked and, if an answer came, one comes
back. When within the bar the node acted nobody knows; the arrows meet the node's lane in its middle.

Distances in time are true to one scale, except where they would not fit: such a stretch is drawn shorter, between two wavy strokes,
with its length written beside it. Every turn of the time axis is labelled, so no length needs to be measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from harness.history import Episode
from reports.chart import element, joined
from reports.rows import Row
from reports.time_charts import named
from reports.words import clip, duration

_WIDTH = 920
_AXIS = 118
"""Where the time axis stands."""
_LABELS = 150
"""Where the operations' labels begin."""
_LANES = 430
"""Where the first lane stands."""
_HEAD = 64
_FOOT = 28
_LEAST, _MOST = 16.0, 72.0
"""Pixels that a stretch between two events takes."""
_LABEL_STEP = 36.0
_TICK_STEP = 14.0
_LABEL_LENGTH = 40


@dataclass(frozen=True, slots=True)
class Stretch:
    """The time between two neighbouring events and the pixels it is drawn in."""

    begin_ns: int
    end_ns: int
    top: float
    bottom: float
    broken: bool


class Axis:
    """Times to heights: piecewise linear over the stretches between events."""

    def __init__(self, events: list[int]) -> None:
        times = sorted(set(events))
        lengths = [after - before for before, after in pairwise(times)]
        scale = _LEAST / min(lengths) if lengths else 1.0
        self.stretches: list[Stretch] = []
        top = float(_HEAD + 20)
        self.first = (times[0], top)
        for before, after in pairwise(times):
            true = (after - before) * scale
            bottom = top + min(true, _MOST)
            self.stretches.append(Stretch(before, after, top, bottom, broken=true > _MOST * 1.001))
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
    axis = Axis(_events(rows, episodes))
    sessions = list(dict.fromkeys(f"session {row.session}" for row in rows))
    nodes = sorted({row.node for row in rows})
    pitch = min(120.0, (_WIDTH - _LANES - 40) / max(1, len(sessions) + len(nodes) - 1))
    gap = 24.0 if len(sessions) + len(nodes) < 5 else 0.0  # noqa: PLR2004  # room between people and machines, while there is any
    lanes = {who: _LANES + pitch * place for place, who in enumerate(sessions)}
    lanes |= {who: _LANES + gap + pitch * (len(sessions) + place) for place, who in enumerate(nodes)}
    label_tops = spread([(axis.at(row.call_ns) + axis.at(row.end_ns)) / 2 for row in rows], _LABEL_STEP, _HEAD + 22.0)
    height = max(axis.bottom, label_tops[-1] + 16) + _FOOT
    marks = [
        element("title", f"Space-time diagram of {len(rows)} operations", id=f"{name}-title"),
        element("desc", described(rows), id=f"{name}-desc"),
        _hatch(name),
        *(_struck(episode, axis, lanes, height, name) for episode in episodes),
        *(_lane(who, x, height, pitch, machine=who in nodes and who not in sessions) for who, x in lanes.items()),
        _time(axis),
        *(_operation(row, top, axis, lanes) for row, top in zip(rows, label_tops, strict=True)),
    ]
    return element(
        "svg",
        joined(marks),
        class_="spacetime",
        viewBox=f"0 0 {_WIDTH} {height:.0f}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    )


def described(rows: tuple[Row, ...]) -> str:
    """The diagram in words."""
    first = rows[0].call_ns
    parts = [
        f"After {duration(row.call_ns - first)} session {row.session} asked {row.node} to {row.sentence}, {row.took}"
        + (f", {row.age}" if row.age else "")
        for row in rows
    ]
    return ". ".join(parts) + "."


def spread(wanted: list[float], step: float, least: float) -> list[float]:
    """Heights at least ``step`` apart and not above ``least``, in the given order, as near to the wanted ones as going down allows.

    >>> spread([10.0, 11.0, 60.0], 20.0, 0.0)
    [10.0, 30.0, 60.0]
    """
    placed: list[float] = []
    for top in wanted:
        placed.append(max(top, least, placed[-1] + step if placed else least))
    return placed


def _events(rows: tuple[Row, ...], episodes: tuple[Episode, ...]) -> list[int]:
    begin, end = min(row.call_ns for row in rows), max(row.end_ns for row in rows)
    calls = [time for row in rows for time in (row.call_ns, row.end_ns)]
    edges = [edge for e in episodes for edge in (e.applied_ns, e.healed_ns) if edge is not None and begin < edge < end]
    times = calls + edges
    return times if len(set(times)) > 1 else [*times, times[0] + 1_000_000]


def _hatch(name: str) -> Markup:
    line = element("path", d="M0 8L8 0", class_="hatch-line")
    return element("defs", element("pattern", line, id=f"{name}-hatch", width=8, height=8, patternUnits="userSpaceOnUse"))


def _struck(episode: Episode, axis: Axis, lanes: dict[str, float], height: float, name: str) -> Markup:
    """A hatched band on the lanes of the nodes that an episode struck, for as long as it was on."""
    if episode.applied_ns is None:
        return Markup("")
    begins, ends = axis.turns[0][0], axis.turns[-1][0]
    healed = math.inf if episode.healed_ns is None else episode.healed_ns
    if episode.applied_ns > ends or healed < begins:
        return Markup("")
    top = _HEAD + 4.0 if episode.applied_ns <= begins else axis.at(episode.applied_ns)
    bottom = height - _FOOT + 12 if healed >= ends else axis.at(int(healed))
    marks = [element("title", named(episode))]
    for node in episode.nodes:
        if node in lanes:
            x = lanes[node]
            box = {"x": x - 26, "y": f"{top:.1f}", "width": 52, "height": f"{max(bottom - top, 2):.1f}"}
            marks.append(element("rect", class_="struck", style=f"fill:url(#{name}-hatch)", **box))
            marks.append(element("text", episode.kind, class_="struck-name", transform=f"translate({x + 37},{top + 4:.1f}) rotate(90)"))
    return element("g", joined(marks)) if len(marks) > 1 else Markup("")


def _lane(who: str, x: float, height: float, pitch: float, *, machine: bool) -> Markup:
    style = "node-lane" if machine else "session-lane"
    name = element("text", clip(who, max(6, int(pitch / 7))), x=x, y=_HEAD - 22, class_="lane-name", text_anchor="middle")
    sort = element("text", "node" if machine else "client", x=x, y=_HEAD - 38, class_="lane-sort", text_anchor="middle")
    line = element("line", x1=x, x2=x, y1=_HEAD - 12, y2=height - _FOOT + 12, class_=style)
    return element("g", joined([element("title", who), sort, name, line]))


def _time(axis: Axis) -> Markup:
    """The time axis: every event's time, every broken stretch with its length."""
    start = axis.first[0]
    marks = [element("text", "time since start", x=_AXIS + 6, y=_HEAD - 22, class_="lane-name", text_anchor="end")]
    last = -math.inf
    for time_ns, y in axis.turns:
        marks.append(element("line", x1=_AXIS, x2=_AXIS + 6, y1=f"{y:.1f}", y2=f"{y:.1f}", class_="axis"))
        if y - last >= _TICK_STEP:
            label = f"{time_ns / 1e9:.6f} s" if time_ns == start else f"+{duration(time_ns - start)}"
            marks.append(element("text", label, x=_AXIS - 5, y=f"{y + 4:.1f}", class_="time", text_anchor="end"))
            last = y
    for stretch in axis.stretches:
        middle = (stretch.top + stretch.bottom) / 2
        if not stretch.broken:
            marks.append(element("line", x1=_AXIS, x2=_AXIS, y1=f"{stretch.top:.1f}", y2=f"{stretch.bottom:.1f}", class_="axis"))
            continue
        for above, below in ((stretch.top, middle - 5), (middle + 5, stretch.bottom)):
            marks.append(element("line", x1=_AXIS, x2=_AXIS, y1=f"{above:.1f}", y2=f"{below:.1f}", class_="axis"))
        for y in (middle - 4, middle + 4):
            marks.append(element("path", d=f"M{_AXIS - 7} {y + 2:.1f}q3.5 -6 7 -2t7 -2", class_="break"))
        length = duration(stretch.end_ns - stretch.begin_ns)
        marks.append(element("text", f"({length})", x=_AXIS - 12, y=f"{middle + 4:.1f}", class_="break-length", text_anchor="end"))
    return element("g", joined(marks))


def _operation(row: Row, label_top: float, axis: Axis, lanes: dict[str, float]) -> Markup:
    session, node = lanes[f"session {row.session}"], lanes[row.node]
    top, bottom = axis.at(row.call_ns), axis.at(row.end_ns)
    middle = (top + bottom) / 2
    reads = row.function == "read"
    style = ("read" if reads else "write") + (" unknown" if row.return_ns is None else "")
    marks = [element("title", f"op {row.op}: {row.sentence} at {row.node}, {row.took}")]
    marks.append(element("line", x1=_LABELS + 262, x2=session - 8, y1=f"{label_top:.1f}", y2=f"{middle:.1f}", class_="leader"))
    marks.append(_arrow(session + 5, top, node - 2, middle, f"message {style}"))
    if row.return_ns is None:
        marks.append(element("text", "no answer", x=session + 9, y=f"{bottom + 14:.1f}", class_="detail"))
    else:
        marks.append(_arrow(node - 2, middle, session + 5, bottom, f"message answer {style}"))
    marks.append(element("circle", cx=node, cy=f"{middle:.1f}", r=3.5, class_=f"event {style}"))
    box = {"x": session - 5, "y": f"{top:.1f}", "width": 10, "height": f"{max(bottom - top, 5):.1f}", "rx": 2}
    marks.append(element("rect", class_=f"interval {style}", **box))
    ages = f" · {row.age}" if row.age else ""
    marks.append(element("text", clip(row.sentence, _LABEL_LENGTH), x=_LABELS, y=f"{label_top - 1:.1f}", class_="label"))
    marks.append(element("text", f"op {row.op} · {row.took}{ages}", x=_LABELS, y=f"{label_top + 13:.1f}", class_="detail"))
    return element("g", joined(marks), class_="operation")


def _arrow(x1: float, y1: float, x2: float, y2: float, style: str) -> Markup:
    """A line with its own head: markers that refer to an id do not survive copying a part of the page."""
    angle = math.atan2(y2 - y1, x2 - x1)
    head = "".join(f"L{x2 - 8 * math.cos(angle + turn):.1f} {y2 - 8 * math.sin(angle + turn):.1f}" for turn in (0.4, -0.4))
    line = element("path", class_=style, d=f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}")
    return line + element("path", class_=f"head {style}", d=f"M{x2:.1f} {y2:.1f}{head}Z")
