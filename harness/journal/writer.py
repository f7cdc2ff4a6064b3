"""The writing end of a worker's journal.

Space is claimed with ``posix_fallocate`` before it is mapped: a full disk is then a ``StorageError``, never a SIGBUS in the
middle of an operation.
"""

from __future__ import annotations

import json
import mmap
import os
from pathlib import Path
from typing import Any

from harness.errors import StorageError
from harness.history import Function, Seen, Status
from harness.journal.records import (
    BEGIN,
    CHUNK_RECORDS,
    COUNTS,
    END,
    END_OFFSET,
    FORMAT,
    HEADER_BYTES,
    NODE,
    NODE_OFFSET,
    RECORD,
    names_name,
    ops_name,
)

MAX_ERRORS = 1_000
_SIZE = RECORD.itemsize


class Journal:
    """One worker's journal while it is written. Every method that may need space raises ``StorageError``."""

    def __init__(
        self,
        directory: Path,
        worker: int,
        workers: int,
        nodes: tuple[str, ...],
        workloads: tuple[str, ...],
        *,
        routed: bool = False,
    ) -> None:
        self._worker = worker
        self._workers = workers
        self._where = directory / ops_name(worker)
        self._chunks: list[mmap.mmap] = []
        self._records = 0
        self._errors: dict[str, int] = {}
        try:
            self._ops = os.open(self._where, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
            self._names = os.open(directory / names_name(worker), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
            os.posix_fallocate(self._ops, 0, HEADER_BYTES)
            self._header = mmap.mmap(self._ops, HEADER_BYTES)
        except OSError as error:
            raise self._full(error) from None
        self.note(journal=FORMAT, worker=worker, workers=workers, nodes=nodes, workloads=workloads, routed=routed)
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
        BEGIN.pack_into(
            self._chunks[chunk], row * _SIZE, due_ns, call_ns, version, group, session, process, key, node, workload, function, 1
        )
        self._records = record + 1
        return record * self._workers + self._worker

    def moved(self, op: int, node: int) -> None:
        """Record that ``op`` is asked of ``node`` from now on; the node before has proven that it did nothing."""
        chunk, row = divmod(op // self._workers, CHUNK_RECORDS)
        NODE.pack_into(self._chunks[chunk], row * _SIZE + NODE_OFFSET, node)

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
        END.pack_into(
            self._chunks[chunk], row * _SIZE + END_OFFSET, return_ns, seen_version, seen_op, seen_key, error, seen, status + 1
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

    def count(self, ok: int, fail: int, info: int, *, cancelled: int = 0, diverted: int = 0) -> None:
        """Publish the live counts, for ``read_counts``."""
        COUNTS.pack_into(self._header, 0, ok, fail, info, cancelled, diverted)

    def close(self, end_ns: int) -> None:
        """End the journal in order; ``end_ns`` is when the last session stopped."""
        self.note(closed=end_ns, records=self._records)
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
        self.note(space=len(self._chunks) * CHUNK_RECORDS)

    def _full(self, error: OSError) -> StorageError:
        return StorageError(
            "the history could not be journalled",
            where=str(self._where),
            why=error.strerror or str(error),
            fix="free some space, or choose another place for runs with --runs-dir",
        )
