"""Short runs of the driver, for its tests."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.driver import DriverPool, Task
from harness.driver.worker import Worker
from harness.history import History
from harness.journal import read_journals
from harness.plan import WorkloadSpec
from harness.runtimes.base import Endpoint
from harness.topology import Node, Topology

MS = 1_000_000


def topology(nodes: int) -> Topology:
    """One primary that takes all writes, and replicas; everything may be read."""
    names = ("primary", *(f"replica-{number}" for number in range(1, nodes)))
    everything = tuple(Node(index, name, name.partition("-")[0]) for index, name in enumerate(names))
    return Topology(everything, (), (0,), tuple(range(nodes)))


def task(directory: Path, endpoints: Sequence[Endpoint], workers: int = 1, timeout_ms: int = 1_000, **spec: Any) -> Task:
    """A task with one workload, ``register`` unless ``spec`` says otherwise, and a journal directory of its own."""
    return Task(
        workloads=(WorkloadSpec.model_validate({"kind": "register", "sessions": 4, **spec}),),
        seed=7,
        topology=topology(len(endpoints)),
        endpoints=tuple(endpoints),
        protocol="resp",
        timeout_ns=timeout_ms * MS,
        origin_ns=time.monotonic_ns(),
        directory=Path(tempfile.mkdtemp(dir=directory)),
        workers=workers,
    )


async def play(the_task: Task, ms: int, settle_ms: int | None = None) -> History:
    """The history of ``the_task`` played for ``ms``, and settled where that is asked for."""
    pool = DriverPool(the_task)
    try:
        await pool.open()
        begin_ns = time.monotonic_ns() - the_task.origin_ns
        pool.start(begin_ns, begin_ns + ms * MS)
        await pool.finished()
        if settle_ms is not None:
            await pool.settle(settle_ms * MS)
    finally:
        await pool.close()
    return read_journals(the_task.directory)


def play_here(the_task: Task, ms: int) -> History:
    """As ``play``, in this process: quicker to start, and enough for what one loop does."""
    worker = Worker(the_task, 0)
    worker.open()
    gc.collect()
    gc.freeze()  # a worker does so too, but what a whole test session holds would take it longer than many a run here lasts
    begin_ns = worker.loop.now_ns()
    worker.run(begin_ns, begin_ns + ms * MS)
    worker.close()
    return read_journals(the_task.directory)
