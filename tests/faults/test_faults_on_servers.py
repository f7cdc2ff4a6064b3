"""The faults on real servers: each proven by what it does to them, and found out where it does nothing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from time import monotonic_ns

import pytest

from faults import FAULTS, refuse_impossible, run_schedule, schedule
from harness.candidates import CANDIDATES, Cluster
from harness.candidates.redis_admin import Admin
from harness.history import Episode
from harness.plan import CandidateSpec, FaultSpec
from harness.runtimes.process import ProcessRuntime
from tests.faults.fake_cluster import MS, spec

pytestmark = pytest.mark.servers


async def episodes_of(runtime: ProcessRuntime, specs: Sequence[FaultSpec]) -> tuple[tuple[Episode, ...], object]:
    """The episodes of one short run on a primary and two replicas, and what the primary has left of a key written before."""
    candidate = CANDIDATES.load("redis-replication")(CandidateSpec.model_validate({"kind": "redis-replication"}))
    faults = [FAULTS.load(s.kind)(s) for s in specs]
    planned = schedule(faults, candidate.topology, 7, 20_000 * MS)
    await runtime.open(candidate.topology)
    refuse_impossible(faults, runtime)
    try:
        await candidate.start(runtime)
        admin = Admin(runtime.endpoint("primary"))
        await admin.call("SET", "k", "v")
        begin_ns = monotonic_ns()
        episodes = await run_schedule(
            planned, faults, Cluster(candidate, runtime), lambda: monotonic_ns() - begin_ns, lambda _: None
        )
        admin.close()
        left = await admin.call("GET", "k")
        admin.close()
    finally:
        await candidate.close()
        await runtime.close()
    return episodes, left


def beats(*groups: Sequence[FaultSpec]) -> list[FaultSpec]:
    """The faults of a group at the same time, the groups one after the other with rest in between."""
    return [
        s.model_copy(update={"after": (600 + 1_450 * n) * MS, "lasts": 400 * MS}) for n, group in enumerate(groups) for s in group
    ]


def test_each_fault_is_proven_on_a_real_fleet(tmp_path: Path):
    """Cuts by marks, both ways and each, a delay by its shift, a pause by state T and silence, a kill by a new identity."""
    specs = beats(
        [spec("partition", between=("primary", "replicas"))],
        [
            spec("partition", between=("primary", "replica-2"), way="forward"),
            spec("delay", between=("primary", "replica-1"), delay="15ms", jitter_by="2ms"),
        ],
        [spec("pause", targets=("replica-1",)), spec("kill", targets=("replica-2",))],
        [
            spec("partition", between=(("client", "replica-1"), "primary"), how="refuse"),
            spec("delay", between=("client", "replica-2"), delay="15ms"),
        ],
        [spec("kill", targets=("primary",), keep_data=False)],
    )
    episodes, left = asyncio.run(episodes_of(ProcessRuntime(tmp_path, client_proxies=True), specs))
    assert len(episodes) == len(specs)
    for episode in episodes:
        assert episode.proven, episode.evidence
        assert episode.intended_ns <= episode.applied_ns < episode.proven_ns < episode.healed_ns, episode
        assert not any(sentence.startswith("unproven") for sentence in episode.evidence)
    cut, ack, delayed, paused, killed, refused, far, emptied = episodes
    assert cut.targets == ("replica-1->primary", "replica-2->primary")
    assert cut.nodes == ("replica-1", "primary", "replica-2")
    assert ack.targets == ("replica-2->primary",)
    assert refused.targets == ("replica-1->primary", "client->primary")
    assert {e.means for e in (cut, ack, refused, delayed, far)} == {"proxy"}
    assert {e.means for e in (paused, killed, emptied)} == {"signal"}
    assert any("later than before: replica-1->primary by " in sentence for sentence in delayed.evidence)
    (shift,) = re.findall(r"at its start: marks were later than before: client->replica-2 by ([\d.]+)ms", " ".join(far.evidence))
    assert float(shift) >= 24, "a client's mark goes there and back: 15ms each way"
    assert any("state T" in sentence for sentence in paused.evidence)
    assert any("incarnation 2" in sentence for sentence in emptied.evidence)
    assert left is None, "the primary came back without data"


class Toothless(ProcessRuntime):
    """Says yes to everything, and strikes nothing."""

    async def cut(self, *args: object) -> None:
        """Nothing."""

    async def delay(self, *args: object) -> None:
        """Nothing."""

    async def pause(self, node: str) -> None:
        """Nothing."""

    async def kill(self, node: str) -> None:
        """Nothing."""

    async def restart(self, node: str, *, keep_data: bool) -> None:
        """Nothing."""


def test_faults_that_do_nothing_are_found_out_on_a_real_fleet(tmp_path: Path):
    """The same runtime, with its means taken away: no episode is proven, and each says why."""
    specs = beats(
        [
            spec("partition", between=("primary", "replica-1")),
            spec("delay", between=("primary", "replica-2"), delay="15ms"),
        ],
        [spec("pause", targets=("replicas",), at_most=2), spec("kill", targets=("primary",))],
    )
    episodes, left = asyncio.run(episodes_of(Toothless(tmp_path), specs))
    assert [e.kind for e in episodes] == ["partition", "delay", "pause", "kill"]
    for episode in episodes:
        assert not episode.proven
        assert any(s.startswith("unproven at its start: ") and "did not bite" in s for s in episode.evidence), episode.evidence
    assert left == "v"
