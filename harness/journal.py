"""The journal: what a driver process knows of every operation, on disk at every moment, so that a killed run can be checked.

Each worker owns two files in the run's journal directory:

``worker-N.ops``
    One page with live counts, then one record of fixed size per operation. The file is memory-mapped: an invocation is written
    before it is sent, its completion goes into the same record, and both outlive ``kill -9`` because the page cache does. Each
    half of a record ends with the mark that makes it valid.
``worker-N.names``
    JSON lines for all that is rare: who the worker is, key names, error texts, stalls, oddities, the end. A line is written
    before the first record that refers to it.

Space is claimed with ``posix_fallocate`` before it is mapped: a full disk is then a ``StorageError``, never a SIGBUS in the
middle of an operation. The op id of record ``i`` of worker ``w`` of ``n`` is ``i * n + w``: unique without any agreement.
"""

from __future__ import annotations

import json
import mmap
import os
from dataclasses import dataclass, field
from pathlib import Path
from struct import Struct
from typing import Any

import numpy as np

from harness.errors import HistoryError, StorageError
from harness.history import NEVER, Column, Function, History, Seen, Stall, Status

FORMAT = 1
CHUNK_RECORDS = 1 << 16
HEADER_BYTES = mmap.PAGESIZE
MAX_ERRORS = 1_000

_BEGIN = Struct("<qqqqiiihhBB")
_END = Struct("<qqqihBB")
_STAMP = Struct("<qq")
_COUNTS = Struct("<qqq")
RECORD = np.dtype(
    [
        ("due_ns", "<i8"),
        ("call_ns", "<i8"),
        ("sent_version", "<i8"),
        ("group", "<i8"),
        ("session", "<i4"),
        ("process", "<i4"),
        ("key", "<i4"),
        ("node", "<i2"),
        ("workload", "<i2"),
        ("function", "u1"),
        ("begun", "u1"),  # 1 once the fields above are whole
        ("spare", "V6"),
        ("return_ns", "<i8"),
        ("seen_version", "<i8"),
        ("seen_op", "<i8"),
        ("seen_key", "<i4"),
        ("error", "<i2"),
        ("seen", "u1"),
        ("ended", "u1"),  # 1 + status once the fields above are whole, 0 before
    ]
)
_SIZE = RECORD.itemsize
_END_OFFSET = 56
"""Where ``return_ns`` stands in a record."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many operations have ended, by status."""

    ok: int = 0
    fail: int = 0
    info: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.ok + other.ok, self.fail + other.fail, self.info + other.info)


@dataclass(frozen=True, slots=True)
class Oddity:
    """An answer that makes no sense, word for word: what a report shows beside the finding."""

    worker: int
    node: str
    key: str
    """The key asked for; empty if the answer came before any question."""
    text: str
    at_ns: int


class Journal:
    """The writing end, for one worker. Every method that may need space raises ``StorageError``."""

    def __init__(self, directory: Path, worker: int, workers: int, nodes: tuple[str, ...], workloads: tuple[str, ...]) -> None:
        self._worker = worker
        self._workers = workers
        self._where = directory / _ops_name(worker)
        self._chunks: list[mmap.mmap] = []
        self._records = 0
        self._errors: dict[str, int] = {}
        self._names = -1
        try:
            self._ops = os.open(self._where, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
            self._names = os.open(directory / _names_name(worker), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
            os.posix_fallocate(self._ops, 0, HEADER_BYTES)
            self._header = mmap.mmap(self._ops, HEADER_BYTES)
        except OSError as error:
            raise self._full(error) from None
        self.note(journal=FORMAT, worker=worker, workers=workers, nodes=nodes, workloads=workloads)
        self._grow()

    def begin(  # noqa: PLR0917 - called a hundred thousand times a second; the order is the record's
        self,
        due_ns: int,
        call_ns: int,
        version: int,
        group: int,
        session: int,
        process: int,
        key: int,
        node: int,
        workload: int,
        function: Function,
    ) -> int:
        """Record an invocation that is about to be sent; its op id."""
        record = self._records
        chunk, row = divmod(record, CHUNK_RECORDS)
        if chunk == len(self._chunks):
            self._grow()
        _BEGIN.pack_into(
            self._chunks[chunk], row * _SIZE, due_ns, call_ns, version, group, session, process, key, node, workload, function, 1
        )
        self._records = record + 1
        return record * self._workers + self._worker

    def restamp(self, op: int, due_ns: int, call_ns: int) -> None:
        """Correct the times of an invocation that had to wait for its connection and was not sent before now."""
        chunk, row = divmod(op // self._workers, CHUNK_RECORDS)
        _STAMP.pack_into(self._chunks[chunk], row * _SIZE, due_ns, call_ns)

    def end(  # noqa: PLR0917 - as for begin
        self,
        op: int,
        return_ns: int,
        status: Status,
        seen: Seen = Seen.NOTHING,
        seen_key: int = -1,
        seen_version: int = -1,
        seen_op: int = -1,
        error: int = -1,
    ) -> None:
        """Record what became of ``op``."""
        chunk, row = divmod(op // self._workers, CHUNK_RECORDS)
        _END.pack_into(
            self._chunks[chunk], row * _SIZE + _END_OFFSET, return_ns, seen_version, seen_op, seen_key, error, seen, status + 1
        )

    def error(self, text: str) -> int:
        """The index of an error text. Texts beyond ``MAX_ERRORS`` share one: a server must not be able to fill the table."""
        if text not in self._errors and len(self._errors) >= MAX_ERRORS:
            text = "other errors"
        if text not in self._errors:
            self.note(error=text)
            self._errors[text] = len(self._errors)
        return self._errors[text]

    def note(self, **fields: Any) -> None:
        """Append one line to the side file; it is with the kernel when this returns."""
        line = json.dumps(fields).encode() + b"\n"
        try:
            if os.write(self._names, line) != len(line):
                raise OSError("the disk is full")  # noqa: TRY301 - one way out for both kinds of full disk
        except OSError as error:
            raise self._full(error) from None

    def count(self, ok: int, fail: int, info: int) -> None:
        """Publish the live counts, for ``read_counts``."""
        _COUNTS.pack_into(self._header, 0, ok, fail, info)

    def close(self, end_ns: int) -> None:
        """End the journal in order; ``end_ns`` is when the last session stopped."""
        self.note(closed=end_ns)
        for chunk in (*self._chunks, self._header):
            chunk.close()
        os.truncate(self._ops, HEADER_BYTES + self._records * _SIZE)
        os.close(self._ops)
        os.close(self._names)

    def _grow(self) -> None:
        chunk_bytes = CHUNK_RECORDS * _SIZE
        start = HEADER_BYTES + len(self._chunks) * chunk_bytes
        try:
            os.posix_fallocate(self._ops, start, chunk_bytes)
            self._chunks.append(mmap.mmap(self._ops, chunk_bytes, offset=start))
        except OSError as error:
            raise self._full(error) from None

    def _full(self, error: OSError) -> StorageError:
        return StorageError(
            "the history could not be journalled",
            where=str(self._where),
            why=error.strerror or str(error),
            fix="free some space, or choose another place for runs with --runs-dir",
        )


def read_counts(directory: Path, worker: int) -> Counts:
    """The live counts of a worker; zeros where it has none yet."""
    try:
        with (directory / _ops_name(worker)).open("rb") as file:
            page = file.read(_COUNTS.size)
    except FileNotFoundError:
        return Counts()
    return Counts(*_COUNTS.unpack(page)) if len(page) == _COUNTS.size else Counts()


def read_journals(directory: Path) -> History:
    """The history in the journals of ``directory``, whole or cut off at any moment. Raises ``HistoryError``.

    An operation without a completion is ``info``. ``epoch`` is 0 and ``server`` -1 throughout; there are no episodes: the
    conductor knows those. ``complete`` is True if every worker ended in order.
    """
    pieces = _read_pieces(directory)
    if not pieces:
        raise HistoryError("there is no journal here", where=str(directory))
    names = _Dictionary([name for piece in pieces for name, own in piece.keys if own])
    errors = _Dictionary([text for piece in pieces for text in piece.errors])
    parts = [piece.columns(names, errors) for piece in pieces]
    columns = {column: np.concatenate([part[column] for part in parts]) for column in parts[0]}
    order = np.argsort(columns["call_ns"], kind="stable")
    columns = {column: values[order] for column, values in columns.items()}
    ordered = np.ones(len(names.words), dtype=np.bool_)
    for name in (name for piece in pieces for name in piece.unordered):
        ordered[names.index[name]] = False
    complete = len(pieces) == pieces[0].workers and all(piece.closed_ns is not None for piece in pieces)
    returned = columns["return_ns"][columns["return_ns"] < NEVER]
    last_ns = [int(times.max()) for times in (columns["call_ns"], returned) if len(times)]
    settled = [piece.settled_ns for piece in pieces if piece.settled_ns is not None]
    return History(
        columns=columns,
        keys=names.words,
        nodes=pieces[0].nodes,
        ordered=ordered,
        workloads=pieces[0].workloads,
        errors=errors.words,
        stalls=tuple(sorted((stall for piece in pieces for stall in piece.stalls), key=lambda stall: stall.begin_ns)),
        end_ns=max([piece.closed_ns or 0 for piece in pieces] + last_ns),
        settled_ns=max(settled) if len(settled) == len(pieces) else None,
        complete=complete,
    )


def read_oddities(directory: Path) -> tuple[Oddity, ...]:
    """The answers of ``directory``'s journals that made no sense, as far as they were kept."""
    return tuple(oddity for piece in _read_pieces(directory) for oddity in piece.oddities)


class _Dictionary:
    """Distinct words of all workers, and the index of each."""

    def __init__(self, words: list[str]) -> None:
        self.index = {word: index for index, word in enumerate(dict.fromkeys(words))}
        self.words = tuple(self.index)

    def places(self, words: list[str]) -> Column:
        """The index of each of ``words``, -1 for unknown ones; one more -1 at the end, where index -1 finds it."""
        return np.array([self.index.get(word, -1) for word in words] + [-1])


@dataclass
class _Piece:
    """One worker's journal."""

    worker: int
    workers: int
    nodes: tuple[str, ...]
    workloads: tuple[str, ...]
    records: Column
    keys: list[tuple[str, bool]] = field(default_factory=list)
    """Names by the worker's own index, and whether the key is its own or was only seen in a value."""
    unordered: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    stalls: list[Stall] = field(default_factory=list)
    oddities: list[Oddity] = field(default_factory=list)
    settled_ns: int | None = None
    closed_ns: int | None = None

    def take(self, note: dict[str, Any]) -> None:
        """Understand one line of the side file."""
        match note:
            case {"key": name, "ordered": ordered}:
                self.keys.append((name, True))
                if not ordered:
                    self.unordered.append(name)
            case {"foreign": name}:
                self.keys.append((name, False))
            case {"error": text}:
                self.errors.append(text)
            case {"stall": [begin_ns, end_ns]}:
                self.stalls.append(Stall(begin_ns, end_ns, self.worker))
            case {"oddity": text, "node": node, "key": key, "at": at_ns}:
                name = self.keys[key][0] if key >= 0 else ""
                self.oddities.append(Oddity(self.worker, self.nodes[node], name, text, at_ns))
            case {"settled": begin_ns}:
                self.settled_ns = begin_ns
            case {"closed": end_ns}:
                self.closed_ns = end_ns
            case _:
                raise ValueError(f"unknown line {note}")

    def columns(self, names: _Dictionary, errors: _Dictionary) -> dict[str, Column]:
        """The columns of the history, with keys and errors by their common index."""
        rows = np.flatnonzero(self.records["begun"] == 1)
        records = self.records[rows]
        ended = records["ended"] > 0
        status = np.where(ended, records["ended"].astype(np.int8) - 1, Status.INFO).astype(np.int8)
        info = status == Status.INFO
        places = names.places([name for name, _ in self.keys])
        seen_key = places[np.where(ended, records["seen_key"], -1)]
        seen = np.where(ended, records["seen"], Seen.NOTHING).astype(np.int8)
        # A key that no worker of this run has: nobody of this run can have written the value.
        seen[(seen == Seen.HIT) & (seen_key < 0)] = Seen.GARBAGE
        hit = seen == Seen.HIT
        return {
            "op": rows.astype(np.int64) * self.workers + self.worker,
            "group": records["group"].copy(),
            "workload": records["workload"].copy(),
            "session": records["session"].copy(),
            "process": records["process"].copy(),
            "node": records["node"].copy(),
            "server": np.full(len(rows), -1, dtype=np.int16),
            "epoch": np.zeros(len(rows), dtype=np.int32),
            "function": records["function"].astype(np.int8),
            "key": places[records["key"]].astype(np.int32),
            "due_ns": records["due_ns"].copy(),
            "call_ns": records["call_ns"].copy(),
            "return_ns": np.where(info, NEVER, records["return_ns"]),
            "status": status,
            "sent_version": records["sent_version"].copy(),
            "seen": seen,
            "seen_key": seen_key.astype(np.int32),
            "seen_version": np.where(hit, records["seen_version"], -1),
            "seen_op": np.where(hit, records["seen_op"], -1),
            "error": errors.places(self.errors)[np.where(ended, records["error"], -1)].astype(np.int16),
        }


def _read_pieces(directory: Path) -> list[_Piece]:
    workers = sorted(int(path.stem.removeprefix("worker-")) for path in directory.glob("worker-*.names"))
    return [piece for worker in workers if (piece := _read_piece(directory, worker)) is not None]


def _read_piece(directory: Path, worker: int) -> _Piece | None:
    """One worker's journal; None if it was killed before it began one."""
    names = directory / _names_name(worker)
    # A last line without its end was cut off by a kill, before any record referred to it.
    lines = names.read_bytes().split(b"\n")[:-1]
    if not lines:
        return None
    try:
        head = json.loads(lines[0])
        if head["journal"] != FORMAT:
            raise HistoryError(
                f"the journal has format {head['journal']}, this version reads {FORMAT}",
                where=str(names),
                fix="read it with the version of anachron that wrote it",
            )
        # A chunk that was being claimed when the worker was killed may end within a record; fromfile leaves that out.
        records: Column = np.fromfile(directory / _ops_name(worker), dtype=RECORD, offset=HEADER_BYTES)
        piece = _Piece(worker, head["workers"], tuple(head["nodes"]), tuple(head["workloads"]), records)
        for line in lines[1:]:
            piece.take(json.loads(line))
        begun = records[records["begun"] == 1]
        if len(begun) and begun["key"].max() >= len(piece.keys):
            raise ValueError("it speaks of keys that it does not name")  # noqa: TRY301 - one message for all kinds of damage
    except (ValueError, KeyError, IndexError, TypeError, OSError) as error:
        raise HistoryError("the journal is damaged", where=str(names), why=str(error)) from None
    return piece


def _ops_name(worker: int) -> str:
    return f"worker-{worker}.ops"


def _names_name(worker: int) -> str:
    return f"worker-{worker}.names"
