"""The space-time diagram of a few operations as text: lanes for sessions and nodes, time downwards, one line an event.

time           session 3   node-1   node-2
2.001500s          ├──────────▶│        │         w#11 write x = version 2
+1.2ms             │◀──────────┤        │         w#11 ok
+21.7ms            ├───────────────────▶│         r#14 read x
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from harness.durations import format_duration
from harness.history import Episode
from reports.rows import Row
from reports.words import clip, one_line, shorten

_MOST_LANE = 20
_GAP = 3
_CROSS = "\u2573"
_KEY_LENGTH = 28
_LABEL_LENGTH = 70


class _Event(NamedTuple):
    """A line of the diagram: when, and between which lanes; the arrow goes to the second one. No second lane: a mark on it."""

    at_ns: int
    lanes: tuple[str, ...]
    label: str
    lost: bool = False


def lanes(rows: tuple[Row, ...], episodes: Iterable[Episode] = ()) -> str:
    """The diagram of ``rows``, with the begin and the end of those ``episodes`` that were applied; empty without rows."""
    if not rows:
        return ""
    events = sorted((*_operations(rows), *_episodes(episodes, {row.node for row in rows})), key=lambda event: event.at_ns)
    sessions = [f"session {session}" for session in dict.fromkeys(row.session for row in rows)]
    names = [*sessions, *sorted({row.node for row in rows})]
    column = _columns(names)
    first_ns = rows[0].call_ns
    times = [f"{event.at_ns / 1e9:.6f}s" if event.at_ns == first_ns else f"{_sign(event.at_ns - first_ns)}" for event in events]
    margin = max(map(len, (*times, "time"))) + 2
    width = column[names[-1]] + _MOST_LANE // 2
    lines = [" " * margin + "".join(_header(names, column))]
    lines += [
        f"{time:<{margin}}{_line(event, column, width)} {event.label}".rstrip() for time, event in zip(times, events, strict=True)
    ]
    lines[0] = "time" + lines[0][4:].rstrip()
    return "\n".join(lines)


def _operations(rows: tuple[Row, ...]) -> Iterator[_Event]:
    for row in rows:
        lanes = (f"session {row.session}", row.node)
        what = clip(row.phrase(shorten(row.key, _KEY_LENGTH)), _LABEL_LENGTH)
        if row.return_ns is None:
            yield _Event(row.call_ns, lanes, f"{row.name} {what}, no answer", lost=True)
        elif row.function == "read":
            yield _Event(row.call_ns, lanes, f"{row.name} read {shorten(row.key, _KEY_LENGTH)}")
            yield _Event(row.return_ns, lanes[::-1], f"{row.name} → {row.saw}" + (f", {row.age}" if row.age else ""))
        else:
            yield _Event(row.call_ns, lanes, f"{row.name} {what}")
            yield _Event(row.return_ns, lanes[::-1], f"{row.name} {row.status}")


def _episodes(episodes: Iterable[Episode], nodes: set[str]) -> Iterator[_Event]:
    for episode in episodes:
        if episode.applied_ns is None:
            continue
        struck = tuple(node for node in episode.nodes if node in nodes)
        what = f"{episode.kind} of {one_line(episode.struck)}"
        for at_ns, word in ((episode.applied_ns, "begins"), (episode.healed_ns, "ends")):
            if at_ns is not None:
                yield _Event(at_ns, struck[:1], f"{what} {word}")


def _columns(names: list[str]) -> dict[str, int]:
    """Where each lane stands: under the middle of its name."""
    column, left = {}, 0
    for name in names:
        length = min(len(name), _MOST_LANE)
        column[name] = left + length // 2
        left += length + _GAP
    return column


def _header(names: list[str], column: dict[str, int]) -> Iterator[str]:
    end = 0
    for name in names:
        shown = clip(name, _MOST_LANE)
        begin = column[name] - min(len(name), _MOST_LANE) // 2
        yield " " * (begin - end) + shown
        end = begin + len(shown)


def _line(event: _Event, column: dict[str, int], width: int) -> str:
    cells = [" "] * (width + 1)
    for at in column.values():
        cells[at] = "│"
    if len(event.lanes) == 1:
        cells[column[event.lanes[0]]] = _CROSS
    elif event.lanes:
        source, target = (column[lane] for lane in event.lanes)
        low, high = sorted((source, target))
        cells[low + 1 : high] = "─" * (high - low - 1)
        cells[source] = "├" if source < target else "┤"
        cells[target - 1 if source < target else target + 1] = _CROSS if event.lost else "▶" if source < target else "◀"
    return "".join(cells).rstrip().ljust(width)


def _sign(offset_ns: int) -> str:
    return f"+{format_duration(offset_ns)}" if offset_ns >= 0 else f"-{format_duration(-offset_ns)}"
