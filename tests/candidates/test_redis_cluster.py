"""A cluster of real servers, and clients that follow it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from checkers import check
from faults import FAULTS, refuse_direct
from harness.candidates import CANDIDATES
from harness.candidates.asking import UnusableAnswerError
from harness.candidates.redis_slots import parse_nodes
from harness.errors import PlanError, UnsupportedError
from harness.plan import CandidateSpec, Contract
from harness.routing.cluster import SLOTS, slot_of
from harness.runtimes.base import Way
from harness.runtimes.process import ProcessRuntime
from harness.topology import ROUTED, Link
from tests.candidates.driving import MS, drive, errors, served, until
from tests.candidates.test_redis_servers import S, ask, running
from tests.faults.fake_cluster import spec

servers = pytest.mark.servers
KIND = "redis-cluster"


def made(**options: object):
    return CANDIDATES.load(KIND)(CandidateSpec.model_validate({"kind": KIND, **options}))


def test_its_topology_is_six_nodes_that_all_talk():
    """Every pair has a link, clients reach everybody, and operations name no node."""
    topology = made().topology
    assert [node.name for node in topology.nodes] == [*(f"primary-{n}" for n in (1, 2, 3)), *(f"replica-{n}" for n in (1, 2, 3))]
    assert len(topology.links) == 15 + 6
    assert topology.writable == topology.readable == (ROUTED,)
    assert [node.role for node in made(primaries=4, replicas=2).topology.nodes].count("replica") == 8


@pytest.mark.parametrize(
    "options", [{"primaries": 2}, {"replicas": 0, "read_from": "any "}, {"replicas": 0, "read_from": "replicas"}]
)
def test_impossible_clusters_are_errors_of_the_plan(options: dict[str, object]):
    """Two primaries have no majority; nobody reads at replicas that are not there."""
    with pytest.raises(PlanError):
        made(**options)


@pytest.mark.parametrize("text", [None, 7, "one word", "id host:1@2 myself,master - 0 0 one connected", "a b c d e f g h"])
def test_a_view_that_makes_no_sense_is_unusable(text: object):
    """Whatever a server says instead of its nodes."""
    with pytest.raises(UnusableAnswerError):
        parse_nodes(text)


def test_faults_on_its_links_are_refused_where_only_proxies_could_make_them(tmp_path: Path):
    """Before anything starts, with the way out; faults on links of clients, and the kernel's means, are fine."""
    topology = made().topology
    among = FAULTS.load("partition")(spec("partition", between=("primary-1", "replica-1")))
    clients = FAULTS.load("partition")(spec("partition", between=("client", "primaries")))
    runtime = ProcessRuntime(tmp_path, client_proxies=True)
    refuse_direct([clients], topology, runtime)
    with pytest.raises(UnsupportedError, match="primary-1") as refused:
        refuse_direct([clients, among], topology, runtime)
    assert "docker" in str(refused.value.fix)
    assert refused.value.why.startswith("it bends links by proxies, and ")
    runtime.means = "kernel"
    refuse_direct([among], topology, runtime)


@servers
@pytest.mark.parametrize("server", ["valkey", "redis"])
def test_a_started_cluster_serves_all_slots(tmp_path: Path, server: str):
    """All slots are owned, every node says who it is, and every key is found where the clients look for it."""

    async def run() -> None:
        async with running(tmp_path, KIND, server=server) as cluster:
            candidate = cluster.candidate
            assert candidate.product.startswith(("Valkey 8", "Redis 7"))
            owners = await candidate.owners()
            assert sorted(owners) == ["primary-1", "primary-2", "primary-3"]
            assert sum(last - first + 1 for ranges in owners.values() for first, last in ranges) == SLOTS
            assert await candidate.current("primary") == ("primary-1", "primary-2", "primary-3")
            assert await candidate.current("replica") == ("replica-1", "replica-2", "replica-3")
            assert len({await candidate.identity(node.name) for node in candidate.topology.nodes}) == 6
            router = candidate.routing.router()
            for key in ("a", "b", "c", "{a}z"):
                node = candidate.topology.nodes[router.place(key.encode(), 1, 0, 0)].name
                assert await ask(cluster, node, "CLUSTER", "KEYSLOT", key) == slot_of(key.encode())
                assert await ask(cluster, node, "SET", key, "v") == "OK"

    asyncio.run(run())


@servers
def test_marks_cross_the_bus_each_way(tmp_path: Path):
    """Between primaries and between strangers; a dead end raises, for its silence says nothing of the link."""

    async def run() -> None:
        async with running(tmp_path, KIND) as cluster:
            for link in (Link("replica-1", "primary-1"), Link("replica-3", "primary-1"), Link("primary-2", "primary-1")):
                probe = await cluster.candidate.probe(link)
                try:
                    for way in Way:
                        assert await probe.carry(2 * S, way) is not None
                    if link.source == "replica-3":
                        await cluster.runtime.pause("replica-3")
                        with pytest.raises(OSError, match="did not answer"):
                            await probe.carry(100 * MS, Way.BACKWARD)
                        await cluster.runtime.resume("replica-3")
                finally:
                    await probe.close()

    asyncio.run(run())


@servers
def test_resharding_under_load_fails_no_operation(tmp_path: Path):
    """Slots move with their keys; every operation succeeds, on real nodes, and nothing is lost, stale or out of order."""

    async def run() -> None:
        async with running(tmp_path, KIND) as cluster:
            before = await cluster.candidate.owners()
            moved = range(before["primary-1"][0][0], before["primary-1"][0][0] + 150)
            keys = 0

            async def reshard() -> None:
                nonlocal keys
                for slot in moved:
                    keys += await cluster.candidate.move(slot, "primary-1", "primary-2")

            history = await drive(cluster, tmp_path, reshard, settle_ms=1_000, keys=2_000)
            after = await cluster.candidate.owners()
            assert keys > 10, "the slots that moved were not empty"
            assert set(after["primary-2"]) == {(moved[0], moved[-1]), *before["primary-2"]}
            assert errors(history) == {}
            assert history.routed
            assert served(history) == {"primary-1", "primary-2", "primary-3"}
            assert [finding for result in check(history, Contract()) for finding in result.findings] == []

    asyncio.run(run())


@servers
def test_clients_follow_a_fail_over(tmp_path: Path):
    """A killed primary's replica takes over; its keys are written there, and the old one comes back as a replica."""

    async def run() -> None:
        async with running(tmp_path, KIND, server="redis") as cluster:

            async def promoted() -> bool:
                return "replica-1" in await cluster.candidate.current("primary")

            async def fail_over() -> None:
                await cluster.runtime.kill("primary-1")
                await until(promoted)
                await cluster.runtime.restart("primary-1", keep_data=True)
                await cluster.candidate.ready("primary-1")
                assert "primary-1" in await cluster.candidate.current("replica")

            history = await drive(cluster, tmp_path, fail_over)
            assert served(history, after_ns=history.end_ns - 200 * MS) == {"replica-1", "primary-2", "primary-3"}
            assert {error.split()[0] for error in errors(history)} <= {"connect:", "connection", "CLUSTERDOWN", "not", "LOADING"}
            assert set(history.node) <= set(range(6))

    asyncio.run(run())


@servers
def test_replicas_are_read_where_that_is_wanted(tmp_path: Path):
    """Reads are served by replicas alone, writes by primaries alone, and none fails."""

    async def run() -> None:
        async with running(tmp_path, KIND, read_from="replicas") as cluster:

            async def nothing() -> None:
                """The sessions go on before and after it."""

            history = await drive(cluster, tmp_path, nothing)
            assert errors(history) == {}
            reads = history.function == 0
            assert {history.nodes[node] for node in set(history.node[reads])} == {"replica-1", "replica-2", "replica-3"}
            assert {history.nodes[node] for node in set(history.node[~reads])} == {"primary-1", "primary-2", "primary-3"}

    asyncio.run(run())


@servers
def test_writes_wait_for_replicas_where_that_is_wanted(tmp_path: Path):
    """With its replica paused, a shard's writes are info, and say how many acknowledged them."""

    async def run() -> None:
        async with running(tmp_path, KIND, wait=1, wait_timeout="50ms") as cluster:

            async def pause() -> None:
                await cluster.runtime.pause("replica-1")
                await asyncio.sleep(0.4)
                await cluster.runtime.resume("replica-1")

            history = await drive(cluster, tmp_path, pause)
            assert set(errors(history)) == {"WAIT: 0 of 1"}
            unsure = history.status == 2
            assert {history.nodes[node] for node in set(history.node[unsure])} == {"primary-1"}
            assert (history.function[unsure] == 1).all()

    asyncio.run(run())
