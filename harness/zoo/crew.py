"""The zoo's work, shared among processes."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from harness.zoo.jobs import Answer, Job, do


def work(jobs: Sequence[Job], processes: int) -> Iterator[Answer]:
    """The answers to ``jobs``, as they come; with one process in this one.

    Whoever stops asking, or is interrupted, has no processes left afterwards: those at work end after the run they are at.
    """
    if processes == 1:
        yield from map(do, jobs)
        return
    # Not forked: whoever shows the progress meanwhile has threads.
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_ignore_interrupts)
    try:
        for done in as_completed([pool.submit(do, job) for job in jobs]):
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _ignore_interrupts() -> None:
    """Ctrl-C goes to the whole group of processes; whoever started this one sees to its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
