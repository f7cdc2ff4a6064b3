"""The candidates on real servers."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from harness.candidates import CANDIDATES, Cluster
from harness.candidates.probes import IdleLinkError
from harness.candidates.redis_admin import Admin
from harness.candidates.redis_probes import PREFIX
from harness.errors import StartupError
from harness.plan import CandidateSpec
from harness.runtimes.base import Cut, Way
from harness.runtimes.process import ProcessRuntime
from harness.topology import Link
from tests.candidates.starting import started

pytestmark = pytest.mark.servers

S = 1_000_000_000
MS = 1_000_000


def running(
    directory: Path, kind: str = "redis-replication", *, proxies: bool = False, **options: object
) -> AbstractAsyncContextManager[Cluster]:
    """A started candidate."""
    return started(
        CANDIDATES.load(kind)(CandidateSpec.model_validate({"kind": kind, **options})),
        ProcessRuntime(directory, client_proxies=proxies),
    )


async def ask(cluster: Cluster, node: str, *words: str) -> object:
    """The answer of a node to a command."""
    admin = Admin(cluster.runtime.endpoint(node))
    try:
        return await admin.call(*words)
    finally:
        admin.close()


def test_a_started_fleet_serves_and_says_who_it_is(tmp_path):
    """All nodes answer, replicas in step; each has an identity of its own, the same each time; the product has its version."""

    async def run() -> None:
        async with running(tmp_path, replicas=2) as cluster:
            candidate = cluster.candidate
            assert candidate.product.startswith("Valkey 8.")
            names = [node.name for node in candidate.topology.nodes]
            identities = [await candidate.identity(name) for name in names]
            assert len(set(identities)) == 3
            assert identities == [await candidate.identity(name) for name in names]
            histories = {identity.split("replication ")[1].split(",")[0] for identity in identities}
            assert len(histories) == 1, "replicas that are in step have the primary's replication id"
            for link in (link for link in candidate.topology.links if link.source != "client"):
                assert await ask(cluster, link.source, "EXISTS", f"{PREFIX}{link}") == 1, "a mark has come down the stream"
            primary = Admin(cluster.runtime.endpoint("primary"))
            assert await primary.call("SET", "k", "v") == "OK"
            # On the connection of the write: WAIT knows of no other's writes.
            assert await primary.call("WAIT", "2", "4000", within_ns=5 * S) == 2
            primary.close()
            assert await ask(cluster, "replica-2", "GET", "k") == "v"

    asyncio.run(run())


def test_replication_goes_through_the_links(tmp_path):
    """A cut link stops replication to its replica alone, and each direction is seen by a probe of that direction."""

    async def run() -> None:
        async with running(tmp_path, replicas=2) as cluster:
            one, two = cluster.topology.between("primary", "replicas")
            probes = {link: await cluster.candidate.probe(link) for link in (one, two)}
            try:
                for way in Way:
                    assert await probes[one].carry(2 * S, way) is not None
                await cluster.runtime.cut([one], Cut.BLACK_HOLE, Way.FORWARD)
                assert await probes[one].carry(2 * S, Way.BACKWARD) is not None
                assert await probes[one].carry(100 * MS, Way.FORWARD) is None
                await cluster.runtime.mend([one])
                await cluster.runtime.cut([one])
                assert await probes[one].carry(100 * MS) is None
                assert await probes[two].carry(2 * S) is not None
                await cluster.runtime.mend([one])
                assert await probes[one].carry(5 * S) is not None
            finally:
                for probe in probes.values():
                    await probe.close()

    asyncio.run(run())


def test_a_link_whose_primary_was_relieved_is_idle(tmp_path):
    """After a fail-over nothing comes down the old stream any more: no silence of it proves anything."""

    async def run() -> None:
        async with running(tmp_path, replicas=1) as cluster:
            probe = await cluster.candidate.probe(Link("replica-1", "primary"))
            try:
                assert await probe.carry(2 * S) is not None
                await cluster.candidate.fail_over("primary", "force")
                with pytest.raises(IdleLinkError, match="another role"):
                    await probe.carry(2 * S)
            finally:
                await probe.close()

    asyncio.run(run())


def test_a_probe_of_a_client_link_goes_the_way_of_clients(tmp_path):
    """A cut between clients and a node silences a connection that exists; the node itself goes on serving."""

    async def run() -> None:
        async with running(tmp_path, "redis-single", proxies=True) as cluster:
            link = Link("client", "primary")
            probe = await cluster.candidate.probe(link)
            try:
                for how in Cut:
                    assert await probe.carry(2 * S) is not None
                    await cluster.runtime.cut([link], how)
                    assert await probe.carry(100 * MS) is None
                    assert await ask(cluster, "primary", "PING") == "PONG"
                    await cluster.runtime.mend([link])
            finally:
                await probe.close()

    asyncio.run(run())


def test_a_probe_of_a_dead_end_raises(tmp_path):
    """A mark that a dead peer should have shown is no statement about the link."""

    async def run() -> None:
        async with running(tmp_path, replicas=1) as cluster:
            (link,) = cluster.topology.between("primary", "replicas")
            probe = await cluster.candidate.probe(link)
            try:
                await cluster.runtime.kill("replica-1")
                with pytest.raises(ConnectionError):
                    await probe.carry(100 * MS)
            finally:
                await probe.close()

    asyncio.run(run())


@pytest.mark.parametrize(("persistence", "keep_data", "found"), [(True, True, "v"), (True, False, None), (False, True, None)])
def test_what_a_restart_leaves(tmp_path, persistence, keep_data, found):
    """A restart gives a new identity, and keeps data only where there is persistence and its directory is kept."""

    async def run() -> None:
        async with running(tmp_path, "redis-single", persistence=persistence) as cluster:
            assert await ask(cluster, "primary", "SET", "k", "v") == "OK"
            before = await cluster.candidate.identity("primary")
            await cluster.runtime.kill("primary")
            with pytest.raises(ConnectionError):
                await cluster.candidate.identity("primary")
            await cluster.runtime.restart("primary", keep_data=keep_data)
            await cluster.candidate.ready("primary")
            assert await cluster.candidate.identity("primary") != before
            assert await ask(cluster, "primary", "GET", "k") == found

    asyncio.run(run())


def test_replicas_of_an_empty_primary_forget(tmp_path):
    """A replica of a primary that came back empty is empty, too, and from that very moment someone else than before."""

    async def run() -> None:
        async with running(tmp_path, replicas=1) as cluster:
            assert await ask(cluster, "primary", "SET", "k", "v") == "OK"
            before = await cluster.candidate.identity("replica-1")
            await cluster.runtime.kill("primary")
            await cluster.runtime.restart("primary", keep_data=False)
            await cluster.candidate.ready("primary")
            async with asyncio.timeout(10):
                while await ask(cluster, "replica-1", "GET", "k") is not None:
                    continue
            assert await cluster.candidate.identity("replica-1") != before

    asyncio.run(run())


def test_a_node_that_does_not_serve_is_an_error_with_its_log(tmp_path):
    """A dead node is not waited for, and its last words are handed on."""

    async def run() -> None:
        async with running(tmp_path, "redis-single") as cluster:
            await cluster.runtime.kill("primary")
            with pytest.raises(StartupError, match="its process has ended") as caught:
                await cluster.candidate.ready("primary")
            assert "Ready to accept connections" in caught.value.why

    asyncio.run(run())
