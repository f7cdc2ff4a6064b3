"""Real fleets that faults are tried on: one short schedule, with a little load so that there is something to break."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from time import monotonic_ns

from faults import FAULTS, refuse_impossible, run_schedule, schedule
from harness.candidates import Cluster
from harness.candidates.abilities import Administered
from harness.candidates.base import Candidate
from harness.history import Episode
from harness.plan import FaultSpec
from harness.runtimes.base import Runtime
from tests.faults.fake_cluster import MS

KEYS = 200


async def episodes_of(
    runtime: Runtime, candidate: Candidate, specs: Sequence[FaultSpec], hear: Callable[[Episode], object] = lambda _: None
) -> tuple[Episode, ...]:
    """The episodes of one short run on ``candidate``, whose first node is written to all the while."""
    faults = [FAULTS.load(s.kind)(s) for s in specs]
    planned = schedule(faults, candidate.topology, 7, 60_000 * MS)
    await runtime.open(candidate.topology)
    try:
        refuse_impossible(faults, runtime)
        await candidate.start(runtime)
        load = asyncio.create_task(_load(candidate))
        await asyncio.sleep(0.2)
        begin_ns = monotonic_ns()
        try:
            return await run_schedule(planned, faults, Cluster(candidate, runtime), lambda: monotonic_ns() - begin_ns, hear)
        finally:
            load.cancel()
    finally:
        await candidate.close()
        await runtime.close()


async def _load(candidate: Candidate) -> None:
    """Write 200 keys over and over, some 100 a second after the first round; nothing to a server that speaks no RESP."""
    if not isinstance(candidate, Administered):
        return
    admin = candidate.admin(candidate.topology.nodes[0].name)
    try:
        for number in count():
            with suppress(OSError):
                await admin.call("SET", f"key-{number % KEYS}", f"{number}" * 20)
            if number > KEYS:
                await asyncio.sleep(0.01)
    finally:
        admin.close()


def beats(*groups: Sequence[FaultSpec], lasts_ms: int = 400, rest_ms: int = 1_050) -> list[FaultSpec]:
    """The faults of a group at the same time, the groups one after the other with rest in between."""
    return [
        s.model_copy(update={"after": (600 + (lasts_ms + rest_ms) * n) * MS, "lasts": lasts_ms * MS})
        for n, group in enumerate(groups)
        for s in group
    ]


def sentences(episode: Episode, step: str) -> str:
    """What the evidence says of one step."""
    return " ".join(s for s in episode.evidence if s.startswith((f"{step}: ", f"unproven {step}: ")))
