"""How long containers take: to serve, to fall to a fault and to be mended, to be gone.

    python -m tests.benchmarks.bench_docker [--rounds 5]

Real candidates on the docker runtime, from ``open`` to the return of their ``start`` (every node serves, replicas are in step),
then faults on the three nodes of a replication and on a service of a compose file, as the runtime applies them. Prints the
median of all rounds, and the worst.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

from harness.candidates import CANDIDATES, Candidate
from harness.images.catalogue import choose
from harness.images.engine import connect, references
from harness.plan import CandidateSpec
from harness.runtimes.base import ClockSkew, Limits
from harness.runtimes.docker.runtime import DockerRuntime
from tests.runtimes.docker.composed import running, written

_TARGETS_MS = {
    "replication, 3 nodes: ready": 3000,
    "cluster, 6 nodes: ready": 6000,
    "process killed and back": 100,
    "links cut": 25,
    "links mended": 25,
    "host killed": 50,
    "host of a service killed": 50,
}


class Times:
    """Durations by what took so long."""

    def __init__(self) -> None:
        self._taken: dict[str, list[float]] = defaultdict(list)

    async def of(self, what: str, step: Awaitable[object]) -> None:
        begin = time.perf_counter()
        await step
        self._taken[what].append((time.perf_counter() - begin) * 1e3)

    def __str__(self) -> str:
        lines = [f"{'':32}{'median':>9}{'worst':>9}{'target':>9}  ms"]
        for what, taken in self._taken.items():
            target = str(_TARGETS_MS.get(what, ""))
            lines.append(f"{what:32}{statistics.median(taken):9.1f}{max(taken):9.1f}{target:>9}")
        return "\n".join(lines)


async def _ready(runtime: DockerRuntime, candidate: Candidate) -> None:
    await runtime.open(candidate.topology)
    await candidate.start(runtime)


@asynccontextmanager
async def _candidate(what: str, spec: CandidateSpec, times: Times) -> AsyncIterator[tuple[Candidate, DockerRuntime]]:
    candidate: Candidate = CANDIDATES.load(spec.kind)(spec)
    with tempfile.TemporaryDirectory() as directory:
        runtime = DockerRuntime(Path(directory))
        try:
            await times.of(f"{what}: ready", _ready(runtime, candidate))
            yield candidate, runtime
        finally:
            await candidate.close()
            await times.of(f"{what}: gone", runtime.close())


async def _faults(candidate: Candidate, runtime: DockerRuntime, times: Times) -> None:
    links = [link for link in candidate.topology.links if link.source != "client"]
    node = "replica-1"

    async def killed_and_back() -> None:
        await runtime.kill(node)
        await runtime.restart(node, keep_data=True)

    for _ in range(5):
        await times.of("links cut", runtime.cut(links))
        await times.of("links mended", runtime.mend(links))
        await times.of("links delayed", runtime.delay(links, 20_000_000, 5_000_000))
        await runtime.mend(links)
        await times.of("process paused", runtime.pause(node))
        await times.of("process resumed", runtime.resume(node))
        await times.of("process killed and back", killed_and_back())
        await times.of("clock bent", runtime.set_clock(node, ClockSkew(wall_ns=60_000_000_000)))
        await runtime.set_clock(node, ClockSkew())
        await times.of("processor limited", runtime.limit(node, Limits(cpus=0.5)))
        await runtime.limit(node, Limits())
    await times.of("host killed", runtime.kill_host(node))
    await times.of("host back", runtime.restart(node, keep_data=True))
    await times.of("disk filled", runtime.fill_disk(node))
    await runtime.free_disk(node)


async def _service_faults(image: str, times: Times) -> None:
    node = "redis-primary"
    with tempfile.TemporaryDirectory() as directory:
        async with running(Path(directory), written(Path(directory) / "project", image), node) as runtime:
            for _ in range(3):
                await times.of("host of a service killed", runtime.kill_host(node))
                await times.of("host of a service back", runtime.restart(node, keep_data=True))


async def main(rounds: int) -> None:
    times = Times()
    image = choose("redis-server", "", references(connect()))
    for _ in range(rounds):
        spec = CandidateSpec(kind="redis-replication", replicas=2)
        async with _candidate("replication, 3 nodes", spec, times) as (candidate, runtime):
            await _faults(candidate, runtime, times)
        async with _candidate("cluster, 6 nodes", CandidateSpec(kind="redis-cluster"), times):
            pass
        await _service_faults(image, times)
    print(times)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=5)
    sys.exit(asyncio.run(main(arguments.parse_args().rounds)))
