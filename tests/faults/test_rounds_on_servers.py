"""Fail-overs and rolling restarts on real servers: who is what afterwards, and what is said where nothing happened."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from harness.candidates.redis_replication import RedisReplication
from harness.candidates.redis_single import RedisSingle
from harness.plan import CandidateSpec
from harness.runtimes.process import ProcessRuntime
from tests.faults.fake_cluster import spec
from tests.faults.fleets import episodes_of, sentences

pytestmark = pytest.mark.servers


def replication() -> RedisReplication:
    """A primary and two replicas."""
    return RedisReplication(CandidateSpec.model_validate({"kind": "redis-replication"}))


@pytest.mark.parametrize(("how", "lasts"), [("force", "1500ms"), ("orderly", "6s")])
def test_roles_move_and_are_given_back(tmp_path: Path, how: str, lasts: str):
    """Clients of plain replication follow nobody, so in the end ``primary`` is what its name says."""
    candidate = replication()
    wanted = spec("fail-over", targets="primary", how=how, lasts=lasts, after="600ms")
    (episode,) = asyncio.run(episodes_of(ProcessRuntime(tmp_path), candidate, [wanted]))
    assert episode.proven, episode.evidence
    assert "replica-1 has taken over from primary" in sentences(episode, "near its end")
    assert sentences(episode, "after healing") == "after healing: primary: primary"


def test_nobody_can_take_over_from_a_single_server(tmp_path: Path):
    """The episode was never applied, and says why."""
    candidate = RedisSingle(CandidateSpec.model_validate({"kind": "redis-single"}))
    wanted = spec("fail-over", targets="primary", after="600ms")
    (episode,) = asyncio.run(episodes_of(ProcessRuntime(tmp_path), candidate, [wanted]))
    assert not episode.proven
    assert episode.applied_ns is None
    assert "nobody can take over" in sentences(episode, "before")


class Obstinate(RedisReplication):
    """Gives no word to anybody."""

    async def fail_over(self, node: str, how: str) -> str:
        del node, how
        return "primary"


def test_a_word_that_nobody_follows_is_no_fail_over(tmp_path: Path):
    """Who was primary still is, and that is what the evidence says."""
    candidate = Obstinate(CandidateSpec.model_validate({"kind": "redis-replication"}))
    wanted = spec("fail-over", targets="primary", lasts="900ms", after="600ms")
    (episode,) = asyncio.run(episodes_of(ProcessRuntime(tmp_path), candidate, [wanted]))
    assert not episode.proven
    assert "did not bite: primary is still primary" in sentences(episode, "at its start")


def test_a_fleet_is_restarted_node_by_node(tmp_path: Path):
    """All of them, by default, each as somebody else; the next one's turn comes when the one before serves."""
    wanted = spec("rolling-restart", targets="all", lasts="5s", after="600ms")
    (episode,) = asyncio.run(episodes_of(ProcessRuntime(tmp_path), replication(), [wanted]))
    assert episode.proven, episode.evidence
    assert episode.targets == ("primary", "replica-1", "replica-2")
    assert "restarted: 3 of 3" in sentences(episode, "near its end")
    assert sentences(episode, "after healing").count("process") == 3


def test_a_round_that_its_episode_is_too_short_for_is_unproven(tmp_path: Path):
    """Half of a rolling restart is none; whoever was down is brought back, and the others run on."""
    candidate, runtime = replication(), ProcessRuntime(tmp_path)
    waits = candidate.ready

    async def slow(node: str) -> None:
        await waits(node)
        await asyncio.sleep(0.5 if runtime.incarnation(node) > 1 else 0)

    candidate.ready = slow
    wanted = spec("rolling-restart", targets="all", lasts="600ms", after="600ms")
    (episode,) = asyncio.run(episodes_of(runtime, candidate, [wanted]))
    assert not episode.proven
    assert "of 3 nodes were restarted, but not" in sentences(episode, "after healing")


class Toothless(ProcessRuntime):
    """Kills and starts nobody."""

    async def kill(self, node: str) -> None:
        """Nothing."""

    async def restart(self, node: str, *, keep_data: bool) -> None:
        """Nothing."""


def test_a_round_that_restarts_nobody_is_found_out(tmp_path: Path):
    """All nodes are the incarnations that they were."""
    wanted = spec("rolling-restart", targets="all", lasts="900ms", after="600ms")
    (episode,) = asyncio.run(episodes_of(Toothless(tmp_path), replication(), [wanted]))
    assert not episode.proven
    assert "no node of primary and replica-1 and replica-2 was restarted" in sentences(episode, "at its start")
