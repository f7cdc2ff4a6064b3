"""The driver's worker processes, as the conductor handles them.

    pool = DriverPool(task)
    await pool.open()                    # processes started, connections open
    pool.start(begin_ns, end_ns)
    await pool.finished()                # at end_ns, or soon after pool.stop()
    ...                                  # heal all faults
    await pool.settle(limit_ns)          # convergence probes
    await pool.close()                   # journals ended in order
    history = read_journals(task.directory)

Times are ns since ``task.origin_ns``. ``open``, ``finished``, ``settle`` and ``close`` raise ``DriverError`` if a worker dies,
with the end of what it said, or the worker's own error (``StorageError`` for a full disk). After an error call ``close`` all the
same.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import pickle
import sys
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from harness import errors
from harness.driver.task import Task
from harness.journal import Counts, read_counts

CLOSE_WITHIN_S = 5.0
_LOG_END = 2_000


class DriverPool:
    """All workers of one run."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._workers: list[_Process] = []

    async def open(self) -> None:
        """Start the workers; returns when they have connected to the nodes and wait for ``start``."""
        for index in range(self._task.workers):
            self._workers.append(await _Process.start(self._task, index))
        await _together(worker.expect("ready") for worker in self._workers)

    def start(self, begin_ns: int, end_ns: int) -> None:
        """Let the sessions begin at ``begin_ns`` and invoke nothing after ``end_ns``."""
        self._tell(run=(begin_ns, end_ns))

    def stop(self) -> None:
        """End the part that is being played early; what is in flight has up to the time-out to return."""
        self._tell(stop=True)

    async def finished(self) -> int:
        """Wait until the sessions have ended; when the last one did, in ns."""
        return max(await _together(worker.expect("finished") for worker in self._workers))

    async def settle(self, limit_ns: int, committed: Mapping[str, int] | None = None) -> int:
        """Probe every key at every readable node until all have converged, for up to ``limit_ns``; when that ended, in ns.

        They converge to what was acknowledged, or to what is known to be ``committed`` (version by name on the wire) if that is
        newer.
        """
        self._tell(settle=[limit_ns, committed or {}])
        return await self.finished()

    def cancel(self, share: float, nodes: Sequence[int]) -> None:
        """Close connections to ``nodes`` right after an operation was sent, for this share of the operations; 0 for none."""
        self._tell(cancel=(share, list(nodes)))

    def cancelled(self) -> int:
        """How many operations were given up like that so far."""
        return self.counts().cancelled

    def leave_out(self, nodes: Sequence[int], *, every: bool) -> None:
        """Take ``nodes`` for no members of the pool; every session, or every other one. Where clients decide that."""
        self._tell(leave_out=(list(nodes), every))

    def diverted(self) -> int:
        """How many operations went elsewhere for that so far."""
        return self.counts().diverted

    def counts(self) -> Counts:
        """How many operations have ended so far."""
        return sum((read_counts(self._task.directory, index) for index in range(self._task.workers)), Counts())

    async def close(self) -> None:
        """End all workers, in order where they still answer and by force where not. Safe to call at any time and twice."""
        self._tell(close=True)
        workers, self._workers = self._workers, []
        within_s = CLOSE_WITHIN_S + self._task.timeout_ns / 1e9
        await asyncio.gather(*(worker.close(within_s) for worker in workers))

    def _tell(self, **order: Any) -> None:
        for worker in self._workers:
            worker.tell(order)


class _Process:
    """One worker process."""

    def __init__(self, index: int, process: asyncio.subprocess.Process, log: Path) -> None:
        self._index = index
        self._process = process
        self._log = log
        self._orders = cast("asyncio.StreamWriter", process.stdin)
        self._reports = cast("asyncio.StreamReader", process.stdout)

    @classmethod
    async def start(cls, task: Task, index: int) -> _Process:
        log = task.directory / f"worker-{index}.log"
        with log.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # a folder called `harness` where the user stands is not ours
                "-m",
                "harness.driver.worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                # A plan's own workloads are found where this process finds them.
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
                # Out of the terminal's foreground group: Ctrl-C is the conductor's to handle.
                process_group=0,
            )
        worker = cls(index, process, log)
        worker.tell({"task": base64.b64encode(pickle.dumps((task, index))).decode()})
        return worker

    def tell(self, order: dict[str, Any]) -> None:
        if not self._orders.is_closing():
            self._orders.write(json.dumps(order).encode() + b"\n")

    async def expect(self, word: str) -> int:
        """The value of the report ``word``, which must be the next."""
        line = await self._reports.readline()
        report = json.loads(line) if line else {}
        if "error" in report:
            kind, what, where, why, fix = report["error"]
            raise getattr(errors, kind, errors.DriverError)(what, where=where, why=why, fix=fix)
        if word not in report:
            raise await self._death()
        return int(report[word])

    async def close(self, within_s: float) -> None:
        """Wait until the process has ended by itself, and kill it if it does not."""
        self._orders.close()
        try:
            await asyncio.wait_for(self._process.wait(), within_s)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def _death(self) -> errors.DriverError:
        try:
            status = await asyncio.wait_for(self._process.wait(), CLOSE_WITHIN_S)
        except TimeoutError:
            return errors.DriverError(f"driver worker {self._index} does not answer")
        how = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
        said = self._log.read_text(errors="replace")[-_LOG_END:].strip()
        return errors.DriverError(
            f"driver worker {self._index} died ({how})", where=str(self._log), why=said or "it said nothing"
        )


async def _together(waits: Iterable[Awaitable[int]]) -> list[int]:
    """The results of all ``waits``; the first error ends the others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
