"""The reference fleet as real processes and containers: the same strategies as in virtual time, over sockets and servers."""

from __future__ import annotations

import asyncio

import pytest

from harness import conductor
from harness.candidates.apps.access import OPEN
from harness.candidates.apps.place import LivePlace
from harness.candidates.apps.postgres_origin import PostgresOrigin
from harness.candidates.reference import Reference
from harness.errors import PlanError
from harness.plan import CandidateSpec, parse_plan
from harness.reference.codec import decode, encode
from harness.reference.messages import Commit, CommitMany, Conflicts, Fetch, FetchMany, FetchNewer, Record, Value
from harness.reference.origin import NOTHING
from harness.reference.settings import Settings
from harness.reference.strategies.broadcast_amo import BroadcastAtMostOnce
from harness.reference.zoo import designs
from harness.results import Outcome
from harness.runtimes.base import Way
from harness.topology import Link
from tests.candidates.applications import MS, ask, need_engine, running
from tests.watching import Silent

BROADCAST = 'kind = "reference"\nstrategy = "broadcast-alo"'
SERVERS = f'{BROADCAST}\nbus = "redis"\norigin = "postgres"'
REST = """\
[[workloads]]
kind = "register"
keys = 50
sessions = 8
rate = 400

[[faults]]
kind = "partition"
between = ["node-1", "bus"]
every = "60s"
after = "1500ms"
lasts = "1500ms"

[[faults]]
kind = "kill"
targets = ["node-2"]
every = "60s"
after = "5s"
lasts = "1s"
"""


@pytest.fixture(autouse=True)
def _engine(request):
    if request.node.get_closest_marker("docker"):
        need_engine()


async def converged(cluster, value):
    """Return when every node answers with ``value``."""
    async with asyncio.timeout(10):
        for node in ("node-1", "node-2", "node-3"):
            while await ask(cluster, node, "GET", "k") != value:  # noqa: ASYNC110 - it can only be asked for
                await asyncio.sleep(0.005)


@pytest.mark.servers
@pytest.mark.parametrize("name", sorted(designs()))
def test_every_strategy_runs_as_processes(tmp_path, name):
    """What is written at one node is read at every node, at once or soon, and the origin's audit has it where there is one."""

    async def scenario() -> None:
        async with running(tmp_path, f'kind = "reference"\nstrategy = "{name}"') as cluster:
            for version in (1, 2):
                value = f"k|{version}|{version}"
                assert await ask(cluster, "node-1", "SET", "k", value) == "OK"
                await converged(cluster, value)
            if designs()[name].origin is not None:
                assert await cluster.candidate.audit(seal=False) == [b"k|1|1", b"k|2|2"]

    asyncio.run(scenario())


@pytest.mark.servers
@pytest.mark.parametrize("strategy", ["broadcast-alo", "broadcast-amo", "broadcast-update"])
def test_servers_play_the_parts_of_bus_and_origin(tmp_path, strategy):
    """Redis carries the events, PostgreSQL has the records and their audit; a sealed one takes no more."""

    async def scenario() -> None:
        text = SERVERS.replace("broadcast-alo", strategy)
        async with running(tmp_path, text) as cluster:
            for version in (1, 2, 3):
                value = f"k|{version}|{version}"
                assert await ask(cluster, f"node-{version}", "SET", "k", value) == "OK"
                await converged(cluster, value)
            assert await ask(cluster, "node-1", "DEL", "k") == 1
            await converged(cluster, None)
            assert await cluster.candidate.audit(seal=True) == [b"k|1|1", b"k|2|2", b"k|3|3"]
            with pytest.raises(OSError, match="the origin is sealed"):
                await ask(cluster, "node-1", "SET", "k", "k|4|4")

    asyncio.run(scenario())


@pytest.mark.servers
@pytest.mark.parametrize("servers", ["", 'bus = "redis"\norigin = "postgres"'], ids=["own", "postgres"])
def test_several_keys_are_committed_and_read_as_one(tmp_path, servers):
    """A node that has not heard of one key's change sees from the other's record that there was one."""

    async def scenario() -> None:
        candidate = f'kind = "reference"\nstrategy = "read-atomic"\nheartbeat = "60s"\n{servers}'
        async with running(tmp_path, candidate) as cluster:
            assert await ask(cluster, "node-1", "MSET", "k", "k|1|1", "l", "l|1|2") == "OK"
            await converged(cluster, "k|1|1")
            for node in ("node-1", "node-2", "node-3"):
                assert await ask(cluster, node, "MGET", "l", "none", "k") == ["l|1|2", None, "k|1|1"]
            for version in range(2, 12):
                written = (f"k|{version}|{2 * version}", f"l|{version}|{2 * version + 1}")
                one, other = ("node-1", "node-3")[:: 1 if version % 2 else -1]
                await asyncio.gather(
                    ask(cluster, one, "MSET", "k", written[0], "l", written[1]),
                    ask(cluster, other, "MSET", "n", f"n|{version}|{99 + version}", "m", f"m|{version}|{199 + version}"),
                )
                read = await ask(cluster, "node-2", "MGET", "k", "l")
                assert len({value.split("|")[1] for value in read}) == 1
            assert await ask(cluster, "node-1", "DEL", "k", "l") == 2
            assert await ask(cluster, "node-1", "MGET", "k", "l") == [None, None]
            audit = await cluster.candidate.audit(seal=True)
            assert len(audit) == 2 + 4 * 10
            with pytest.raises(OSError, match="the origin is sealed"):
                await ask(cluster, "node-1", "MSET", "k", "k|99|99")

    asyncio.run(scenario())


@pytest.mark.servers
def test_a_database_commits_several_keys_as_the_origin_does(tmp_path):
    """All at one moment, once, and only after the stamps that are named; each record names the others, however it is read."""

    async def scenario() -> None:
        async with running(tmp_path, SERVERS) as cluster:
            endpoint = cluster.runtime.endpoint("origin")
            origin = PostgresOrigin(
                endpoint.host, endpoint.port, access=OPEN, settings=Settings(slow_share=0), publish=None, whole=False
            )
            assert await origin.ask(Commit(Value("b", 1, 1), None)) == 1
            assert await origin.ask(Fetch("b")) == Record(Value("b", 1, 1), 1)
            b, a = Value("b", 2, 2), Value("a", 1, 3)
            assert await origin.ask(CommitMany((b, a), (0, 0))) == Conflicts((1, 0))
            assert await origin.ask(CommitMany((b, a), (1, 0))) == (2, 1)
            assert await origin.ask(CommitMany((b, a), (1, 0))) == (2, 1)
            along = (("b", 2), ("a", 1))
            found = await origin.ask(FetchMany(("a", "none", "b")))
            assert found == (Record(a, 1, along), NOTHING, Record(b, 2, along))
            assert decode(encode(found)) == found
            assert await origin.ask(Fetch("b")) == await origin.ask(FetchNewer("b", 1)) == found[2]
            assert await origin.ask(FetchNewer("b", 2)) is None
            assert await origin.ask(Commit(Value("b", 3, 4), 2)) == 3
            assert await origin.ask(Fetch("b")) == Record(Value("b", 3, 4), 3)
            crossing = [("c", "d", "e"), ("e", "d", "c")]
            commits = [
                CommitMany(tuple(Value(key, number, 10 * number + place) for place, key in enumerate(crossing[number % 2])))
                for number in range(1, 31)
            ]
            stamps = await asyncio.gather(*map(origin.ask, commits))
            assert sorted(stamps) == [(number,) * 3 for number in range(1, 31)]

    asyncio.run(scenario())


@pytest.mark.servers
def test_a_missed_event_is_had_again_from_the_stream(tmp_path):
    """A node that was stopped while its subscription was given up is told again of what it missed, by number."""

    async def scenario() -> None:
        async with running(tmp_path, SERVERS) as cluster:
            assert await ask(cluster, "node-1", "SET", "k", "k|1|1") == "OK"
            await converged(cluster, "k|1|1")
            await cluster.runtime.pause("node-2")
            await ask(cluster, "bus", "CLIENT", "KILL", "TYPE", "pubsub")
            await cluster.runtime.resume("node-2")
            assert await ask(cluster, "node-1", "SET", "k", "k|2|2") == "OK"
            await converged(cluster, "k|2|2")

    asyncio.run(scenario())


def test_a_process_knows_that_one_before_it_has_died(tmp_path, monkeypatch):
    """By a mark on its disk: at most once, it has everybody forget what the dead one may not have told."""
    monkeypatch.chdir(tmp_path)

    async def bereaved() -> bool:
        place = LivePlace("node-1", BroadcastAtMostOnce, dial={}, services={}, nodes=("node-1",), settings=Settings())
        await place.open()
        return place.actor.bereaved

    assert [asyncio.run(bereaved()) for _ in range(2)] == [False, True]


@pytest.mark.servers
def test_a_gate_holds_a_flow_in_its_process(tmp_path):
    """A fill stands before it until it is released; the count of what is held says so."""

    async def scenario() -> None:
        async with running(tmp_path, BROADCAST) as cluster:
            await ask(cluster, "node-1", "SET", "k", "k|1|1")
            await ask(cluster, "node-2", "HOLD", "fill.before-put")
            reading = asyncio.create_task(ask(cluster, "node-2", "GET", "k"))
            async with asyncio.timeout(10):
                while await ask(cluster, "node-2", "HELD") == 0:  # noqa: ASYNC110 - it can only be asked for
                    await asyncio.sleep(0.005)
            assert not reading.done()
            await ask(cluster, "node-2", "RELEASE", "fill.before-put")
            assert await reading == "k|1|1"

    asyncio.run(scenario())


@pytest.mark.servers
def test_a_rule_keeps_single_messages_back(tmp_path):
    """The next invalidation to node-2 is held: it goes on with the old value until that is delivered."""

    async def scenario() -> None:
        async with running(tmp_path, BROADCAST + '\nheartbeat = "60s"') as cluster:
            await ask(cluster, "node-1", "SET", "k", "k|1|1")
            await converged(cluster, "k|1|1")
            await ask(cluster, "bus", "MEDDLE", "hold", "1", "Invalidate", "node-2")
            await ask(cluster, "node-1", "SET", "k", "k|2|2")
            async with asyncio.timeout(10):
                while await ask(cluster, "bus", "HELD") == 0:  # noqa: ASYNC110 - it can only be asked for
                    await asyncio.sleep(0.005)
            assert await ask(cluster, "node-2", "GET", "k") == "k|1|1"
            await ask(cluster, "bus", "DELIVER", "node-2")
            await converged(cluster, "k|2|2")

    asyncio.run(scenario())


@pytest.mark.servers
def test_a_cut_between_two_places_shows_on_their_link(tmp_path):
    """A mark crosses before, not during, and after it again."""

    async def scenario() -> None:
        async with running(tmp_path, BROADCAST) as cluster:
            link = Link("node-1", "bus")
            probe = await cluster.candidate.probe(link)
            assert await probe.carry(2_000 * MS) is not None
            await cluster.runtime.cut([link], way=Way.BOTH)
            assert await probe.carry(300 * MS) is None
            await cluster.runtime.mend([link])
            async with asyncio.timeout(20):
                while await probe.carry(1_000 * MS) is None:
                    pass
            await probe.close()

    asyncio.run(scenario())


@pytest.mark.docker
@pytest.mark.parametrize("text", [BROADCAST, SERVERS], ids=["own", "servers"])
def test_a_reference_fleet_bears_its_faults_in_containers(tmp_path, text):
    """Both are proven, and nothing breaks what the theory of its strategy promises."""
    plan = f'seed = 7\n[candidate]\n{text}\n{REST}\n[adequacy]\nstalled = 1.0\n[run]\nduration = "8s"\nruntime = "docker"\n'
    report = conductor.run(parse_plan(plan, "reference"), plan, tmp_path, Silent()).report
    assert not report.failure
    assert [episode.proven for episode in report.history.episodes] == [True, True]
    assert report.plan.contract.lost_writes == 0  # theory's contract, for the plan has none
    assert report.verdict.outcome is not Outcome.VIOLATED, report.verdict.why


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"strategy": "broadcast"}, "there is no strategy"),
        ({"strategy": "broadcast-alo+blind"}, "has no bug"),
        ({"strategy": "ttl", "bus": "redis"}, "has no bus that a server could be"),
        ({"strategy": "broadcast-alo", "origin": "postgres"}, "needs a bus that is a server"),
        ({"strategy": "replicated", "origin": "postgres"}, "has no origin that a database could be"),
    ],
)
def test_what_cannot_be_built_is_refused(options, said):
    """Before anything starts, and in words."""
    with pytest.raises(PlanError, match=said):
        Reference(CandidateSpec.model_validate({"kind": "reference", **options}))
