"""The logs of the nodes, line by line, with the times of the run.

The lines of a container have the times at which they reached the harness (``harness.runtimes.arrivals``), so that a node whose
clock was bent cannot lie. A process writes its log by itself: its lines have the times that it gives them, by the clock and in
the zone of the machine that the run was made on. A line without a time belongs to the one before it; where a node started, and
where the log begins, to the one that follows.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from harness.runtimes.arrivals import Arrival, arrivals_of

_EPOCH = datetime.fromtimestamp(0, UTC)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TIME = r"\d\d:\d\d:\d\d(?:[.,]\d{1,6})?"
_REDIS = re.compile(rf"\d+:[A-Z] (\d\d?) ([A-Z][a-z]{{2}}) (\d{{4}}) ({_TIME}) ")
"""Redis and Valkey: ``1:M 23 Nov 2026 05:57:12.345 * Ready``."""
_ISO = re.compile(rf"\[?(\d{{4}})[-/](\d\d)[-/](\d\d)[T ]({_TIME}) ?(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?(?!\w)")
"""PostgreSQL: ``2026-11-23 05:57:12.345 UTC [17] LOG:``; nginx: ``2026/11/23 05:57:12 [error]``; and many others."""
_START = re.compile(r"--- start \d+ of ")
"""How runtimes begin the log of each incarnation of a node."""


class LogLine(NamedTuple):
    """A line of a node's log, and when it was written or came: in ns, since 1970 or since the run's origin."""

    at_ns: int
    text: str


class Origin(NamedTuple):
    """When the times of a run begin: in ns since 1970, and in what zone processes tell the time there."""

    wall_ns: int
    zone: tzinfo


class NodeLog:
    """All lines of one node's log whose times are known, in their order. Times are ns since the run's origin."""

    def __init__(self, lines: Iterable[LogLine]) -> None:
        self._lines = sorted(lines, key=lambda line: line.at_ns)
        self._times = [line.at_ns for line in self._lines]

    def between(self, begin_ns: int, end_ns: int) -> Sequence[LogLine]:
        """The lines from ``begin_ns`` to ``end_ns``."""
        return self._lines[bisect_left(self._times, begin_ns) : bisect_right(self._times, end_ns)]


def read_origin(text: str) -> Origin | None:
    """The origin that the environment of a run states; None if it is none, as in runs of earlier versions."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return Origin(_since_epoch_ns(moment), moment.tzinfo) if moment.tzinfo else None


def read_node_logs(directory: Path, origin: Origin) -> Mapping[str, NodeLog]:
    """The logs in ``directory``, by node; one that cannot be read is left out."""
    logs: dict[str, NodeLog] = {}
    for path in sorted(directory.glob("*.log")):
        try:
            data = path.read_bytes()
            arrivals = arrivals_of(path)
        except OSError:
            continue
        lines = arrived(data, arrivals) if arrivals else stamped(data.decode(errors="replace").split("\n"), origin.zone)
        logs[path.stem] = NodeLog(LogLine(at_ns - origin.wall_ns, text) for at_ns, text in lines if text.strip())
    return logs


def arrived(data: bytes, arrivals: Sequence[Arrival]) -> Iterator[LogLine]:
    """The lines of a log whose pieces arrived so, each at the time of its first byte."""
    offsets = [arrival.offset for arrival in arrivals]
    lines = data.split(b"\n")
    begins = accumulate((len(line) + 1 for line in lines), initial=0)
    for begin, line in zip(begins, lines, strict=False):  # after the last line none begins
        piece = max(0, bisect_right(offsets, begin) - 1)
        yield LogLine(arrivals[piece].wall_ns, line.decode(errors="replace").removesuffix("\r"))


def stamped(lines: Iterable[str], zone: tzinfo) -> Iterator[LogLine]:
    """The lines with the times that they bear, which without a zone of their own are in ``zone``."""
    at_ns: int | None = None
    waiting: list[str] = []
    for text in lines:
        own_ns = stamp_ns(text, zone)
        if own_ns is not None:
            at_ns = own_ns
        elif _START.match(text):
            at_ns = None  # what comes now has nothing to do with what came before
        waiting.append(text)
        if at_ns is not None:
            yield from (LogLine(at_ns, each) for each in waiting)
            waiting = []


def stamp_ns(text: str, zone: tzinfo) -> int | None:
    """The time at the beginning of a line, in ns since 1970; None if there is none.

    >>> stamp_ns("7:M 23 Nov 2026 05:57:12.345 * Ready", UTC) == stamp_ns("2026-11-23 06:57:12.345+01 LOG:", UTC)
    True
    """
    if found := _REDIS.match(text):
        day, month, year, time = found.groups()
        own = f"{year}-{_MONTHS.index(month) + 1 if month in _MONTHS else 0:02}-{day:0>2}T{time}"
    elif found := _ISO.match(text):
        year, month, day, time, offset = found.groups()
        own = f"{year}-{month}-{day}T{time}{'Z' if offset in ('UTC', 'GMT') else offset or ''}"
    else:
        return None
    try:
        moment = datetime.fromisoformat(own.replace(",", "."))
    except ValueError:  # such as the 31st of February
        return None
    return _since_epoch_ns(moment if moment.tzinfo else moment.replace(tzinfo=zone))


def _since_epoch_ns(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000
