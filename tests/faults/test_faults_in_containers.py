"""Faults on packets, machines and roles, on containers: each proven at the target, and found out where it does nothing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

import pytest

from harness.candidates import CANDIDATES
from harness.history import Episode
from harness.plan import CandidateSpec, FaultSpec
from harness.runtimes.docker.runtime import DockerRuntime
from tests.faults.conftest import MakeRuntime
from tests.faults.fake_cluster import spec
from tests.faults.fleets import beats, episodes_of, sentences

pytestmark = pytest.mark.docker

ONE, TWO = ("primary", "replica-1"), ("primary", "replica-2")

PACKETS = (
    [spec("drop", between=ONE, nth=3), spec("reorder", between=TWO, probability=0.5, by="20ms")],
    [spec("duplicate", between=ONE, probability=0.5), spec("throttle", between=TWO, bytes_per_second=40_000)],
    [spec("reset", between=ONE)],
)
MACHINES = (
    [spec("clock", targets="replica-1", by="60s"), spec("limit", targets="replica-2", cpus=0.5, memory=64 << 20)],
    [spec("clock", targets="replica-1", by="60s", way="back"), spec("clock", targets="replica-2", rate=2.0)],
    [spec("disk-full", targets="primary"), spec("kill", targets="replica-1", what="host")],
)


def tried(runtime: DockerRuntime, specs: Sequence[FaultSpec], kind: str = "redis-replication", **options: object):
    """One short run on a candidate in containers."""
    candidate = CANDIDATES.load(kind)(CandidateSpec.model_validate({"kind": kind, **options}))
    return asyncio.run(episodes_of(runtime, candidate, specs))


def assert_proven(episodes: Sequence[Episode]) -> None:
    """All of them are, with nothing left unproven, and healed."""
    for episode in episodes:
        assert episode.proven, (episode.kind, episode.evidence)
        assert not any("unproven" in sentence for sentence in episode.evidence), (episode.kind, episode.evidence)
        assert episode.applied_ns < episode.proven_ns < episode.healed_ns


def test_packets_are_struck_for_real(containers: MakeRuntime):
    """Lost and doubled ones are counted, overtaken ones are late, a load takes its time, and a connection is gone."""
    episodes = tried(containers(), beats(*PACKETS, lasts_ms=1_200, rest_ms=1_300))
    assert_proven(episodes)
    drop, reorder, duplicate, throttle, reset = episodes
    assert {e.means for e in episodes} == {"kernel"}
    assert re.search(r"[1-9]\d* of \d+ packets were lost", sentences(drop, "at its start"))
    assert re.search(r"[1-9]\d* of \d+ packets were doubled", sentences(duplicate, "near its end"))
    assert re.search(r"[1-9]\d* of \d+ packets were late", sentences(reorder, "at its start"))
    assert "bytes crossed replica-2->primary in" in sentences(throttle, "at its start")
    assert "none of 1 connections from replica-1 is left" in sentences(reset, "at its start")


def test_a_long_cut_is_proven_on_its_way_back_too(containers: MakeRuntime):
    """Once a replica should have been heard of several times, the primary has not heard of it."""
    (cut,) = tried(containers(), [spec("partition", groups="primary-from-rest", lasts="5s", after="600ms")])
    assert_proven([cut])
    assert set(cut.targets) == {"replica-1->primary", "replica-2->primary"}
    assert "not yet proven" in sentences(cut, "at its start")
    assert re.search(r"the way back: replica-1->primary not heard for [4-6]s", sentences(cut, "near its end"))


def test_machines_are_struck_for_real(containers: MakeRuntime):
    """Clocks are off by what was meant, limits and disks are seen from within, and a dead host is silent."""
    episodes = tried(containers(), beats(*MACHINES, lasts_ms=1_200, rest_ms=1_800), persistence=True)
    assert_proven(episodes)
    ahead, limit, behind, fast, disk, host = episodes
    assert "it is 60s ahead of ours" in sentences(ahead, "at its start")
    assert "it is 60s behind ours" in sentences(behind, "near its end")
    assert "ahead of ours" in sentences(fast, "near its end")
    assert "may use 0.5 of a processor and 64 MiB" in sentences(limit, "at its start")
    assert "may use all processors and all memory" in sentences(limit, "before")
    assert "primary has no room" in sentences(disk, "at its start")
    assert "its process has ended" in sentences(disk, "near its end"), "who may not acknowledge what he cannot write down ends"
    assert "answered and has room" in sentences(disk, "after healing")
    assert "nothing answers or refuses there" in sentences(host, "at its start")
    assert "incarnation 2" in sentences(host, "after healing")


def test_a_server_that_counts_from_boot_is_struck_on_that_clock(containers: MakeRuntime):
    """Memcached tells whole seconds and looks at the clock once in each: it is given the time to show it."""
    wanted = spec("clock", targets="cache-1", by="60s", monotonic=True, lasts="4s", after="600ms")
    (episode,) = tried(containers(), [wanted], "memcached-pool", nodes=1)
    assert_proven([episode])
    assert re.search(r"it is (59|60|61)(\.\d+)?s ahead", sentences(episode, "at its start"))


class Toothless(DockerRuntime):
    """Says yes to everything, and strikes nothing."""

    async def cut(self, *_: object) -> None:
        """Nothing."""

    disturb = throttle = reset = limit = fill_disk = set_clock = kill_host = replace = cut


@pytest.mark.parametrize("groups", [PACKETS, MACHINES], ids=["packets", "machines"])
def test_what_does_nothing_to_containers_is_found_out(containers: MakeRuntime, groups: Sequence[Sequence[FaultSpec]]):
    """The same runtime, with its means taken away: no episode is proven, and each says at its start what it did not see."""
    # A node that was not killed cannot be started, and says so where it is healed.
    for episode in tried(containers(Toothless), beats(*groups, lasts_ms=1_200, rest_ms=1_300), persistence=True):
        assert not episode.proven, (episode.kind, episode.evidence)
        assert re.search("unproven at its start: .*did not ", sentences(episode, "at its start")) or (
            episode.kind == "kill" and "unproven at its start" in sentences(episode, "at its start")
        ), (episode.kind, episode.evidence)


def test_a_fleet_goes_on_from_another_image(containers: MakeRuntime):
    """Node by node, each as somebody else; the version that it tells stands in the evidence."""
    runtime = containers()
    image = "anachron/valkey:latest"
    wanted = spec("rolling-restart", targets="replicas", image=image, lasts="9s", after="600ms")
    (episode,) = tried(runtime, [wanted], persistence=True)
    assert_proven([episode])
    assert episode.means == "image"
    assert "replica-1 and replica-2 restarted: 2 of 2" in sentences(episode, "near its end")
    assert sentences(episode, "after healing").count("version 8.") == 2


@pytest.mark.parametrize(
    ("kind", "target", "how"), [("redis-sentinel", "primary", "force"), ("redis-cluster", "primary-2", "takeover")]
)
def test_roles_move_for_real(containers: MakeRuntime, kind: str, target: str, how: str):
    """Sentinels and clusters have another node take over, and nothing is given back."""
    (episode,) = tried(containers(), [spec("fail-over", targets=target, how=how, lasts="6s", after="600ms")], kind)
    assert_proven([episode])
    assert re.search(rf"replica-\d has taken over from {target}", sentences(episode, "at its start"))
    assert "replica-" in sentences(episode, "after healing")
