"""Sentinel and Cluster in containers: what their clients see when the network is cut between nodes, and when a machine dies."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import numpy as np
import pytest

from checkers import check
from harness.candidates import CANDIDATES, Cluster
from harness.history import Status
from harness.plan import CandidateSpec, Contract
from harness.runtimes.base import Capability
from harness.runtimes.docker.runtime import DockerRuntime
from harness.topology import Link
from tests.candidates.driving import MS, drive, served, until
from tests.candidates.starting import started

pytestmark = pytest.mark.docker
S = 1_000 * MS


def in_containers(
    directory: Path, kind: str, *, proxies: bool = False, **options: object
) -> AbstractAsyncContextManager[Cluster]:
    """A started candidate, its nodes in containers."""
    runtime = DockerRuntime(directory, client_proxies=proxies)
    if lacks := runtime.refusal(Capability.CUT):
        pytest.skip(lacks)
    return started(CANDIDATES.load(kind)(CandidateSpec.model_validate({"kind": kind, **options})), runtime)


def links(cluster: Cluster, one: tuple[str, ...], other: tuple[str, ...]) -> list[Link]:
    """All links between two groups."""
    return [link for left in one for right in other for link in cluster.topology.between(left, right)]


def test_clients_on_the_old_primarys_side_lose_what_was_acknowledged(tmp_path: Path):
    """They stay with it and the one sentinel that they reach; the rest elects another; what was acknowledged then is lost."""

    async def run() -> None:
        options = {"down_after": "1s", "failover_timeout": "3s"}
        async with in_containers(tmp_path, "redis-sentinel", proxies=True, **options) as cluster:
            candidate = cluster.candidate
            cut = links(cluster, ("client", "primary", "sentinel-1"), ("replica-1", "replica-2", "sentinel-2", "sentinel-3"))

            async def elected() -> bool:
                return await candidate.primary_seen_by("sentinel-2") != "primary"

            async def healed() -> bool:
                return await candidate.primary_seen_by("sentinel-1") != "primary"

            async def partition() -> None:
                probe = await candidate.probe(Link("sentinel-2", "primary"))
                assert await probe.carry(2 * S) is not None
                await cluster.runtime.cut(cut)
                assert await probe.carry(300 * MS) is None
                await until(elected)
                assert await candidate.primary_seen_by("sentinel-1") == "primary"
                await asyncio.sleep(0.5)
                await cluster.runtime.mend(cut)
                await until(healed)
                await probe.close()

            history = await drive(cluster, tmp_path, partition, settle_ms=2_000)
            (lost,) = [result for result in check(history, Contract(lost_writes=0)) if result.checker == "lost-writes"]
            assert sum(finding.count for finding in lost.findings if finding.name == "lost-write") > 50
            new = served(history) - {"primary"}
            assert len(new) == 1
            assert served(history, after_ns=history.end_ns - 200 * MS) == new

    asyncio.run(run())


def test_clients_follow_the_fail_over_of_a_cluster(tmp_path: Path):
    """A primary's machine dies: its clients time out, then find the replica that took over; all keys are written again."""

    async def run() -> None:
        async with in_containers(tmp_path, "redis-cluster") as cluster:
            candidate = cluster.candidate

            async def promoted() -> bool:
                return "replica-1" in await candidate.current("primary")

            async def death() -> None:
                await cluster.runtime.kill_host("primary-1")
                await until(promoted, within_s=40)
                await asyncio.sleep(1.5)

            history = await drive(cluster, tmp_path, death)
            assert served(history, after_ns=history.end_ns - 200 * MS) == {"replica-1", "primary-2", "primary-3"}
            writes = np.sort(history.return_ns[(history.function == 1) & (history.status == Status.OK)])
            assert len(writes) > 100

    asyncio.run(run())


def test_a_cut_between_two_nodes_of_a_cluster_shows_on_their_bus(tmp_path: Path):
    """By messages over the connections that they keep: each way by itself, and others go on."""

    async def run() -> None:
        async with in_containers(tmp_path, "redis-cluster", node_timeout="15s") as cluster:
            one, other = Link("primary-2", "primary-1"), Link("replica-3", "primary-2")
            probes = {link: await cluster.candidate.probe(link) for link in (one, other)}
            try:
                for probe in probes.values():
                    assert await probe.carry(2 * S) is not None
                await cluster.runtime.cut([one])
                assert await probes[one].carry(300 * MS) is None
                assert await probes[other].carry(2 * S) is not None
                await cluster.runtime.mend([one])
                await until(lambda: probes[one].carry(300 * MS))
            finally:
                for probe in probes.values():
                    await probe.close()

    asyncio.run(run())
