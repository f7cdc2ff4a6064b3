"""Varnish and nginx in front of the origin, as real servers."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from harness import conductor
from harness.candidates import CANDIDATES, Cluster
from harness.candidates.http_admin import HttpAdmin
from harness.clients import Reply
from harness.clients.http import Http
from harness.errors import PlanError, StartupError
from harness.history import Function, Seen, Status
from harness.plan import CandidateSpec, parse_plan
from harness.results import Outcome
from harness.runtimes.base import Cut, Endpoint
from harness.runtimes.process import ProcessRuntime
from harness.topology import Link
from tests.candidates.installed import needs
from tests.candidates.starting import started
from tests.watching import Silent

S = 1_000_000_000
MS = 1_000_000
READ, WRITE, DELETE = Function.READ, Function.WRITE, Function.DELETE
DONE, ABSENT = Reply(Status.OK), Reply(Status.OK, Seen.ABSENT)
VARNISH, NGINX = needs("varnishd"), needs("nginx")
BOTH = pytest.mark.parametrize("cache", [pytest.param("varnish", marks=VARNISH), pytest.param("nginx", marks=NGINX)])

PLAN = """\
seed = 3
name = "caches"

[candidate]
kind = "http-caches"
cache = "varnish"
ttl = "2s"
grace = "0s"

[contract]
node_monotonic = false
staleness = { steady = "3s" }

[[workloads]]
kind = "register"
keys = 30
sessions = 4
rate = 300

[adequacy]
operations = 300
stalled = 1.0

[run]
duration = "2s"
"""


def made(**options: object):
    return CANDIDATES.load("http-caches")(CandidateSpec.model_validate({"kind": "http-caches", **options}))


def running(directory: Path, *, proxies: bool = False, **options: object) -> AbstractAsyncContextManager[Cluster]:
    """A started candidate."""
    return started(made(**options), ProcessRuntime(directory, client_proxies=proxies))


async def ask(cluster: Cluster, node: str, function: Function, key: bytes, value: bytes = b"") -> Reply:
    """What the client's codec makes of a node's answer."""
    codec = Http()
    reader, writer = await asyncio.open_connection(*cluster.runtime.endpoint(node))
    try:
        async with asyncio.timeout(10):
            writer.write(codec.request(function, key, value))
            while (reply := codec.feed(await reader.read(65_536), function)) is None:
                pass
    finally:
        writer.close()
    return reply


async def raw(endpoint: Endpoint, request: bytes) -> bytes:
    """The status line that ``request`` is answered with."""
    reader, writer = await asyncio.open_connection(*endpoint)
    try:
        async with asyncio.timeout(10):
            writer.write(request)
            return await reader.readline()
    finally:
        writer.close()


def hit(value: bytes) -> Reply:
    return Reply(Status.OK, Seen.HIT, value)


def test_writes_go_to_the_origin_and_reads_to_the_caches():
    """Every cache has a link to the origin and one from it; clients reach all of them."""
    topology = made(caches=3).topology
    assert [(n.name, n.role, n.protocol) for n in topology.nodes][:2] == [
        ("origin", "origin", "http"),
        ("cache-1", "cache", "http"),
    ]
    assert (topology.writable, topology.readable) == ((0,), (1, 2, 3))
    assert topology.between("origin", "caches") == (
        *(Link(f"cache-{i}", "origin") for i in (1, 2, 3)),
        *(Link("origin", f"cache-{i}") for i in (1, 2, 3)),
    )
    assert len(topology.between("client", "all")) == 4


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"cache": "squid"}, "'squid' is not possible here"),
        ({"ttl": "1500ms"}, "whole seconds"),
        ({"use_stale": True}, "use_stale = true is nginx's"),
        ({"caches": 0}, "greater than or equal to 1"),
        ({"purge": "maybe"}, "'maybe' is not possible here"),
        ({"fetch_timeout": "0s"}, "greater than or equal to"),
        ({"images": {"proxy": "x"}}, 'unknown key "proxy"'),
    ],
)
def test_wrong_options_are_refused(options, what):
    """A plan with an option that is not there, or a value that cannot be, is no plan."""
    with pytest.raises(PlanError, match=what):
        made(**options)


@pytest.mark.servers
@BOTH
def test_a_cache_serves_its_copy_until_it_is_purged(tmp_path, cache):
    """An absence and a value are kept; a purge before the acknowledgement makes the next read fresh, at every cache."""

    async def run() -> None:
        async with running(tmp_path, cache=cache, ttl="60s") as cluster:
            for node in ("cache-1", "cache-2"):
                assert await ask(cluster, node, READ, b"k") == ABSENT
            for version in (b"k|1|1", b"k|2|2"):
                assert await ask(cluster, "origin", WRITE, b"k", version) == DONE
                for node in ("cache-1", "cache-2", "cache-1", "origin"):
                    assert await ask(cluster, node, READ, b"k") == hit(version)
            assert await ask(cluster, "origin", DELETE, b"k") == DONE
            assert await ask(cluster, "cache-2", READ, b"k") == ABSENT

    asyncio.run(run())


@pytest.mark.servers
@BOTH
def test_without_purges_a_copy_lives_for_its_time(tmp_path, cache):
    """It is served unchanged after the write, and no longer than time and grace together (and nginx's second) allow."""

    async def run() -> None:
        async with running(tmp_path, cache=cache, purge="none", ttl="1s", grace="1s", caches=1) as cluster:
            clock = asyncio.get_running_loop().time
            assert await ask(cluster, "origin", WRITE, b"k", b"k|1|1") == DONE
            assert await ask(cluster, "cache-1", READ, b"k") == hit(b"k|1|1")
            assert await ask(cluster, "origin", WRITE, b"k", b"k|2|2") == DONE
            begin = clock()
            assert await ask(cluster, "cache-1", READ, b"k") == hit(b"k|1|1")
            # One read within its grace finds the old copy and has it fetched anew in the background.
            while await ask(cluster, "cache-1", READ, b"k") == hit(b"k|1|1"):
                assert clock() - begin < 15
                await asyncio.sleep(0.05)
            assert clock() - begin > 0.5
            assert await ask(cluster, "cache-1", READ, b"k") == hit(b"k|2|2")

    asyncio.run(run())


@pytest.mark.servers
@BOTH
def test_purges_come_from_the_origin_alone(tmp_path, cache):
    """Nobody else makes a cache forget: not by the method, nor by a header whose secret he does not know."""

    async def run() -> None:
        async with running(tmp_path, cache=cache, purge="none", ttl="60s", caches=1) as cluster:
            where = cluster.runtime.endpoint("cache-1")
            assert await ask(cluster, "origin", WRITE, b"k", b"k|1|1") == DONE
            assert await ask(cluster, "cache-1", READ, b"k") == hit(b"k|1|1")
            assert await ask(cluster, "origin", WRITE, b"k", b"k|2|2") == DONE
            assert b" 405 " in await raw(where, b"PURGE /k HTTP/1.1\r\nHost: anachron\r\n\r\n")
            assert b" 200 " in await raw(where, b"GET /k HTTP/1.1\r\nHost: anachron\r\nX-Refresh: 1\r\n\r\n")
            assert await ask(cluster, "cache-1", READ, b"k") == hit(b"k|1|1")

    asyncio.run(run())


@VARNISH
@pytest.mark.servers
def test_a_fetch_that_began_before_a_write_brings_the_old_object_back(tmp_path):
    """The purge was answered, and then the old value arrives from the origin and stays: what no purge can promise."""

    async def run() -> None:
        async with running(
            tmp_path, cache="varnish", ttl="60s", origin_latency="500ms", fetch_timeout="10s", caches=1
        ) as cluster:
            assert await ask(cluster, "origin", WRITE, b"k", b"k|1|1") == DONE
            fetching = asyncio.create_task(ask(cluster, "cache-1", READ, b"k"))
            await asyncio.sleep(0.1)
            assert await ask(cluster, "origin", WRITE, b"k", b"k|2|2") == DONE
            assert not fetching.done(), "the write was to be acknowledged before the fetch ended"
            assert await fetching == hit(b"k|1|1")
            assert await ask(cluster, "cache-1", READ, b"k") == hit(b"k|1|1")

    asyncio.run(run())


@pytest.mark.servers
@BOTH
def test_nodes_say_who_they_are_and_a_restart_makes_another(tmp_path, cache):
    """Each has an identity of its own, the same each time; after a restart the cache is somebody else, and the origin empty."""

    async def run() -> None:
        async with running(tmp_path, cache=cache) as cluster:
            candidate, runtime = cluster.candidate, cluster.runtime
            assert candidate.product.lower().startswith(cache + " ")
            names = [node.name for node in candidate.topology.nodes]
            before = {name: await candidate.identity(name) for name in names}
            assert len(set(before.values())) == 3
            assert before == {name: await candidate.identity(name) for name in names}
            assert await ask(cluster, "origin", WRITE, b"k", b"k|1|1") == DONE
            for name in ("origin", "cache-1"):
                await runtime.kill(name)
                with pytest.raises(ConnectionError):
                    await candidate.identity(name)
                with pytest.raises(StartupError, match="its process has ended"):
                    await candidate.ready(name)
                await runtime.restart(name, keep_data=False)
                await candidate.ready(name)
                assert await candidate.identity(name) != before[name]
                if name == "origin":
                    assert await ask(cluster, "origin", READ, b"k") == ABSENT
                    assert await ask(cluster, "origin", WRITE, b"k", b"k|1|1") == DONE
            # The connections of the purges ended with the cache; the next write uses none of them.
            assert await ask(cluster, "cache-1", READ, b"k") == hit(b"k|1|1")
            assert await ask(cluster, "origin", WRITE, b"k", b"k|2|2") == DONE
            assert await ask(cluster, "cache-1", READ, b"k") == hit(b"k|2|2")

    asyncio.run(run())


@pytest.mark.servers
@BOTH
def test_a_probe_shows_its_own_link_alone(tmp_path, cache):
    """Fetches and purges go ways of their own; what is cut is silent, and everything else carries."""

    async def run() -> None:
        async with running(tmp_path, cache=cache, proxies=True) as cluster:
            links = [link for link in cluster.topology.links if "cache-2" not in (link.source, link.target)]
            probes = {link: await cluster.candidate.probe(link) for link in links}
            try:
                for cut in links:
                    for how in Cut:
                        await cluster.runtime.cut([cut], how)
                        for link, probe in probes.items():
                            took = await probe.carry(100 * MS if link == cut else 5 * S)
                            assert (took is None) is (link == cut), f"{link} while {cut} is cut"
                        await cluster.runtime.mend([cut])
                        async with asyncio.timeout(10):
                            while await probes[cut].carry(S) is None:
                                pass
            finally:
                for probe in probes.values():
                    await probe.close()

    asyncio.run(run())


@pytest.mark.servers
@BOTH
def test_a_paused_cache_is_silent_as_a_whole(tmp_path, cache):
    """The process that serves stands still with the one that was started; and a probe says that an end does not serve."""

    async def run() -> None:
        async with running(tmp_path, cache=cache, caches=1) as cluster:
            probe = await cluster.candidate.probe(Link("client", "cache-1"))
            try:
                await cluster.runtime.pause("cache-1")
                with pytest.raises(TimeoutError):
                    await probe.carry(100 * MS)
                # The origin gives the cache up after its time, and acknowledges all the same.
                assert await ask(cluster, "origin", WRITE, b"k", b"k|1|1") == DONE
                assert "cache-1 was not purged of /k" in cluster.runtime.log_end("origin")
                await cluster.runtime.resume("cache-1")
                assert await probe.carry(5 * S) is not None
            finally:
                await probe.close()

    asyncio.run(run())


@NGINX
@pytest.mark.servers
@pytest.mark.parametrize(("use_stale", "found"), [(False, Status.FAIL), (True, Status.OK)])
def test_a_cut_off_nginx_serves_stale_only_where_told_to(tmp_path, use_stale, found):
    """Past its time, a copy is an error without the origin; with proxy_cache_use_stale it is served at any age."""

    async def run() -> None:
        options = {"cache": "nginx", "ttl": "1s", "grace": "0s", "caches": 1, "use_stale": use_stale, "fetch_timeout": "200ms"}
        async with running(tmp_path, **options) as cluster:
            assert await ask(cluster, "origin", WRITE, b"k", b"k|1|1") == DONE
            assert await ask(cluster, "cache-1", READ, b"k") == hit(b"k|1|1")
            await cluster.runtime.cut([Link("cache-1", "origin")], Cut.REFUSE)
            await asyncio.sleep(2.5)
            assert (await ask(cluster, "cache-1", READ, b"k")).status is found

    asyncio.run(run())


@NGINX
@pytest.mark.servers
def test_the_origin_refuses_what_is_no_request(tmp_path):
    """Garbage and what is too large get an answer that says so; nothing of it is kept, and it goes on serving."""

    async def run() -> None:
        async with running(tmp_path, cache="nginx", caches=1) as cluster:
            where = cluster.runtime.endpoint("origin")
            for request, status in (
                (b"\x00\xff\r\n\r\n", b"400"),
                (b"GET k HTTP/1.1\r\n\r\n", b"400"),
                (b"GET /k HTTP/2\r\n\r\n", b"400"),
                (b"POST /k HTTP/1.1\r\n\r\n", b"405"),
                (b"PUT /k HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"413"),
                (b"PUT /k HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", b"413"),
                (b"PUT /k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
                (b"GET /k HTTP/1.1\r\nA: " + b"b" * 20_000 + b"\r\n\r\n", b"431"),
                (b"GET /-/mark/nobody HTTP/1.1\r\n\r\n", b"404"),
            ):
                assert (await raw(where, request)).split()[1] == status, request[:60]
            assert await ask(cluster, "origin", READ, b"k") == ABSENT

    asyncio.run(run())


@pytest.mark.parametrize(
    ("said", "what"),
    [
        (b"+PONG\r\n", "garbage"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "for who it is"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\x00\x00", "for who it is"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n" + b"a" * 999, "for who it is"),
        (b"HTTP/1.1 503 Backend fetch failed\r\nContent-Length: 0\r\n\r\n", "identity with 503 Backend fetch failed"),
        (b"", "(?i)closed the connection|reset|broken pipe"),
    ],
)
def test_a_server_that_talks_nonsense_is_an_error(said, what):
    """Whatever it says, the harness gets an ``OSError``, and in time."""

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while said and await reader.readuntil(b"\r\n\r\n"):
            writer.write(said)
        writer.close()

    async def run() -> None:
        async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
            admin = HttpAdmin(Endpoint(*server.sockets[0].getsockname()))
            with pytest.raises(OSError, match=what):
                await admin.identity()
            admin.close()

    asyncio.run(run())


def run_plan(text: str, directory: Path):
    return conductor.run(parse_plan(text), text, directory, Silent()).report


@pytest.mark.servers
@BOTH
def test_caches_keep_the_bound_that_their_times_allow(tmp_path, cache):
    """With or without purges no read is older than time, grace and nginx's second; a contract without staleness is violated."""
    honest = run_plan(PLAN.replace('"varnish"', f'"{cache}"'), tmp_path / "honest")
    assert honest.verdict.outcome is Outcome.PASS, honest.verdict.why
    text = PLAN.replace('"varnish"', f'"{cache}"\npurge = "none"').replace('steady = "3s"', 'steady = "0ms"')
    report = run_plan(text, tmp_path / "dishonest")
    assert report.verdict.outcome is Outcome.VIOLATED
    assert [clause.name for clause in report.verdict.clauses if clause.outcome is Outcome.VIOLATED] == ["staleness.steady"]
