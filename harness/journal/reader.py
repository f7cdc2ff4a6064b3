"""The reading end: the journals of all workers become one history."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.durations import format_duration
from harness.errors import HistoryError
from harness.history import NEVER, Column, Function, History, Seen, Stall, Status
from harness.journal.records import COUNTS, FORMAT, HEADER_BYTES, RECORD, Counts, names_name, ops_name


@dataclass(frozen=True, slots=True)
class Oddity:
    """An answer that makes no sense, word for word: what a report shows beside the finding."""

    worker: int
    node: str
    key: str
    """The key asked for; empty if the answer came before any question."""
    text: str
    at_ns: int

    def __str__(self) -> str:
        asked = f", asked for {self.key}" if self.key else ""
        return f"{format_duration(self.at_ns)} into the run, {self.node}{asked}: {self.text}"


def read_counts(directory: Path, worker: int) -> Counts:
    """The live counts of a worker; zeros where it has none yet."""
    try:
        with (directory / ops_name(worker)).open("rb") as file:
            page = file.read(COUNTS.size)
    except FileNotFoundError:
        return Counts()
    return Counts(*COUNTS.unpack(page)) if len(page) == COUNTS.size else Counts()


def read_journals(directory: Path) -> History:
    """The history in the journals of ``directory``, whole or cut off by a kill at any moment. Raises ``HistoryError``.

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
        routed=pieces[0].routed,
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
    routed: bool = False
    keys: list[tuple[str, bool]] = field(default_factory=list)
    """Names by the worker's own index, and whether the key is its own or was only seen in a value."""
    unordered: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    stalls: list[Stall] = field(default_factory=list)
    oddities: list[Oddity] = field(default_factory=list)
    settled_ns: int | None = None
    closed_ns: int | None = None
    space: int = 0
    """For how many records there is space, in a journal that was closed how many there are."""
    records: Column = field(default_factory=lambda: np.zeros(0, dtype=RECORD))

    @classmethod
    def begin(cls, note: dict[str, Any]) -> _Piece:
        """The journal that begins with the line ``note``."""
        return cls(note["worker"], note["workers"], tuple(note["nodes"]), tuple(note["workloads"]), note.get("routed", False))

    def take(self, note: dict[str, Any]) -> None:
        """Understand one line of the side file."""
        match note:
            case {"key": str(name), "ordered": ordered}:
                self.keys.append((name, True))
                if not ordered:
                    self.unordered.append(name)
            case {"foreign": str(name)}:
                self.keys.append((name, False))
            case {"error": str(text)}:
                self.errors.append(text)
            case {"stall": [int(begin_ns), int(end_ns)]}:
                self.stalls.append(Stall(begin_ns, end_ns, self.worker))
            case {"oddity": str(text), "node": int(node), "key": int(key), "at": int(at_ns)}:
                name = self.keys[key][0] if key >= 0 else ""
                self.oddities.append(Oddity(self.worker, self.nodes[node], name, text, at_ns))
            case {"settled": int(begin_ns)}:
                self.settled_ns = begin_ns
            case {"space": int(records)}:
                self.space = records
            case {"closed": int(end_ns), "records": int(records)}:
                self.closed_ns, self.space = end_ns, records
            case _:
                raise ValueError(f"unknown line {note}")

    def hold(self, records: Column) -> None:
        """Take in what was read of the record file; raises ``ValueError`` where no kill can have left that."""
        begun = records["begun"] == 1
        count = int(np.count_nonzero(begun))
        if len(records) < self.space or count > self.space:
            raise ValueError(f"it has space for {len(records)} records, {count} of them used, and speaks of {self.space}")
        if not begun[:count].all():
            raise ValueError("there are records missing before its last")
        self.records = records[:count]
        keys, ended = len(self.keys), self.records["ended"] > 0
        for name, rows, lowest, limit in (
            ("key", ..., 0, keys),
            ("node", ..., 0, len(self.nodes)),
            ("workload", ..., 0, len(self.workloads)),
            ("function", ..., 0, len(Function)),
            ("ended", ..., 0, 1 + len(Status)),
            ("seen", ended, 0, len(Seen)),
            ("seen_key", ended, -1, keys),
            ("error", ended, -1, len(self.errors)),
        ):
            values = self.records[name][rows]
            if len(values) and not lowest <= values.min() <= values.max() < limit:
                raise ValueError(f'a record has a "{name}" that it does not name')

    def columns(self, names: _Dictionary, errors: _Dictionary) -> dict[str, Column]:
        """The columns of the history, with keys and errors by their common index."""
        records = self.records
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
            "op": np.arange(len(records)) * self.workers + self.worker,
            "group": records["group"].copy(),
            "workload": records["workload"].copy(),
            "session": records["session"].copy(),
            "process": records["process"].copy(),
            "node": records["node"].copy(),
            "server": np.full(len(records), -1, dtype=np.int16),
            "epoch": np.zeros(len(records), dtype=np.int32),
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
    names = directory / names_name(worker)
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
        piece = _Piece.begin(head)
        for line in lines[1:]:
            piece.take(json.loads(line))
        piece.hold(np.fromfile(directory / ops_name(worker), dtype=RECORD, offset=HEADER_BYTES))
    except (ValueError, KeyError, IndexError, TypeError, OSError) as error:
        raise HistoryError("the journal is damaged", where=str(names), why=str(error)) from None
    return piece
