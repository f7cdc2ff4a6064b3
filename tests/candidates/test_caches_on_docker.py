"""memcached, Varnish and nginx in containers: each link is cut by the kernel and seen to be, each server restarted and paused."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from harness.candidates import CANDIDATES, Cluster
from harness.plan import CandidateSpec
from harness.runtimes.base import Capability
from harness.runtimes.docker.runtime import DockerRuntime
from harness.topology import Link
from tests.candidates.starting import started

pytestmark = pytest.mark.docker

S = 1_000_000_000
MS = 1_000_000
KINDS = pytest.mark.parametrize(
    "spec",
    [
        {"kind": "memcached-pool", "nodes": 2},
        {"kind": "http-caches", "cache": "varnish"},
        {"kind": "http-caches", "cache": "nginx"},
    ],
    ids=["memcached", "varnish", "nginx"],
)


def in_containers(directory: Path, spec: dict[str, object]) -> AbstractAsyncContextManager[Cluster]:
    """A started candidate, its nodes in containers."""
    runtime = DockerRuntime(directory, client_proxies=True)
    if lacks := runtime.refusal(Capability.CUT):
        pytest.skip(lacks)
    return started(CANDIDATES.load(str(spec["kind"]))(CandidateSpec.model_validate(spec)), runtime)


@KINDS
def test_each_wire_is_cut_by_itself(tmp_path, spec):
    """What is cut is silent over connections that exist, everything else carries, and after the heal it carries again."""

    async def run() -> None:
        async with in_containers(tmp_path, spec) as cluster:
            links = [link for link in cluster.topology.links if "cache-2" not in (link.source, link.target)]
            probes = {link: await cluster.candidate.probe(link) for link in links}
            try:
                for cut in links:
                    await cluster.runtime.cut([cut])
                    for link, probe in probes.items():
                        # The kernel cuts between two addresses: links between the same two nodes go silent together.
                        silent = {link.source, link.target} == {cut.source, cut.target}
                        took = await probe.carry(200 * MS if silent else 5 * S)
                        assert (took is None) is silent, f"{link} while {cut} is cut"
                    await cluster.runtime.mend([cut])
                    async with asyncio.timeout(20):
                        while await probes[cut].carry(S) is None:
                            pass
            finally:
                for probe in probes.values():
                    await probe.close()

    asyncio.run(run())


@KINDS
def test_a_server_that_comes_back_is_somebody_else(tmp_path, spec):
    """However soon: in a container every first process has the same number. A paused one is silent, and who it was."""

    async def run() -> None:
        async with in_containers(tmp_path, spec) as cluster:
            candidate, runtime = cluster.candidate, cluster.runtime
            before = await candidate.identity("cache-1")
            await runtime.pause("cache-1")
            with pytest.raises(TimeoutError):
                await candidate.identity("cache-1")
            await runtime.resume("cache-1")
            await candidate.ready("cache-1")
            assert await candidate.identity("cache-1") == before
            await runtime.kill("cache-1")
            with pytest.raises(ConnectionError):
                await candidate.identity("cache-1")
            await runtime.restart("cache-1", keep_data=True)
            await candidate.ready("cache-1")
            assert await candidate.identity("cache-1") != before
            probe = await candidate.probe(Link("client", "cache-1"))
            assert await probe.carry(5 * S) is not None
            await probe.close()

    asyncio.run(run())
