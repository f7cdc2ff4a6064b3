"""Sessions against a candidate that runs, while something happens to it."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from harness.candidates import Cluster, Routed, Tuned
from harness.candidates.abilities import Guarded
from harness.clients.access import OPEN
from harness.driver import DriverPool, Task
from harness.history import History, Status
from harness.journal import read_journals
from harness.plan import WorkloadSpec
from harness.topology import Link

MS = 1_000_000
BEFORE_S = 0.3
AFTER_S = 0.6
LONGEST_NS = 60_000_000_000


async def until(seen: Callable[[], Awaitable[object]], within_s: float = 20) -> None:
    """Wait for what must come about; a test that waits in vain has failed."""
    deadline = time.monotonic() + within_s
    while not await seen():
        assert time.monotonic() < deadline, "it did not come about in time"
        await asyncio.sleep(0.02)


async def drive(
    cluster: Cluster, directory: Path, happening: Callable[[], Awaitable[object]], *, settle_ms: int = 0, **spec: object
) -> History:
    """The history of a few sessions that read and write before, while and after ``happening`` goes on."""
    candidate = cluster.candidate
    options = {"kind": "register", "sessions": 6, "keys": 300, "reads": 0.5, "zipf": 0.0, **spec}
    task = Task(
        workloads=(WorkloadSpec.model_validate(options),),
        seed=7,
        topology=candidate.topology,
        endpoints=tuple(cluster.runtime.via(Link("client", node.name)) for node in candidate.topology.nodes),
        protocol=candidate.protocol,
        timeout_ns=1_000 * MS,
        origin_ns=time.monotonic_ns(),
        directory=Path(tempfile.mkdtemp(dir=directory)),
        codec_options=candidate.codec_options if isinstance(candidate, Tuned) else (),
        routing=candidate.routing if isinstance(candidate, Routed) else None,
        access=candidate.access if isinstance(candidate, Guarded) else OPEN,
    )
    pool = DriverPool(task)

    async def played() -> bool:
        counts = pool.counts()
        return counts.ok + counts.fail + counts.info >= 20

    try:
        await pool.open()
        begin_ns = time.monotonic_ns() - task.origin_ns
        pool.start(begin_ns, begin_ns + LONGEST_NS)
        await asyncio.sleep(BEFORE_S)
        await until(played)
        await happening()
        await asyncio.sleep(AFTER_S)
        pool.stop()
        await pool.finished()
        if settle_ms:
            await pool.settle(settle_ms * MS)
    finally:
        await pool.close()
    return read_journals(task.directory)


def errors(history: History) -> Counter[str]:
    """How often each error came."""
    return Counter(history.errors[code] for code in history.error if code >= 0)


def served(history: History, *, after_ns: int = 0) -> set[str]:
    """The nodes that served operations which were called after a time."""
    rows = (history.status == Status.OK) & (history.call_ns > after_ns)
    return {history.nodes[node] for node in set(history.node[rows])}
