"""From a table of operations, as ``harness.imports`` documents it, to a history."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness.errors import HistoryError, suggestion
from harness.history import COLUMNS, NEVER, Column, Function, History, Seen, Status

REQUIRED = ("process", "key", "op", "value", "call_ns", "return_ns")
NUMBERS = ("call_ns", "return_ns", "due_ns", "version", "group", "epoch")
NAMES = ("process", "key", "op", "value", "status", "seen", "session", "node", "server", "workload", "error")

_FUNCTIONS: Mapping[str, int] = {
    "r": Function.READ,
    "read": Function.READ,
    "w": Function.WRITE,
    "write": Function.WRITE,
    "d": Function.DELETE,
    "delete": Function.DELETE,
}
_STATUSES: Mapping[str, int] = {status.name.lower(): status for status in Status}
_SEEN: Mapping[str, int] = {"hit": Seen.HIT, "miss": Seen.MISS, "absent": Seen.ABSENT}
_UNSTATED = -1
_INITIAL = ("", "0")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a table came from, for errors.

    Attributes:
        path: the file.
        line_of: the line of a row in it; only asked for when something is wrong. None where a file has no lines.
    """

    path: Path
    line_of: Callable[[int], int] | None = None

    def error(self, row: int, what: str, *, why: str = "", fix: str = "") -> HistoryError:
        """An error about one row."""
        place = f"{self.path}:{self.line_of(row)}" if self.line_of else f"{self.path}: row {row}"
        return HistoryError(what, where=place, why=why, fix=fix)


def check_columns(names: list[str], where: str) -> None:
    """Raise ``HistoryError`` unless a table with the columns ``names`` has all it needs, nothing unknown and nothing twice."""
    for name in names:
        if name not in (*NAMES, *NUMBERS):
            raise HistoryError(f'unknown column "{name}"', where=where, fix=suggestion(name, (*NAMES, *NUMBERS)))
        if names.count(name) > 1:
            raise HistoryError(f'the column "{name}" is there twice', where=where)
    missing = [name for name in REQUIRED if name not in names and not (name == "value" and "version" in names)]
    if missing:
        raise HistoryError(
            f"the column{'s' if len(missing) > 1 else ''} {', '.join(missing)} {'are' if len(missing) > 1 else 'is'} missing",
            where=where,
            fix=f"a history needs {', '.join(REQUIRED)}",
        )


def history_of(table: pa.Table, source: Source) -> History:
    """The history in ``table``; raises ``HistoryError`` that names the first row that cannot be."""
    check_columns(table.column_names, str(source.path))
    if len(table) == 0:
        raise HistoryError("the history holds no operation", where=str(source.path))
    rows = _Rows(table, source)
    call, back = rows.required_number("call_ns"), rows.number("return_ns", NEVER)
    function = rows.choice("op", _FUNCTIONS)
    status = _statuses(rows, back)
    back = np.where(status == Status.INFO, NEVER, back)
    _refuse(source, back < call, "the operation returns before it is called")

    process, _ = rows.names("process")
    key, keys = rows.names("key")
    group = rows.number("group", -1)
    order = np.lexsort((key, group, back, call, process))
    beside = _beside(order, (process, group, call, back), group, key)
    _refuse_overlaps(source, order[~beside], process, call, back)
    session = rows.names("session")[0] if rows.has("session") else process
    node, nodes = rows.names("node", "server")
    server, nodes = rows.more_names("server", nodes)
    workload, workloads = rows.names("workload", "history")
    error, errors = rows.more_names("error", ())
    sent, found = _versions(rows, function, key)
    seen = _seen(rows, function, status)
    hit = seen == Seen.HIT

    start = int(call.min())
    columns: dict[str, Column] = {
        "op": np.arange(len(table)),
        "group": group,
        "workload": workload,
        "session": session,
        "process": _lives(order, process, status, beside),
        "node": node,
        "server": server,
        "epoch": rows.number("epoch", 0),
        "function": function,
        "key": key,
        "due_ns": (rows.number("due_ns", 0) if rows.has("due_ns") else call) - start,
        "call_ns": call - start,
        "return_ns": np.where(back == NEVER, NEVER, back - start),
        "status": status,
        "sent_version": sent,
        "seen": seen,
        "seen_key": np.where(hit, key, -1),
        "seen_version": np.where(hit, found, -1),
        "seen_op": np.where(hit, _writers(function, key, sent, found), -1),
        "error": np.where(status == Status.OK, -1, error),
    }
    sorting = np.argsort(columns["call_ns"], kind="stable")
    finite = np.where(columns["return_ns"] == NEVER, columns["call_ns"], columns["return_ns"])
    return History(
        columns={name: _fitting(name, columns[name][sorting], source) for name in COLUMNS},
        keys=keys,
        nodes=nodes,
        ordered=np.full(len(keys), rows.has("version")),
        workloads=workloads,
        errors=errors,
        end_ns=int(finite.max()),
    )


def _fitting(name: str, column: Column, source: Source) -> Column:
    """``column`` in the type that a history has for it."""
    limits = np.iinfo(np.dtype(COLUMNS[name]).name)
    if column.min() < limits.min or column.max() > limits.max:
        raise HistoryError(
            f'the column "{name}" holds more than a history can', where=str(source.path), why=f"the limit is {limits.max:,}"
        )
    return np.ascontiguousarray(column, COLUMNS[name])


class _Rows:
    """The columns of a table as arrays."""

    def __init__(self, table: pa.Table, source: Source) -> None:
        self.table = table
        self.source = source

    def __len__(self) -> int:
        return len(self.table)

    def has(self, name: str) -> bool:
        return name in self.table.column_names

    def missing(self, name: str) -> Column:
        """Where ``name`` is empty."""
        if not self.has(name):
            return np.ones(len(self), np.bool_)
        column = self.table.column(name)
        empty = pc.is_null(column)
        if pa.types.is_string(column.type):
            empty = pc.or_(empty, pc.fill_null(pc.equal(column, ""), True))
        found: Column = empty.to_numpy()
        return found

    def number(self, name: str, default: int) -> Column:
        """The whole numbers in ``name``, ``default`` where there are none."""
        if not self.has(name):
            return np.full(len(self), default, np.int64)
        column = self.table.column(name)
        if pa.types.is_null(column.type):
            return np.full(len(self), default, np.int64)
        if not pa.types.is_integer(column.type):
            raise HistoryError(
                f'the column "{name}" should hold whole numbers', where=str(self.source.path), why=f"it is {column.type}"
            )
        found: Column = pc.fill_null(column.cast(pa.int64()), default).to_numpy()
        _refuse(self.source, (found > NEVER) | (found < -NEVER), f'the number in "{name}" is too large')
        return found

    def required_number(self, name: str) -> Column:
        found = self.number(name, 0)
        _refuse(self.source, self.missing(name), f'"{name}" is empty')
        return found

    def names(self, name: str, default: str = "") -> tuple[Column, tuple[str, ...]]:
        """Per row an index into the names in the column ``name``; without the column, all rows have the name ``default``."""
        if not self.has(name):
            if not default:
                raise HistoryError(f'the column "{name}" is missing', where=str(self.source.path))
            return np.zeros(len(self), np.int64), (default,)
        _refuse(self.source, self.missing(name), f'"{name}" is empty')
        codes, dictionary = self._encode(name)
        return codes, tuple(dictionary)

    def more_names(self, name: str, names: tuple[str, ...]) -> tuple[Column, tuple[str, ...]]:
        """Like ``names``, for a column that may be empty (-1), and whose names come after those already in ``names``."""
        if not self.has(name):
            return np.full(len(self), -1), names
        codes, dictionary = self._encode(name)
        place = {known: index for index, known in enumerate(names)}
        moved = np.array([-1 if text == "" else place.setdefault(text, len(place)) for text in dictionary] + [-1])
        return moved[codes], tuple(place)

    def choice(self, name: str, choices: Mapping[str, int], empty: int | None = None) -> Column:
        """Per row one of ``choices`` by its name; ``empty`` where there is none, if that may be."""
        codes, dictionary = self._encode(name)
        if empty is None:
            _refuse(self.source, codes < 0, f'"{name}" is empty')
        meaning = [choices.get(text) if text else empty for text in dictionary]
        for index, text in enumerate(dictionary):
            if meaning[index] is None:
                row = int(np.flatnonzero(codes == index)[0])
                raise self.source.error(row, f'"{text}" is no {name}', fix=suggestion(text, choices))
        return np.array([*meaning, empty or 0], np.int64)[codes]

    def values(self) -> tuple[Column, list[str]]:
        """Per row an index into the texts in ``value``; -1 where it is empty."""
        if not self.has("value"):
            return np.full(len(self), -1), []
        return self._encode("value")

    def _encode(self, name: str) -> tuple[Column, list[str]]:
        column = self.table.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        try:
            column = column.cast(pa.string())
        except pa.ArrowException as error:
            raise HistoryError(f'the column "{name}" should hold text', where=str(self.source.path), why=str(error)) from None
        encoded = column.combine_chunks().dictionary_encode()
        codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
        return codes, encoded.dictionary.to_pylist()


def _statuses(rows: _Rows, back: Column) -> Column:
    """Per row how it ended: as the file says, or by whether it returned."""
    told: Column = np.where(back == NEVER, Status.INFO, Status.OK)
    if not rows.has("status"):
        return told
    stated = rows.choice("status", _STATUSES, _UNSTATED)
    status = np.where(stated == _UNSTATED, told, stated)
    for ended in (Status.OK, Status.FAIL):
        _refuse(
            rows.source, (status == ended) & (back == NEVER), f'an operation with status "{ended.name.lower()}" needs a return_ns'
        )
    return status


def _seen(rows: _Rows, function: Column, status: Column) -> Column:
    """Per row what an ok read found."""
    found = rows.choice("seen", _SEEN, Seen.HIT) if rows.has("seen") else np.full(len(rows), int(Seen.HIT))
    return np.where((function == Function.READ) & (status == Status.OK), found, Seen.NOTHING)


def _versions(rows: _Rows, function: Column, key: Column) -> tuple[Column, Column]:
    """Per row the version written (-1 for reads), and the version found (-1 for writes)."""
    wrote = function != Function.READ
    if rows.has("version"):
        version = rows.number("version", 0)
        _refuse(rows.source, version < 0, "a version is a whole number from 1, or 0 for the initial value")
        _refuse(
            rows.source,
            wrote & (version == 0),
            'a write needs a version of its own, from 1; without an order leave "version" out',
        )
    else:
        _refuse(
            rows.source,
            (function == Function.WRITE) & rows.missing("value"),
            "the write has no value",
            fix="a delete is op d",
        )
        # A delete puts the initial value back.
        version = np.where(function == Function.DELETE, 0, _names_of_values(key, *rows.values()))
    return np.where(wrote, version, -1), np.where(wrote, -1, version)


def _names_of_values(key: Column, codes: Column, dictionary: list[str]) -> Column:
    """A number for the value of each row: the value itself where all are whole numbers, so that people find it again."""
    numbers = _whole_numbers(dictionary)
    if numbers is not None:
        return np.append(numbers, 0)[codes]
    initial = np.array([text in _INITIAL for text in dictionary] + [True])[codes]
    return _dense(key, np.where(initial, -1, codes))


def _whole_numbers(texts: list[str]) -> Column | None:
    """The numbers that ``texts`` are; None if they are not all numbers from 0, or one is not written as the others are."""
    column = pa.array(texts, pa.string())
    try:
        numbers = column.cast(pa.int64())
    except pa.ArrowInvalid:
        return None
    found: Column = numbers.to_numpy()
    if (
        pc.any(pc.not_equal(numbers.cast(pa.string()), column)).as_py()
        or not 0 <= found.min(initial=0) <= found.max(initial=0) < NEVER
    ):
        return None
    return found


def _dense(key: Column, value: Column) -> Column:
    """Numbers from 1 for the values of each key in order of their first row; 0 where ``value`` is -1."""
    named = np.flatnonzero(value >= 0)
    numbers = np.zeros(len(key), np.int64)
    if len(named) == 0:
        return numbers
    pairs = key[named] * (int(value.max()) + 1) + value[named]
    _, first, which = np.unique(pairs, return_index=True, return_inverse=True)
    order = np.lexsort((first, key[named][first]))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    sorted_keys = key[named][first][order]
    begin = np.searchsorted(sorted_keys, np.arange(int(key.max()) + 1))
    numbers[named] = (place - begin[key[named][first]] + 1)[which]
    return numbers


def _writers(function: Column, key: Column, sent: Column, found: Column) -> Column:
    """Per row the one operation that wrote the version found; -1 where there is none, or several."""
    room = int(max(sent.max(), found.max())) + 2
    wrote = np.flatnonzero((function != Function.READ) & (sent > 0))
    names, first, count = np.unique(key[wrote] * room + sent[wrote], return_index=True, return_counts=True)
    writer = np.full(len(key), -1)
    if len(names) == 0:
        return writer
    asked = key * room + found
    at = np.minimum(np.searchsorted(names, asked), len(names) - 1)
    match = (names[at] == asked) & (found > 0) & (count[at] == 1)
    writer[match] = wrote[first[at[match]]]
    return writer


def _beside(order: Column, shared: Sequence[Column], group: Column, key: Column) -> Column:
    """Whether a row, in ``order``, is a further key of the request of the row before it: all that requests share is the same."""
    beside: Column = (group[order] >= 0) & (np.diff(key[order], prepend=-1) != 0)
    for column in shared:
        beside &= np.diff(column[order], prepend=-1) == 0
    return beside


def _lives(order: Column, process: Column, status: Column, beside: Column) -> Column:
    """Process ids: a process goes on under a new one after each request that is ``info``."""
    ended = status[order] == Status.INFO
    begins = np.ones(len(order), np.bool_)
    begins[1:] = (process[order][1:] != process[order][:-1]) | (ended[:-1] & ~beside[1:])
    lives = np.empty(len(order), np.int64)
    lives[order] = np.cumsum(begins) - 1
    return lives


def _refuse_overlaps(source: Source, order: Column, process: Column, call: Column, back: Column) -> None:
    """Raise for a process with two operations at a time. One without an answer has ended its process, it overlaps nothing."""
    before, after = order[:-1], order[1:]
    wrong = (process[before] == process[after]) & (back[before] != NEVER) & (call[after] < back[before])
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        left, right = int(before[at]), int(after[at])
        raise source.error(
            right,
            "two operations of one process overlap",
            why=f"it is called at {call[right]} ns, but the one before it, {_place(source, left)}, returns at {back[left]} ns",
            fix="a process asks one thing at a time: give concurrent clients different names",
        )


def _place(source: Source, row: int) -> str:
    return f"line {source.line_of(row)}" if source.line_of else f"row {row}"


def _refuse(source: Source, wrong: Column, what: str, *, fix: str = "") -> None:
    """Raise about the first row in the mask ``wrong``."""
    if wrong.any():
        raise source.error(int(np.flatnonzero(wrong)[0]), what, fix=fix)
