"""Real servers with their sentinels, and clients that follow these."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from harness.candidates import CANDIDATES
from harness.candidates.probes import IdleLinkError
from harness.errors import PlanError
from harness.plan import CandidateSpec
from harness.topology import ROUTED, Link
from tests.candidates.driving import MS, drive, errors, served, until
from tests.candidates.test_redis_servers import S, ask, running

servers = pytest.mark.servers
KIND = "redis-sentinel"
QUICK = {"down_after": "500ms", "failover_timeout": "2s"}


def made(**options: object):
    return CANDIDATES.load(KIND)(CandidateSpec.model_validate({"kind": KIND, **options}))


@pytest.mark.parametrize(("read_from", "readable"), [("primary", (ROUTED,)), ("replicas", (1, 2)), ("any", (0, 1, 2))])
def test_its_topology_is_servers_and_sentinels_that_all_talk(read_from: str, readable: tuple[int, ...]):
    """Writes go wherever the sentinels say; sentinels are asked for no key."""
    topology = made(read_from=read_from).topology
    assert [node.name for node in topology.nodes] == [
        *("primary", "replica-1", "replica-2"),
        *("sentinel-1", "sentinel-2", "sentinel-3"),
    ]
    assert [node.role for node in topology.nodes] == ["primary", "replica", "replica", *["sentinel"] * 3]
    assert len(topology.links) == 15 + 6
    assert topology.writable == (ROUTED,)
    assert topology.readable == readable
    assert topology.direct


def test_a_quorum_that_cannot_be_reached_is_an_error_of_the_plan():
    """Four of three sentinels never agree."""
    with pytest.raises(PlanError, match="never agree"):
        made(quorum=4)


@servers
@pytest.mark.parametrize("server", ["valkey", "redis"])
def test_a_started_fleet_is_watched_by_sentinels_that_know_it(tmp_path: Path, server: str):
    """Each sentinel knows all others; all say who they are; marks cross every kind of link."""

    async def run() -> None:
        async with running(tmp_path, KIND, server=server) as cluster:
            candidate = cluster.candidate
            for sentinel in ("sentinel-1", "sentinel-2", "sentinel-3"):
                assert await candidate.primary_seen_by(sentinel) == "primary"
                assert len(await candidate.seen_by(sentinel)) == 5
                assert "usable" in str(await ask(cluster, sentinel, "SENTINEL", "CKQUORUM", "cache"))
            assert len({await candidate.identity(node.name) for node in candidate.topology.nodes}) == 6
            for link in (
                Link("replica-1", "primary"),
                Link("sentinel-1", "primary"),
                Link("sentinel-2", "replica-2"),
                Link("sentinel-3", "sentinel-1"),
                Link("client", "sentinel-2"),
            ):
                probe = await candidate.probe(link)
                try:
                    assert await probe.carry(2 * S) is not None, link
                finally:
                    await probe.close()
            with pytest.raises(IdleLinkError, match="nothing runs between"):
                await candidate.probe(Link("replica-2", "replica-1"))

    asyncio.run(run())


@servers
def test_a_sentinels_silence_shows(tmp_path: Path):
    """A sentinel that stands still pings nobody: no mark crosses its link, and its own silence proves nothing."""

    async def run() -> None:
        async with running(tmp_path, KIND, down_after="30s") as cluster:
            probe = await cluster.candidate.probe(Link("sentinel-1", "replica-1"))
            try:
                assert await probe.carry(2 * S) is not None
                await cluster.runtime.pause("replica-1")
                with pytest.raises(OSError, match="did not answer"):
                    await probe.carry(300 * MS)
                await cluster.runtime.resume("replica-1")
                await until(lambda: probe.carry(300 * MS))
                assert await ask(cluster, "sentinel-1", "SENTINEL", "DEBUG", "ping-period", "60000") == "OK"
                await asyncio.sleep(0.1)
                assert await probe.carry(300 * MS) is None
            finally:
                await probe.close()

    asyncio.run(run())


@servers
@pytest.mark.parametrize("server", ["valkey", "redis"])
def test_clients_follow_a_fail_over(tmp_path: Path, server: str):
    """The primary is killed; some replica takes over and is written to; roles outlive restarts, of the sentinels' word, too."""

    async def run() -> None:
        async with running(tmp_path, KIND, server=server, **QUICK) as cluster:
            candidate = cluster.candidate
            new = ""

            async def promoted() -> bool:
                names = [await candidate.primary_seen_by(sentinel) for sentinel in ("sentinel-1", "sentinel-2", "sentinel-3")]
                return len(set(names)) == 1 and names[0] != "primary"

            async def fail_over() -> None:
                nonlocal new
                await cluster.runtime.kill("primary")
                await until(promoted)
                (new,) = await candidate.current("primary")

            history = await drive(cluster, tmp_path, fail_over)
            assert new in ("replica-1", "replica-2")
            assert served(history) == {"primary", new}
            assert served(history, after_ns=history.end_ns - 200 * MS) == {new}
            assert {error.split()[0] for error in errors(history)} <= {"connect:", "connection", "not", "READONLY"}
            assert history.routed
            for node in (new, "sentinel-1"):
                before = await candidate.identity(node)
                await cluster.runtime.kill(node)
                await cluster.runtime.restart(node, keep_data=True)
                await candidate.ready(node)
                assert await candidate.identity(node) != before
            assert await candidate.current("primary") == (new,), "its own file says so"
            assert await candidate.primary_seen_by("sentinel-1") == new, "and so does the sentinel's"

    asyncio.run(run())


@servers
def test_a_primary_without_replicas_takes_no_writes_where_that_is_wanted(tmp_path: Path):
    """With min_replicas_to_write, a primary that has lost its replicas says so a second or two later."""

    async def run() -> None:
        async with running(tmp_path, KIND, min_replicas_to_write=1, down_after="30s") as cluster:

            async def refused() -> bool:
                try:
                    return await ask(cluster, "primary", "SET", "k", "v") != "OK"
                except OSError as error:
                    return "NOREPLICAS" in str(error)

            async def alone() -> None:
                for replica in ("replica-1", "replica-2"):
                    await cluster.runtime.pause(replica)
                await until(refused)

            history = await drive(cluster, tmp_path, alone)
            assert [error.split()[0] for error in errors(history)] == ["NOREPLICAS"]
            assert (history.function[history.status == 1] == 1).all()

    asyncio.run(run())


@servers
def test_named_replicas_are_read_where_that_is_wanted(tmp_path: Path):
    """Sessions read at the nodes that they name, and write wherever the primary is."""

    async def run() -> None:
        async with running(tmp_path, KIND, read_from="replicas", wait=2, wait_timeout="1s") as cluster:

            async def nothing() -> None:
                """The sessions go on before and after it."""

            history = await drive(cluster, tmp_path, nothing)
            assert errors(history) == {}
            reads = history.function == 0
            assert {history.nodes[node] for node in set(history.node[reads])} == {"replica-1", "replica-2"}
            assert {history.nodes[node] for node in set(history.node[~reads])} == {"primary"}
            assert not history.routed

    asyncio.run(run())
