"""Near caches that a bus keeps in step, on real servers: what a subscriber makes of news that it missed."""

from __future__ import annotations

import asyncio

import pytest

from harness.results import Outcome
from tests.candidates.applications import MS, S, ask, names, need_engine, run, running

CONTRACT = """\
node_monotonic = true
staleness = { steady = "2s", during = { partition = "fault + 2s" } }
converges_within = "1s"
"""
REST = """\
[[workloads]]
kind = "register"
keys = 100
zipf = 0.0
sessions = 8
reads = 0.95
rate = 800

[[faults]]
kind = "partition"
between = ["app-1", "bus"]
every = "60s"
after = "1500ms"
lasts = "2s"
"""


@pytest.fixture(autouse=True)
def _engine(request):
    if request.node.get_closest_marker("docker"):
        need_engine()


@pytest.mark.servers
@pytest.mark.parametrize("source", ["redis", "postgres"])
def test_a_write_reaches_the_near_cache_of_the_other_node(tmp_path, source):
    """A value is kept in the process: the source is not asked again until the bus says so."""

    async def scenario() -> None:
        async with running(tmp_path, f'kind = "invalidation-bus"\nsource = "{source}"') as cluster:
            kept = False
            for _ in range(20):  # the news of a write may come after the fill, and then nothing is kept
                assert await ask(cluster, "app-1", "SET", "k", "k|1|1") == "OK"
                assert await ask(cluster, "app-2", "GET", "k") == "k|1|1"
                if source == "postgres":
                    break
                await ask(cluster, "origin", "SET", "k", "changed behind its back")
                kept = await ask(cluster, "app-2", "GET", "k") == "k|1|1"
                if kept:
                    break
            assert kept or source == "postgres"
            assert await ask(cluster, "app-1", "SET", "k", "k|2|2") == "OK"
            assert await ask(cluster, "app-1", "GET", "k") == "k|2|2"
            async with asyncio.timeout(10):
                while await ask(cluster, "app-2", "GET", "k") != "k|2|2":  # noqa: ASYNC110  # it can only be asked for
                    await asyncio.sleep(0.005)
            assert await ask(cluster, "app-2", "DEL", "k") == 1
            async with asyncio.timeout(10):
                while await ask(cluster, "app-1", "GET", "k") is not None:  # noqa: ASYNC110  # it can only be asked for
                    await asyncio.sleep(0.005)

    asyncio.run(scenario())


@pytest.mark.servers
def test_a_subscriber_that_the_bus_drops_forgets_everything(tmp_path):
    """It learns of the loss at once, and what it had is read again; one that goes on as if nothing were missed has it still."""

    async def scenario(reconnect: str) -> object:
        async with running(tmp_path / reconnect, f'kind = "invalidation-bus"\nreconnect = "{reconnect}"') as cluster:
            await ask(cluster, "app-1", "SET", "k", "k|1|1")
            assert await ask(cluster, "app-2", "GET", "k") == "k|1|1"
            await ask(cluster, "origin", "SET", "k", "k|2|2")  # a write whose message nobody gets
            assert await ask(cluster, "bus", "CLIENT", "KILL", "TYPE", "pubsub") == 2
            async with asyncio.timeout(10):
                while not await subscribed(cluster):  # noqa: ASYNC110  # it can only be asked for
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.3)
            return await ask(cluster, "app-2", "GET", "k")

    assert asyncio.run(scenario("flush")) == "k|2|2"
    assert asyncio.run(scenario("nothing")) == "k|1|1"


async def subscribed(cluster) -> bool:
    """Whether both applications are subscribed."""
    clients = str(await ask(cluster, "bus", "CLIENT", "LIST", "TYPE", "pubsub"))
    return len(clients.splitlines()) == 2


@pytest.mark.servers
def test_marks_show_a_cut_of_the_bus(tmp_path):
    """They go from the application, over a connection that was there."""

    async def scenario() -> None:
        async with running(tmp_path, 'kind = "invalidation-bus"') as cluster:
            for link in cluster.topology.between("app-1", "all"):
                probe = await cluster.candidate.probe(link)
                try:
                    assert await probe.carry(2 * S) is not None
                    if link.source == "client":
                        continue
                    await cluster.runtime.cut([link])
                    assert await probe.carry(100 * MS) is None
                    await cluster.runtime.mend([link])
                finally:
                    await probe.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "runtime", [pytest.param("process", marks=pytest.mark.servers), pytest.param("docker", marks=pytest.mark.docker)]
)
@pytest.mark.parametrize("reconnect", ["flush", "nothing"])
def test_a_cut_subscriber_that_does_not_flush_is_stuck(tmp_path, runtime, reconnect):
    """Both give the silent connection up and subscribe again after the cut; one of them keeps what it should not."""
    bus = f'kind = "invalidation-bus"\nreconnect = "{reconnect}"'
    finished = run(tmp_path, candidate=bus, contract=CONTRACT, rest=REST, duration="4500ms", runtime=runtime)
    verdict = finished.report.verdict
    if reconnect == "flush":
        assert verdict.outcome is Outcome.PASS, verdict.why
    else:
        assert verdict.outcome is Outcome.VIOLATED, verdict.why
        assert "stuck" in names(finished)
