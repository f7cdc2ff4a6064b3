"""What is written down while a run goes on, apart from its operations: fault episodes, who each node says it is, when the
runtime's means stood still, and what the source of truth has in its audit.

All are files of JSON lines that only ever grow, so that a killed run leaves all but perhaps half a line; that half is left out.
A line is handed to the system at once: it outlives the harness, if not the machine.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from harness.errors import HistoryError
from harness.history import Episode, Stall
from harness.store.files import storage_error
from harness.store.parquet import episode_from


class Sample(NamedTuple):
    """Who a node said it was, at some time between the question and the answer."""

    node: str
    asked_ns: int
    answered_ns: int
    identity: str


class Audit(NamedTuple):
    """What the source of truth had committed when it was asked.

    Attributes:
        known_ns: when its answer was there.
        sealed: whether nothing could be committed any more.
        ops: the ids of the writes, each key's in the order of their commits.
    """

    known_ns: int
    sealed: bool
    ops: tuple[int, ...]


class _LineLog:
    """A file of JSON lines that grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise storage_error(error, path) from None

    def _append(self, record: Any) -> None:
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        try:
            if (written := self._file.write(line)) != len(line):
                # The rest found no room. A half line must not stay: the next one may fit, and would be taken for its end.
                self._file.truncate(self._file.seek(0, os.SEEK_END) - written)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # noqa: TRY301 - one way out for both kinds of full disk
        except OSError as error:
            raise storage_error(error, self._path, needs=10_000) from None

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class EpisodeLog(_LineLog):
    """Fault episodes as they go on; raises ``StorageError`` where it cannot write."""

    def append(self, episode: Episode) -> None:
        """Write down what is known of ``episode`` now; a later line about the same fault and start takes its place."""
        self._append(asdict(episode))


class StallLog(_LineLog):
    """Windows in which the runtime's means stood still; raises ``StorageError`` where it cannot write."""

    def append(self, stall: Stall) -> None:
        """Write down one of them."""
        self._append(asdict(stall))


class AuditLog(_LineLog):
    """What the source of truth had committed; raises ``StorageError`` where it cannot write."""

    def append(self, audit: Audit) -> None:
        """Write down one answer."""
        self._append(audit._asdict())


class EpochLog(_LineLog):
    """Every answer to the question who a node is; raises ``StorageError`` where it cannot write.

    A node that does not answer leaves no line. An answer that is the same as the one before takes a short line.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._last: dict[str, str] = {}

    def append(self, node: str, asked_ns: int, answered_ns: int, identity: str) -> None:
        """Write down that ``node`` was ``identity`` between two times of the run's clock: when it was asked, and its answer."""
        if self._last.get(node) == identity:
            self._append((node, asked_ns, answered_ns))
        else:
            self._append((node, asked_ns, answered_ns, identity))
            self._last[node] = identity


def read_episodes(path: Path) -> tuple[Episode, ...]:
    """The last word on each episode in the log ``path``, in the order they were intended; none if there is no log.

    Raises ``HistoryError`` for a line that is no episode.
    """
    latest: dict[tuple[int, int, tuple[str, ...]], Episode] = {}
    for number, record in _records(path):
        try:
            episode = episode_from(record)
        except (KeyError, TypeError) as error:
            raise HistoryError("this line is no fault episode", where=f"{path}:{number}", why=repr(error)) from None
        latest[episode.fault, episode.intended_ns, episode.targets] = episode
    return tuple(sorted(latest.values(), key=lambda episode: (episode.intended_ns, episode.fault)))


def read_stalls(path: Path) -> tuple[Stall, ...]:
    """All windows in the log ``path``; none if there is no log. Raises ``HistoryError`` for a line that is none."""
    stalls: list[Stall] = []
    for number, record in _records(path):
        match record:
            case {"begin_ns": int(begin_ns), "end_ns": int(end_ns), "worker": int(worker)}:
                stalls.append(Stall(begin_ns, end_ns, worker))
            case _:
                raise HistoryError("this line is no stall", where=f"{path}:{number}")
    return tuple(stalls)


def read_audits(path: Path) -> tuple[Audit, ...]:
    """All answers in the log ``path``; none if there is no log. Raises ``HistoryError`` for a line that is none."""
    audits: list[Audit] = []
    for number, record in _records(path):
        match record:
            case {"known_ns": int(known_ns), "sealed": bool(sealed), "ops": list(ops)}:
                audits.append(Audit(known_ns, sealed, tuple(ops)))
            case _:
                raise HistoryError("this line is no audit", where=f"{path}:{number}")
    return tuple(audits)


def read_samples(path: Path) -> tuple[Sample, ...]:
    """All answers in the log ``path``; none if there is no log. Raises ``HistoryError`` for a line that is none."""
    samples: list[Sample] = []
    last: dict[str, str] = {}
    for number, record in _records(path):
        match record:
            case [str(node), int(asked_ns), int(answered_ns), str(identity)]:
                last[node] = identity
            case [str(node), int(asked_ns), int(answered_ns)] if node in last:
                identity = last[node]
            case _:
                raise HistoryError("this line does not say who a node is", where=f"{path}:{number}")
        samples.append(Sample(node, asked_ns, answered_ns, identity))
    return tuple(samples)


def _records(path: Path) -> Iterator[tuple[int, Any]]:
    """Line numbers and JSON values of ``path``, without a last line that was cut off."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise HistoryError("the log cannot be read", where=str(path), why=error.strerror or str(error)) from None
    whole, _, _ = content.rpartition(b"\n")
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            yield number, json.loads(line)
        except ValueError as error:
            raise HistoryError("this line is damaged", where=f"{path}:{number}", why=str(error)) from None
