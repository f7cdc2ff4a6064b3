"""Tables of operations as text: CSV and JSON lines.

pyarrow reads whole files at once and fast, but says poorly what is wrong with one. So when it refuses a file, the file is read
again, line by line, for the first line that cannot be.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.json

from harness.errors import HistoryError
from harness.history import History
from harness.imports.operations import NAMES, NUMBERS, Source, check_columns, history_of

_PEEK = 1000
_SCALARS = {int: pa.int64(), str: pa.string()}
_SUSPICIOUS = (b"\x00", b"PK\x03\x04", b"\x1f\x8b", b"PAR1")


def read_csv(path: Path) -> History:
    """The history in the CSV file ``path``; raises ``HistoryError``."""
    _refuse_binary(path)
    header = _header(path)
    check_columns(header, f"{path}:1")
    _refuse_open_end(path)
    types = {name: pa.int64() for name in NUMBERS} | {name: pa.string() for name in NAMES}
    try:
        table = pyarrow.csv.read_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(block_size=4 << 20),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={name: types[name] for name in header}, strings_can_be_null=True, null_values=[""]
            ),
        )
    except pa.ArrowInvalid as error:
        _find_broken_cell(path, header)
        raise HistoryError("this is no table", where=str(path), why=str(error)) from None
    return history_of(table, Source(path, lambda row: _line_of(path, row, header=1)))


def read_jsonl(path: Path) -> History:
    """The history in the file ``path`` of JSON objects, one a line; raises ``HistoryError``."""
    _refuse_binary(path)
    table = _json_table(path)
    if table is None:
        table = _json_table_by_line(path)
    return history_of(table, Source(path, lambda row: _line_of(path, row, header=0)))


def _refuse_binary(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(64 << 10)
    try:
        start[: start.rfind(b"\n") + 1].decode()
        text = not start.startswith(_SUSPICIOUS) and b"\x00" not in start
    except UnicodeDecodeError:
        text = False
    if not text:
        raise HistoryError("this is not a text file", where=str(path), fix="it should be text in UTF-8, not compressed")


def _refuse_open_end(path: Path) -> None:
    # Half a last line can look whole: "…,1702148" cut to "…,1702" is a shorter operation, and another verdict.
    with path.open("rb") as file:
        file.seek(-1, 2)
        if file.read(1) != b"\n":
            raise HistoryError(
                "the last line has no end, so the file may have been cut off",
                where=f"{path}:{sum(1 for _ in _text(path))}",
                fix="copy it again; if it is whole, end its last line",
            )


def _text(path: Path) -> Iterator[str]:
    """The lines of ``path``."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            yield from file
        except UnicodeDecodeError as error:
            raise HistoryError(
                "this is not a text file", where=str(path), why=str(error), fix="it should be text in UTF-8"
            ) from None


def _header(path: Path) -> list[str]:
    try:
        return next(csv.reader(_text(path)), [])
    except csv.Error as error:
        raise HistoryError("the header cannot be read", where=f"{path}:1", why=str(error)) from None


def _line_of(path: Path, row: int, *, header: int) -> int:
    """The line of the given row: empty lines are none."""
    for number, line in enumerate(_text(path), start=1):
        if line.strip():
            if row + header == 0:
                return number
            row -= 1
    return 0


def _find_broken_cell(path: Path, header: list[str]) -> None:
    """Raise for the first line of a CSV file that has too few or too many cells, or a wrong number in one."""
    reader = csv.reader(_text(path))
    next(reader, None)
    for cells in _cells(reader, path):
        if not cells:
            continue
        if len(cells) != len(header):
            raise HistoryError(
                f"the line has {len(cells)} of {len(header)} values"
                if len(cells) < len(header)
                else "the line has too many values",
                where=f"{path}:{reader.line_num}",
                fix="the columns are " + ", ".join(header),
            )
        for name, cell in zip(header, cells, strict=True):
            if name in NUMBERS and cell and not _is_number(cell):
                raise HistoryError(f'{cell!r} in the column "{name}" is no whole number', where=f"{path}:{reader.line_num}")


def _cells(reader: Any, path: Path) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise HistoryError("the line cannot be read", where=f"{path}:{reader.line_num}", why=str(error)) from None


def _is_number(cell: str) -> bool:
    try:
        return -(2**63) <= int(cell) < 2**63
    except ValueError:
        return False


def _json_table(path: Path) -> pa.Table | None:
    """The table in ``path`` if each column holds one sort of scalars throughout, as nearly always; None if it may not."""
    types = _peek(path)
    if types is None:
        return None
    try:
        return pyarrow.json.read_json(
            path,
            read_options=pyarrow.json.ReadOptions(block_size=4 << 20),
            parse_options=pyarrow.json.ParseOptions(
                explicit_schema=pa.schema(list(types.items())), newlines_in_values=False, unexpected_field_behavior="error"
            ),
        )
    except pa.ArrowException:
        return None


def _peek(path: Path) -> dict[str, pa.DataType] | None:
    """The columns in the first lines of ``path``, with their types; None if those differ from line to line or are no scalars."""
    types: dict[str, pa.DataType] = {}
    for line in islice(_text(path), _PEEK):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            return None
        if not isinstance(record, dict):
            return None
        for name, value in record.items():
            found = pa.null() if value is None else _SCALARS.get(type(value))
            before = types.setdefault(name, found)
            if found is None or (before != found and pa.null() not in (before, found)):
                return None
            types[name] = found if before == pa.null() else before
    if not types.keys() <= {*NAMES, *NUMBERS} or any(types.get(name, pa.null()) == pa.string() for name in NUMBERS):
        return None
    wanted = {name: pa.int64() if name in NUMBERS else pa.string() for name in types}
    return {name: wanted[name] if found == pa.null() else found for name, found in types.items()}


def _json_table_by_line(path: Path) -> pa.Table:
    """The table in ``path`` whatever its values are; raises ``HistoryError`` for the first line that is no operation."""
    columns: dict[str, list[Any]] = {}
    rows = 0
    for number, line in enumerate(_text(path), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            whole = line.endswith("\n")
            what = "this line is no JSON" if whole else "the last line is cut off"
            raise HistoryError(what, where=where, why=str(error), fix="" if whole else "copy the file again") from None
        if not isinstance(record, dict):
            raise HistoryError(
                "a line should be one JSON object", where=where, fix='like {"process": 0, "key": "x", "op": "r", ...}'
            )
        if not record.keys() <= columns.keys():
            check_columns([*columns, *(name for name in record if name not in columns)] if columns else list(record), where)
            for name in record.keys() - columns.keys():
                columns[name] = [None] * rows
        for name, cells in columns.items():
            cells.append(_cell(name, record.get(name), where))
        rows += 1
    if rows == 0:
        raise HistoryError("the history holds no operation", where=str(path))
    try:
        return pa.table(
            {name: pa.array(cells, pa.int64() if name in NUMBERS else pa.string()) for name, cells in columns.items()}
        )
    except UnicodeEncodeError as error:
        raise HistoryError("a text in it is no text", where=str(path), why=str(error)) from None


def _cell(name: str, value: Any, where: str) -> Any:
    """A JSON value as the table keeps it: a number in a column of numbers, else text."""
    if name in NUMBERS:
        if value is not None and (type(value) is not int or not -(2**63) <= value < 2**63):
            raise HistoryError(f'{json.dumps(value)} in the column "{name}" is no whole number', where=where)
        return value
    return value if value is None or isinstance(value, str) else json.dumps(value, separators=(",", ":"), sort_keys=True)
