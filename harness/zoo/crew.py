"""The zoo's work, shared among processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from threading import Thread

from harness.errors import HarnessError
from harness.zoo.jobs import Answer, Job, do


def work(jobs: Sequence[Job], processes: int) -> Generator[Answer]:
    """The answers to ``jobs``, as they come; with one process in this one. Raises ``HarnessError`` if a process dies.

    Whoever stops asking, or is interrupted, has no processes left afterwards: those at work end after the run they are at.
    """
    if processes == 1:
        yield from map(do, jobs)
        return
    # Not forked: whoever shows the progress meanwhile has threads.
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_begin)
    try:
        for done in as_completed([pool.submit(do, job) for job in jobs]):
            yield done.result()
    except BrokenProcessPool:
        raise HarnessError(
            "a process of the zoo died",
            why="its last words, if it had any, are above; without any, it was killed, say for want of memory",
            fix="fewer processes need less memory: --jobs 1",
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Leave Ctrl-C, which goes to the whole group of processes, to whoever started this one; and end when that one does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
