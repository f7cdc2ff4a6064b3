"""redis-py's own client-side cache: fresh while links are whole, silent when one is cut."""

from __future__ import annotations

import asyncio

import pytest

from harness.errors import StartupError
from harness.history import Status
from harness.results import Outcome
from tests.candidates.applications import ask, names, need_engine, run, running

CONTRACT = """\
staleness = { steady = "500ms", during = { partition = "500ms" }, after_heal = "5s" }
"""
REST = """\
[[workloads]]
kind = "register"
keys = 3
zipf = 0.0
sessions = 8
reads = 0.98
rate = 600

[[faults]]
kind = "partition"
between = ["app-2", "server"]
every = "60s"
after = "2s"
lasts = "2500ms"
"""


@pytest.fixture(autouse=True)
def _engine(request):
    if request.node.get_closest_marker("docker"):
        need_engine()


@pytest.mark.servers
@pytest.mark.parametrize("server", ["redis", "valkey"])
def test_repeated_reads_are_answered_by_the_library(tmp_path, server):
    """The server counts one GET for many, and a write by another node is seen soon."""

    async def scenario() -> None:
        async with running(tmp_path, f'kind = "client-side-cache"\nserver = "{server}"') as cluster:
            assert cluster.candidate.product.startswith("redis-py ")
            assert server in cluster.candidate.product.lower()
            await ask(cluster, "app-1", "SET", "k", "k|1|1")
            for _ in range(20):
                assert await ask(cluster, "app-2", "GET", "k") == "k|1|1"
            stats = str(await ask(cluster, "server", "INFO", "commandstats"))
            (line,) = (line for line in stats.splitlines() if line.startswith("cmdstat_get:"))
            assert "calls=1," in line
            await ask(cluster, "app-1", "SET", "k", "k|2|2")
            async with asyncio.timeout(10):
                while await ask(cluster, "app-2", "GET", "k") != "k|2|2":  # noqa: ASYNC110  # it can only be asked for
                    await asyncio.sleep(0.005)
            assert await ask(cluster, "app-2", "DEL", "k") == 1

    asyncio.run(scenario())


@pytest.mark.servers
def test_the_librarys_own_check_of_the_version_refuses_older_servers(tmp_path):
    """With the check left on, Redis 7.0 and Valkey 8 are refused, and the node's log says why."""

    async def scenario() -> None:
        async with running(tmp_path, 'kind = "client-side-cache"\nserver = "valkey"\ncheck_version = true'):
            pass

    with pytest.raises(StartupError, match=r"app-\d d[^$]*redis-py refuses this server"):
        asyncio.run(scenario())


@pytest.mark.parametrize(
    "runtime", [pytest.param("process", marks=pytest.mark.servers), pytest.param("docker", marks=pytest.mark.docker)]
)
def test_a_silent_cut_leaves_stale_answers_without_an_error(tmp_path, runtime):
    """While one node is cut off, what it has cached is answered as if nothing had happened."""
    finished = run(
        tmp_path,
        candidate='kind = "client-side-cache"\nwriters = 1',
        contract=CONTRACT,
        rest=REST,
        duration="6s",
        runtime=runtime,
    )
    assert finished.report.verdict.outcome is Outcome.VIOLATED, finished.report.verdict.why
    assert "stale-read" in names(finished)
    history, (cut,) = finished.report.history, finished.report.history.episodes
    during = (history.call_ns > cut.applied_ns) & (history.call_ns < cut.healed_ns)
    there = during & (history.node == history.nodes.index("app-2"))
    assert (history.status[there] == Status.OK).sum() > 100
