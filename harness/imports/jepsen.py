"""Jepsen's ``history.edn``: one map per event, in one vector or list or one after the other.

An operation is two events of one process, ``:invoke`` and then ``:ok``, ``:fail`` or ``:info``; one that never completes is
``:info``. ``:f`` is ``:read`` or ``:write``. A key is the first part of a ``[key value]`` pair where the value of every call is
one (as ``jepsen.independent`` writes them), else there is one register. Times are ``:time`` in ns, or the numbers of the events
where they have none. A register starts at 0 or ``nil``.

What Jepsen's own checkers leave out is left out: operations of the nemesis, reads without an answer, and ok reads of ``nil``: the
client does not know. Values that were written twice are told apart by nothing, so there is no version order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from harness.errors import HistoryError
from harness.history import History
from harness.imports.edn import Keyword, read_values
from harness.imports.operations import Source, history_of

_TYPES = ("invoke", "ok", "fail", "info")
_FUNCTIONS = ("read", "write")
_ONE_KEY = "register"
_MAX_ERROR = 200


@dataclass(slots=True)
class _Event:
    line: int
    time_ns: int
    process: int | str
    type: str
    function: str
    value: Any
    error: Any


def read_jepsen(path: Path) -> History:
    """The register history in the EDN file ``path``; raises ``HistoryError``."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise HistoryError("this is not a text file", where=str(path), fix="a Jepsen history is EDN text in UTF-8") from None
    events = _events(text, str(path))
    keyed = all(_is_pair(event.value) for event in events if event.type == "invoke")
    rows = _Operations(str(path), keyed=keyed)
    for event in events:
        rows.add(event)
    return history_of(rows.table(), Source(path, rows.lines.__getitem__))


def _events(text: str, source: str) -> list[_Event]:
    """The clients' events; those without a time get their number, all or none."""
    events = []
    timed: bool | None = None
    for number, (line, record) in enumerate(read_values(text, source)):
        where = f"{source}:{line}"
        if not isinstance(record, Mapping):
            raise HistoryError("an event of a Jepsen history should be a map", where=where, why=f"it is {str(record)[:60]!r}")
        process = record.get("process")
        if process is None:
            raise HistoryError("the event has no :process", where=where)
        if isinstance(process, bool) or not isinstance(process, int):
            continue  # the nemesis
        kind, function = record.get("type"), record.get("f")
        if kind not in _TYPES:
            raise HistoryError(f"{_shown(kind)} is no type of event", where=where, fix="it is one of :invoke, :ok, :fail, :info")
        if function not in _FUNCTIONS:
            raise HistoryError(
                f"the operation {_shown(function)} is not supported",
                where=where,
                why="only registers are: every :f should be :read or :write",
                fix="compare-and-set, transactions and other data types need a checker of their own, such as Knossos or Elle",
            )
        time = record.get("time")
        if timed is None:
            timed = time is not None
        if timed != (time is not None) or isinstance(time, bool) or not isinstance(time, int | None):
            raise HistoryError("either all events have a :time in ns, or none", where=where)
        events.append(
            _Event(line, number if time is None else time, process, kind, function, record.get("value"), record.get("error"))
        )
    if not events:
        raise HistoryError("the history holds no operation of a client", where=source)
    return events


class _Operations:
    """Invocations and completions put together, as columns of the table of operations."""

    def __init__(self, source: str, *, keyed: bool) -> None:
        self.source = source
        self.keyed = keyed
        self.open: dict[int | str, _Event] = {}
        self.lines: list[int] = []
        self.rows: list[tuple[Any, ...]] = []

    def add(self, event: _Event) -> None:
        """Take the next event."""
        begun = self.open.get(event.process)
        if event.type == "invoke":
            if begun is not None:
                raise HistoryError(
                    f"process {event.process} calls while its operation of line {begun.line} is still open",
                    where=f"{self.source}:{event.line}",
                    why="two operations of one process overlap",
                )
            self.open[event.process] = event
            return
        if begun is None:
            raise HistoryError(
                f"process {event.process} completes an operation that it never called", where=f"{self.source}:{event.line}"
            )
        if begun.function != event.function:
            raise HistoryError(
                f"process {event.process} completes a {event.function}, but called a {begun.function}",
                where=f"{self.source}:{event.line}",
            )
        del self.open[event.process]
        self._put(begun, event)

    def table(self) -> pa.Table:
        """All operations; those still open are ``info``."""
        for begun in self.open.values():
            self._put(begun, None)
        if not self.rows:
            raise HistoryError(
                "the history holds no operation that says anything", where=self.source, why="every read is unknown"
            )
        columns = zip(*self.rows, strict=True)
        return pa.table({name: pa.array(column, kind) for (name, kind), column in zip(_SCHEMA, columns, strict=True)})

    def _put(self, begun: _Event, ended: _Event | None) -> None:
        status = "info" if ended is None else ended.type
        key, value = self._split(begun)
        if begun.function == "read":
            value = None if ended is None or status != "ok" else self._split(ended)[1]
            if value is None:
                return
        self.lines.append(begun.line)
        self.rows.append(
            (
                str(begun.process),
                key,
                begun.function,
                _text(value),
                begun.time_ns,
                None if ended is None or status == "info" else ended.time_ns,
                status,
                None if ended is None or ended.error is None else _text(ended.error)[:_MAX_ERROR],
            )
        )

    def _split(self, event: _Event) -> tuple[str, Any]:
        """The key and the value that an event is about."""
        if not self.keyed:
            return _ONE_KEY, event.value
        if event.value is None:
            return "", None
        if not _is_pair(event.value):
            raise HistoryError(
                f"{_text(event.value)} is no [key value] pair, but the values of all calls are",
                where=f"{self.source}:{event.line}",
            )
        return _text(event.value[0]), event.value[1]


_SCHEMA = (
    ("process", pa.string()),
    ("key", pa.string()),
    ("op", pa.string()),
    ("value", pa.string()),
    ("call_ns", pa.int64()),
    ("return_ns", pa.int64()),
    ("status", pa.string()),
    ("error", pa.string()),
)


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2  # noqa: PLR2004 - a pair


def _shown(value: Any) -> str:
    return f":{value}" if isinstance(value, Keyword) else str(value)


def _text(value: Any) -> str:
    """A value in one line, the same for equal values."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return f"[{' '.join(_text(item) for item in value)}]"
    return _shown(value)
