"""A pool of real memcached servers."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from harness import conductor
from harness.candidates import CANDIDATES, Cluster
from harness.candidates.memcached_admin import MemcachedAdmin
from harness.errors import PlanError, StartupError
from harness.plan import CandidateSpec, parse_plan
from harness.results import Outcome
from harness.runtimes.base import Cut, Endpoint
from harness.runtimes.process import ProcessRuntime
from harness.topology import ROUTED, Link
from tests.candidates.installed import needs
from tests.candidates.starting import started
from tests.watching import Silent

MEMCACHED = needs("memcached")
S = 1_000_000_000
MS = 1_000_000

PLAN = """\
seed = 3
name = "pool"

[candidate]
kind = "memcached-pool"
dead_time = "1s"

[contract]
staleness = { steady = "0ms", during = { pause = "1h" }, after_heal = "1h" }

[[workloads]]
kind = "register"
keys = 40
sessions = 6
reads = 0.7
rate = 800

[[faults]]
kind = "pause"
targets = ["cache-1"]
after = "1s"
every = "3s"
lasts = "1s"

[adequacy]
success_rate = 0.5
operations = 200
stalled = 1.0

[run]
duration = "4s"
timeout = "300ms"
"""


def made(**options: object):
    return CANDIDATES.load("memcached-pool")(CandidateSpec.model_validate({"kind": "memcached-pool", **options}))


def running(directory: Path, *, proxies: bool = False, **options: object) -> AbstractAsyncContextManager[Cluster]:
    """A started pool."""
    return started(made(**options), ProcessRuntime(directory, client_proxies=proxies))


async def ask(endpoint: Endpoint, request: bytes) -> bytes:
    """The first line of the answer to ``request``."""
    reader, writer = await asyncio.open_connection(*endpoint)
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            return await reader.readline()
    finally:
        writer.close()


def test_clients_find_their_way_in_a_pool_of_equals():
    """Nodes of one role, each linked to clients alone; where an operation goes is left to the ring."""
    candidate = made(nodes=4, commands="meta", dead_time="2s", hash="rendezvous", flush_on_return=True)
    assert [(n.name, n.role, n.protocol, n.port) for n in candidate.topology.nodes][1] == ("cache-2", "cache", "memcached", 11211)
    assert candidate.topology.links == tuple(Link("client", f"cache-{i}") for i in (1, 2, 3, 4))
    assert candidate.topology.writable == candidate.topology.readable == (ROUTED,)
    assert (candidate.protocol, made().protocol) == ("memcached-meta", "memcached")
    routing = candidate.routing
    assert (routing.hash, routing.dead_ns, routing.flush_on_return, routing.views) == ("rendezvous", 2 * S, True, ())


def test_skewed_clients_do_not_know_the_last_node():
    """Two views take turns among the sessions."""
    assert made(ring_skew=True).routing.views == (frozenset({0, 1, 2}), frozenset({0, 1}))


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"nodes": 0}, "greater than or equal to 1"),
        ({"hash": "modulo"}, "'modulo' is not possible here"),
        ({"nodes": 1, "ring_skew": True}, "at least two nodes"),
        ({"replicas": 1}, 'unknown key "replicas"'),
    ],
)
def test_wrong_options_are_refused(options, what):
    """A plan with an option that is not there, or a value that cannot be, is no plan."""
    with pytest.raises(PlanError, match=what):
        made(**options)


@MEMCACHED
@pytest.mark.servers
def test_a_started_pool_serves_and_says_who_it_is(tmp_path):
    """Each node has an identity of its own, the same each time; a restart, however quick, makes another and keeps nothing."""

    async def run() -> None:
        async with running(tmp_path) as cluster:
            candidate, runtime = cluster.candidate, cluster.runtime
            assert candidate.product.startswith("memcached 1.")
            names = [node.name for node in candidate.topology.nodes]
            identities = [await candidate.identity(name) for name in names]
            assert len(set(identities)) == 3
            assert identities == [await candidate.identity(name) for name in names]
            where = runtime.endpoint("cache-2")
            assert await ask(where, b"set k 0 0 1\r\nv\r\n") == b"STORED\r\n"
            await runtime.kill("cache-2")
            with pytest.raises(ConnectionError):
                await candidate.identity("cache-2")
            with pytest.raises(StartupError, match="its process has ended"):
                await candidate.ready("cache-2")
            await runtime.restart("cache-2", keep_data=True)
            await candidate.ready("cache-2")
            assert await candidate.identity("cache-2") != identities[1]
            assert await ask(where, b"get k\r\n") == b"END\r\n"

    asyncio.run(run())


@MEMCACHED
@pytest.mark.servers
def test_a_probe_goes_the_way_of_clients(tmp_path):
    """A cut silences a connection that exists, and a dead node raises: its silence says nothing about the link."""

    async def run() -> None:
        async with running(tmp_path, nodes=1, proxies=True) as cluster:
            link = Link("client", "cache-1")
            probe = await cluster.candidate.probe(link)
            try:
                for how in Cut:
                    assert await probe.carry(2 * S) is not None
                    await cluster.runtime.cut([link], how)
                    assert await probe.carry(100 * MS) is None
                    await cluster.runtime.mend([link])
                assert await probe.carry(2 * S) is not None
                await cluster.runtime.kill("cache-1")
                with pytest.raises(ConnectionError):
                    await probe.carry(100 * MS)
            finally:
                await probe.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("answers", "what"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no|garbage|does not say|answered"),
        (b"\x00\xff", "garbage"),
        (b"STAT pid x\r\nSTAT time 1\r\nSTAT uptime 1\r\nEND\r\n", "does not say who it is"),
        (b"STAT pid 1\r\nEND\r\n", "does not say who it is"),
        (b"ERROR\r\n", "does not say who it is"),
        (b"STAT a b\r\n" * 2_000, "garbage"),
        (b"", "(?i)closed the connection|reset|broken pipe"),
    ],
)
def test_a_server_that_talks_nonsense_is_an_error(answers, what):
    """Whatever it says, the harness gets an ``OSError``, and in time."""

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while answers and await reader.readline():
            writer.write(answers)
        writer.close()

    async def run() -> None:
        async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
            admin = MemcachedAdmin(Endpoint(*server.sockets[0].getsockname()))
            for _ in range(2):
                with pytest.raises(OSError, match=what):
                    await admin.birth()
            with contextlib.suppress(OSError):
                await admin.version()
            admin.close()

    asyncio.run(run())


def test_a_silent_server_is_an_error_and_its_late_answer_nobody_elses():
    """A time-out keeps the connection, and every later answer goes to its own question."""
    connections = []

    async def slow_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        for number in range(3):
            await reader.readline()
            if number == 0:
                await asyncio.sleep(0.2)
            writer.write(b"VERSION %d\r\n" % number)
        await reader.read()

    async def run() -> None:
        async with await asyncio.start_server(slow_first, "127.0.0.1", 0) as server:
            admin = MemcachedAdmin(Endpoint(*server.sockets[0].getsockname()))
            with pytest.raises(TimeoutError, match="did not answer version within 50ms"):
                await admin.version(50 * MS)
            assert [await admin.version(5 * S), await admin.version()] == ["1", "2"]
            admin.close()

    asyncio.run(run())
    assert len(connections) == 1


def run_plan(text: str, directory: Path):
    return conductor.run(parse_plan(text), text, directory, Silent()).report


@MEMCACHED
@pytest.mark.servers
def test_a_pool_keeps_what_a_pool_can_promise(tmp_path):
    """A node is out for a while and back: nothing is wrong beside what such a fault may do, and nothing is stale without one."""
    report = run_plan(PLAN, tmp_path)
    assert report.verdict.outcome is Outcome.PASS, report.verdict.why
    assert report.history.routed
    (episode,) = report.history.episodes
    assert episode.proven, episode.evidence


@MEMCACHED
@pytest.mark.servers
def test_a_returning_node_serves_what_was_superseded_while_it_was_out(tmp_path):
    """Zombie data: written anew elsewhere, and found again as it was; unless clients flush the node before they use it."""
    strict = PLAN.replace('during = { pause = "1h" }, after_heal = "1h"', 'during = { pause = "0ms" }, after_heal = "1h"')
    assert strict != PLAN
    report = run_plan(strict, tmp_path / "zombie")
    assert report.verdict.outcome is Outcome.VIOLATED, report.verdict.why
    stale = [finding for result in report.results for finding in result.findings if finding.name == "stale-read"]
    assert stale
    assert {node for finding in stale for node in finding.nodes} == {"cache-1"}
    flushed = run_plan(strict.replace("[contract]", "flush_on_return = true\n\n[contract]"), tmp_path / "flushed")
    assert not [finding for result in flushed.results for finding in result.findings if finding.name == "stale-read"]


@MEMCACHED
@pytest.mark.servers
@pytest.mark.parametrize(("skew", "outcome"), [("true", Outcome.VIOLATED), ("false", Outcome.PASS)])
def test_clients_that_disagree_on_the_ring_miss_each_others_writes(tmp_path, skew, outcome):
    """Without any fault: what some clients wrote at the last node, the others look for elsewhere."""
    text = PLAN[: PLAN.index("[[faults]]")] + PLAN[PLAN.index("[adequacy]") :]
    text = text.replace(', during = { pause = "1h" }, after_heal = "1h"', "")
    text = text.replace("[contract]", f'ring_skew = {skew}\n\n[contract]\nmisses = "loss"').replace('"4s"', '"2s"')
    verdict = run_plan(text, tmp_path).verdict
    assert verdict.outcome is outcome, verdict.why
