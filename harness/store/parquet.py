"""A history as one Parquet file: the columns as they are, everything else as JSON in the schema's metadata.

The file says which version of this schema it has; a file of a newer version is refused, not guessed at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.errors import HistoryError
from harness.history import COLUMNS, Episode, Epoch, History, Stall
from harness.store.files import write_atomically

SCHEMA_VERSION = 1

_METADATA = b"anachron"
_SLOWLY_GROWING = ("op", "due_ns", "call_ns", "return_ns")
_INDEXES = {"node": "nodes", "server": "nodes", "key": "keys", "seen_key": "keys", "workload": "workloads", "error": "errors"}


def write_history(history: History, path: Path) -> None:
    """Put ``history`` into the Parquet file ``path``, whole or not at all; raises ``StorageError``."""
    table = pa.Table.from_arrays([pa.array(history.columns[name]) for name in COLUMNS], names=list(COLUMNS))
    table = table.replace_schema_metadata({_METADATA: json.dumps(_surroundings(history)).encode()})
    write_atomically(path, partial(_write, table), needs=table.nbytes)


def read_history(path: Path) -> History:
    """The history in the Parquet file ``path``; raises ``HistoryError``."""
    table = read_table(path)
    if not is_history(table):
        raise HistoryError("this Parquet file was not written by Anachron", where=str(path))
    try:
        around = json.loads(table.schema.metadata[_METADATA])
        version = around["schema"]
    except (ValueError, KeyError, TypeError) as error:
        raise HistoryError("the description inside the file cannot be read", where=str(path), why=str(error)) from None
    if version != SCHEMA_VERSION:
        raise HistoryError(
            f"the history has schema version {version}, this is Anachron for version {SCHEMA_VERSION}",
            where=str(path),
            fix="read it with the version of Anachron that wrote it",
        )
    columns = {name: _column(table, name, path) for name in COLUMNS}
    try:
        history = _history(columns, around)
    except (KeyError, TypeError, ValueError) as error:
        raise HistoryError("the description inside the file is damaged", where=str(path), why=repr(error)) from None
    _validate(history, path)
    return history


def read_table(path: Path) -> pa.Table:
    """All columns of the Parquet file ``path``; raises ``HistoryError`` if it is none, or is cut off."""
    try:
        return pq.read_table(path, partitioning=None)
    except (pa.ArrowException, OSError) as error:
        raise HistoryError(
            "this is no whole Parquet file",
            where=str(path),
            why=str(error).splitlines()[0],
            fix="it may have been cut off while it was copied; run `anachron check` on the run directory itself",
        ) from None


def is_history(table: pa.Table) -> bool:
    """Whether ``table`` is a whole history as this module writes it, not just a table of operations."""
    return _METADATA in (table.schema.metadata or {})


def episode_from(record: Mapping[str, Any]) -> Episode:
    """An episode from its JSON form; raises ``KeyError`` or ``TypeError`` if it is none."""
    lists = {name: tuple(record[name]) for name in ("targets", "nodes", "evidence")}
    return Episode(**{**record, **lists})


def _write(table: pa.Table, file: BinaryIO) -> None:
    # Times and ids grow by small steps, which delta encoding stores in a few bits; the others repeat, which dictionaries do.
    pq.write_table(
        table,
        file,
        compression="lz4",
        use_dictionary=[name for name in COLUMNS if name not in _SLOWLY_GROWING],
        column_encoding=dict.fromkeys(_SLOWLY_GROWING, "DELTA_BINARY_PACKED"),
        write_statistics=False,
    )


def _surroundings(history: History) -> dict[str, Any]:
    """Everything of a history but its columns."""
    return {
        "schema": SCHEMA_VERSION,
        "keys": history.keys,
        "nodes": history.nodes,
        "workloads": history.workloads,
        "errors": history.errors,
        "unordered": np.flatnonzero(~history.ordered).tolist(),
        "episodes": [asdict(episode) for episode in history.episodes],
        "epochs": [asdict(epoch) for epoch in history.epochs],
        "stalls": [asdict(stall) for stall in history.stalls],
        "end_ns": history.end_ns,
        "settled_ns": history.settled_ns,
        "complete": history.complete,
        "committed": list(history.committed.items()),
        "audited": history.audited,
        "routed": history.routed,
    }


def _history(columns: Mapping[str, Any], around: Mapping[str, Any]) -> History:
    ordered = np.ones(len(around["keys"]), np.bool_)
    ordered[np.asarray(around["unordered"], np.int64)] = False
    return History(
        columns=columns,
        keys=tuple(around["keys"]),
        nodes=tuple(around["nodes"]),
        ordered=ordered,
        workloads=tuple(around["workloads"]),
        errors=tuple(around["errors"]),
        episodes=tuple(episode_from(record) for record in around["episodes"]),
        epochs=tuple(Epoch(**record) for record in around["epochs"]),
        stalls=tuple(Stall(**record) for record in around["stalls"]),
        end_ns=around["end_ns"],
        settled_ns=around["settled_ns"],
        complete=around["complete"],
        # Files from before there were audits lack it.
        committed={int(op): int(known_ns) for op, known_ns in around.get("committed", ())},
        audited=around.get("audited", False),
        routed=around.get("routed", False),
    )


def _column(table: pa.Table, name: str, path: Path) -> Any:
    if name not in table.column_names:
        raise HistoryError(f'the column "{name}" is missing', where=str(path))
    column = table.column(name)
    wanted = np.dtype(COLUMNS[name])
    if column.null_count or not pa.types.is_integer(column.type) or column.type.to_pandas_dtype() != wanted:
        raise HistoryError(
            f'the column "{name}" should hold whole numbers ({wanted})', where=str(path), why=f"it is {column.type}"
        )
    return column.to_numpy()


def _validate(history: History, path: Path) -> None:
    """Check what every checker relies on: rows in order of their calls, and indexes that point somewhere."""
    if np.any(np.diff(history.call_ns) < 0):
        raise HistoryError("the rows are not in the order of their calls", where=str(path))
    for name, dictionary in _INDEXES.items():
        column = history.columns[name]
        if len(column) and (column.min() < -1 or column.max() >= len(getattr(history, dictionary))):
            raise HistoryError(f'the column "{name}" points outside of the {dictionary}', where=str(path))
