"""Slots that move between nodes, as a fault of a plan: on real servers, and found out where nothing moves."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic_ns

import pytest

from faults import run_schedule, schedule
from faults.reshard import Reshard
from harness.candidates import Cluster
from harness.errors import PlanError
from harness.history import Episode
from harness.plan import FaultSpec
from tests.candidates.driving import until
from tests.candidates.test_redis_servers import running
from tests.faults.fake_cluster import FLEET, MS, FakeCandidate, FakeRuntime, spec


async def episodes_of(cluster: Cluster, one: FaultSpec, duration_ms: int) -> tuple[Episode, ...]:
    """What became of a fault on ``cluster``."""
    fault = Reshard(one)
    planned = schedule([fault], cluster.topology, 7, duration_ms * MS)
    begin_ns = monotonic_ns()
    return await run_schedule(planned, [fault], cluster, lambda: monotonic_ns() - begin_ns, lambda _: None)


def size(ranges: tuple[tuple[int, int], ...]) -> int:
    return sum(last - first + 1 for first, last in ranges)


@pytest.mark.servers
def test_slots_move_and_are_seen_to_have_moved(tmp_path: Path):
    """From the node that was named to another one, with their keys; no slot is left between two owners."""

    async def run() -> None:
        async with running(tmp_path, "redis-cluster") as cluster:
            admins = [cluster.candidate.admin(f"primary-{number}") for number in (1, 2, 3)]
            before = await cluster.candidate.owners()
            first = before["primary-2"][0][0]
            for key in range(3_000):
                name = f"k{key}"
                if first <= await admins[0].call("CLUSTER", "KEYSLOT", name) < first + 12:
                    await admins[1].call("SET", name, "v")
            (episode,) = await episodes_of(
                cluster, spec("reshard", targets=("primary-2",), slots=12, lasts="800ms", after="600ms", every="2s"), 1_500
            )

            async def agreed() -> bool:
                return size((await cluster.candidate.owners())["primary-2"]) == size(before["primary-2"]) - 12

            await until(agreed)  # the node that is asked may have heard of eleven
            after = await cluster.candidate.owners()
            views = [await admin.call("CLUSTER", "NODES") for admin in admins]
            for admin in admins:
                admin.close()
            assert episode.proven, episode.evidence
            assert episode.means == "command"
            assert episode.targets == ("primary-2",)
            assert episode.intended_ns <= episode.applied_ns < episode.proven_ns < episode.healed_ns
            assert sum(map(size, after.values())) == 16_384
            assert "after healing: 12 slots with " in episode.evidence[-1]
            assert " with 0 keys" not in episode.evidence[-1]
            assert not any("->-" in view or "-<-" in view for view in views)

    asyncio.run(run())


class Idle(FakeCandidate):
    """Says that it has slots, and moves none."""

    async def owners(self) -> dict[str, tuple[tuple[int, int], ...]]:
        return {"primary": ((0, 8191),), "replica-1": ((8192, 16383),)}

    async def move(self, slot: int, source: str, target: str) -> int:  # noqa: ARG002 - it does nothing
        return 1


class Failing(Idle):
    """Cannot move a slot at the first try."""

    tries = 0

    async def move(self, slot: int, source: str, target: str) -> int:
        self.tries += 1
        if self.tries == 1:
            raise ConnectionResetError(f"{target} closed the connection")
        return await super().move(slot, source, target)


def struck(candidate: FakeCandidate) -> Episode:
    """One episode on a fleet without servers."""

    async def run() -> Episode:
        fault = Reshard(spec("reshard", slots=3))
        fault.targets = lambda topology: topology.nodes[:1]
        planned = schedule([fault], FLEET, 7, 1_000 * MS)
        begin_ns = monotonic_ns()
        cluster = Cluster(candidate, candidate.runtime)
        (episode,) = await run_schedule(planned, [fault], cluster, lambda: monotonic_ns() - begin_ns, lambda _: None)
        return episode

    return asyncio.run(run())


def test_slots_that_do_not_move_are_found_out():
    """The owners say who owns what: no move, no proof."""
    episode = struck(Idle(FakeRuntime()))
    assert not episode.proven
    assert any("no slot of primary has moved to replica-1" in sentence for sentence in episode.evidence)


def test_a_move_that_fails_is_told_and_done_again_by_the_heal():
    """A slot that was left open would stay between two owners."""
    candidate = Failing(FakeRuntime())
    episode = struck(candidate)
    assert not episode.proven
    assert any("replica-1 closed the connection" in sentence for sentence in episode.evidence)
    assert candidate.tries == 2
    assert episode.healed_ns is not None


def test_a_candidate_without_slots_proves_nothing():
    """It is not a cluster, whatever its roles are called."""
    episode = struck(FakeCandidate(FakeRuntime()))
    assert not episode.proven
    assert any("has no slots" in sentence for sentence in episode.evidence)


def test_one_primary_alone_is_an_error_of_the_plan():
    """Nobody else could take its slots."""
    with pytest.raises(PlanError, match="two primaries"):
        Reshard(spec("reshard")).targets(FLEET)
