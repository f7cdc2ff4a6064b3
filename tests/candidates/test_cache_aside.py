"""Applications that read through a cache to PostgreSQL, on real servers: what they keep, what they lose, what the audit knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest

from harness.candidates import Cluster
from harness.candidates.asking import UnusableAnswerError
from harness.history import Function, Status
from harness.results import Outcome
from harness.runtimes.base import Cut
from harness.topology import Link
from tests.candidates.applications import MS, S, ask, names, need_engine, run, running

CACHES = ("redis", "memcached")
PROCESS = pytest.param("process", marks=pytest.mark.servers)
DOCKER = pytest.param("docker", marks=pytest.mark.docker)

CONTRACT = """\
node_monotonic = true
staleness = { steady = "3s" }
converges_within = "3s"
"""
SESSIONS = """\
[[workloads]]
kind = "register"
keys = 20
sessions = 8
reads = 0.9
rate = 600
"""
SLOW_FILLS = """\
fill_pause = "150ms"
fill_pause_share = 0.4
"""


def candidate(strategy: str, *more: str, cache: str = "redis") -> str:
    return "\n".join(('kind = "cache-aside"', f'cache = "{cache}"', f'strategy = "{strategy}"', *more))


@pytest.fixture(autouse=True)
def _engine(request):
    if request.node.get_closest_marker("docker"):
        need_engine()


@pytest.mark.parametrize("runtime", [PROCESS, DOCKER])
@pytest.mark.parametrize("cache", CACHES)
def test_what_is_written_anywhere_is_read_everywhere(tmp_path, runtime, cache):
    """Through one application into the database, through the other and the cache back; all nodes say who they are."""

    async def scenario() -> None:
        async with running(tmp_path, candidate("lease", cache=cache), runtime) as cluster:
            made = cluster.candidate
            assert made.product.startswith("cache-aside over ")
            assert cache in made.product.lower()
            assert "PostgreSQL 1" in made.product
            assert await ask(cluster, "app-1", "GET", "k") is None
            for version in (1, 2):
                assert await ask(cluster, "app-1", "SET", "k", f"k|{version}|{version}") == "OK"
                for app in ("app-1", "app-2", "app-2"):
                    assert await ask(cluster, app, "GET", "k") == f"k|{version}|{version}"
            assert await ask(cluster, "app-2", "DEL", "k") == 1
            assert await ask(cluster, "app-1", "GET", "k") is None
            identities = [await made.identity(node.name) for node in made.topology.nodes]
            assert identities == [await made.identity(node.name) for node in made.topology.nodes]
            assert len(set(identities[:2])) == 2
            assert await made.audit(seal=False) == [b"k|1|1", b"k|2|2"]

    asyncio.run(scenario())


@pytest.mark.servers
def test_marks_go_from_the_application_itself(tmp_path):
    """A cut of one link silences its mark alone; a dead server's silence is an error, not a proof."""

    async def scenario() -> None:
        async with running(tmp_path, candidate("lease")) as cluster:
            links = [Link("app-1", "cache"), Link("app-1", "db"), Link("app-2", "db"), Link("client", "app-1")]
            probes = {link: await cluster.candidate.probe(link) for link in links}
            try:
                for how in Cut:
                    for cut in links[:2]:
                        for link in links:
                            assert await probes[link].carry(2 * S) is not None
                        await cluster.runtime.cut([cut], how)
                        for link in links:
                            took_ns = await probes[link].carry(200 * MS if link == cut else 2 * S)
                            assert (took_ns is None) == (link == cut), link
                        await cluster.runtime.mend([cut])
                await cluster.runtime.kill("cache")
                with pytest.raises(OSError, match=r".*"):
                    await probes[links[0]].carry(200 * MS)
            finally:
                for probe in probes.values():
                    await probe.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("runtime", [PROCESS, DOCKER])
def test_a_killed_database_has_everything_that_was_committed(tmp_path, runtime):
    """Its process comes back with its data; without its data it is empty, and its audit, too."""

    async def scenario() -> None:
        async with running(tmp_path, candidate("write-then-delete", 'ttl = "1ms"'), runtime) as cluster:
            made, place = cluster.candidate, cluster.runtime
            assert await ask(cluster, "app-1", "SET", "k", "k|1|1") == "OK"
            before = await made.identity("db")
            for keep_data, left in ((True, "k|1|1"), (False, None)):
                await place.kill("db")
                with pytest.raises(UnusableAnswerError, match=r"ERR database|TRYAGAIN database: no connection"):
                    await ask(cluster, "app-1", "SET", "other", "other|1|2")
                await place.restart("db", keep_data=keep_data)
                await made.ready("db")
                assert await made.identity("db") != before
                if not keep_data:
                    await place.kill("app-2")
                    await place.restart("app-2", keep_data=True)  # who starts makes the tables
                    await made.ready("app-2")
                assert await ask(cluster, "app-1", "GET", "k") == left

    asyncio.run(scenario())


@pytest.mark.servers
def test_a_paused_database_stands_still_as_a_whole(tmp_path):
    """Its processes each serve a connection, and none of them answers; what was asked meanwhile is answered afterwards."""

    async def scenario() -> None:
        async with running(tmp_path, candidate("write-then-delete", 'database_timeout = "10s"')) as cluster:
            assert await ask(cluster, "app-1", "SET", "k", "k|1|1") == "OK"
            await cluster.runtime.pause("db")
            asked = asyncio.create_task(ask(cluster, "app-1", "SET", "k", "k|2|2"))
            assert not (await asyncio.wait([asked], timeout=0.3))[0]
            await cluster.runtime.resume("db")
            assert await asked == "OK"

    asyncio.run(scenario())


@pytest.mark.servers
def test_a_sealed_source_takes_no_more_writes(tmp_path):
    """After the last audit nothing can be committed, so what it lacks never happens; reading it again gives the same."""

    async def scenario() -> None:
        async with running(tmp_path, candidate("lease")) as cluster:
            for version in range(1, 6):
                assert await ask(cluster, "app-2", "SET", f"k{version}", f"k{version}|1|{version}") == "OK"
            sealed = await cluster.candidate.audit(seal=True)
            assert sealed == [b"k%d|1|%d" % (version, version) for version in range(1, 6)]
            with pytest.raises(UnusableAnswerError, match="ERR database"):
                await ask(cluster, "app-1", "SET", "k1", "k1|2|9")
            assert await cluster.candidate.audit(seal=True) == sealed

    asyncio.run(scenario())


@pytest.mark.servers
@pytest.mark.parametrize("cache", CACHES)
def test_leases_stand_slow_fills(tmp_path, cache):
    """However long a fill takes, nothing old comes back."""
    finished = run(tmp_path, candidate=candidate("lease", SLOW_FILLS, cache=cache), contract=CONTRACT, rest=SESSIONS)
    assert finished.report.verdict.outcome is Outcome.PASS, finished.report.verdict.why


@pytest.mark.servers
@pytest.mark.parametrize(
    ("strategy", "cache", "more"),
    [
        ("write-then-delete", "redis", ""),
        ("delete-then-write", "memcached", ""),
        ("double-delete", "redis", 'second_delete = "20ms"'),
        ("set-on-write", "redis", 'ttl = "300ms"'),  # without misses nothing is filled
    ],
)
def test_the_classic_orders_lose_their_races(tmp_path, strategy, cache, more):
    """The same slow fills put an old value over a newer one, and a node goes backwards."""
    finished = run(tmp_path, candidate=candidate(strategy, SLOW_FILLS, more, cache=cache), contract=CONTRACT, rest=SESSIONS)
    assert finished.report.verdict.outcome is Outcome.VIOLATED, finished.report.verdict.why
    assert "node-regress" in names(finished)


WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


@asynccontextmanager
async def a_write_in_doubt(cluster: Cluster) -> AsyncIterator[tuple[asyncpg.Connection, asyncpg.Connection]]:
    """``k`` is cached as version 1; version 2 waits at the database for the row, whose lock the first connection holds.

    Its application has been cut off from the database, and has given up.
    """
    host, port = cluster.runtime.endpoint("db")
    connections = [await asyncpg.connect(host=host, port=port, user="anachron", database="postgres") for _ in range(2)]
    holder, onlooker = connections
    try:
        assert await ask(cluster, "app-1", "SET", "k", "k|1|1") == "OK"
        assert await ask(cluster, "app-2", "GET", "k") == "k|1|1"
        await holder.execute("BEGIN; SELECT FROM entries FOR UPDATE")
        writing = asyncio.create_task(ask(cluster, "app-1", "SET", "k", "k|2|2"))
        await until(lambda: onlooker.fetchval(WAITING), 1)
        # Without the cut the application would cancel its statement when it gives up.
        await cluster.runtime.cut([Link("app-1", "db")], Cut.BLACK_HOLE)
        with pytest.raises(UnusableAnswerError, match="ERR database: time-out"):
            await writing
        yield holder, onlooker
    finally:
        for connection in connections:
            connection.terminate()


async def until(ask_again: Callable[[], Awaitable[object]], wanted: object) -> None:
    """Wait until the answer is the one that is ``wanted``."""
    async with asyncio.timeout(15):
        while await ask_again() != wanted:  # noqa: ASYNC110  # it can only be asked for
            await asyncio.sleep(0.02)


@pytest.mark.servers
@pytest.mark.parametrize("cache", CACHES)
def test_a_commit_that_lands_after_the_time_out_is_seen_everywhere(tmp_path, cache):
    """While its node is cut off the cache has the old value; once it can, the node deletes it, though no entry ever ends."""

    async def scenario() -> None:
        async with (
            running(tmp_path, candidate("lease", 'database_timeout = "500ms"', cache=cache)) as cluster,
            a_write_in_doubt(cluster) as doubt,
        ):
            holder, onlooker = doubt
            await holder.execute("COMMIT")
            await until(lambda: onlooker.fetchval("SELECT value FROM entries"), b"k|2|2")
            assert await ask(cluster, "app-2", "GET", "k") == "k|1|1"
            await cluster.runtime.mend([Link("app-1", "db")])
            await until(lambda: ask(cluster, "app-2", "GET", "k"), "k|2|2")
            assert await ask(cluster, "app-1", "GET", "k") == "k|2|2"

    asyncio.run(scenario())


@pytest.mark.servers
def test_a_write_in_doubt_cannot_land_after_its_entry_was_deleted(tmp_path):
    """Its session is ended first: what then fills the cache stays right, for the write never happens."""

    async def scenario() -> None:
        async with (
            running(tmp_path, candidate("lease", 'database_timeout = "500ms"')) as cluster,
            a_write_in_doubt(cluster) as doubt,
        ):
            holder, onlooker = doubt
            assert await onlooker.fetchval(WAITING) == 1
            await cluster.runtime.mend([Link("app-1", "db")])
            await until(lambda: onlooker.fetchval(WAITING), 0)
            await holder.execute("COMMIT")
            assert await ask(cluster, "app-1", "SET", "other", "other|1|3") == "OK"
            assert await cluster.candidate.audit(seal=True) == [b"k|1|1", b"other|1|3"]

    asyncio.run(scenario())


@pytest.mark.servers
def test_the_classic_orders_keep_the_old_value_for_good(tmp_path):
    """A commit that nobody confirmed, and no time to live: the node is back, and no one invalidates."""

    async def scenario() -> None:
        async with (
            running(tmp_path, candidate("write-then-delete", 'database_timeout = "500ms"')) as cluster,
            a_write_in_doubt(cluster) as doubt,
        ):
            holder, onlooker = doubt
            await holder.execute("COMMIT")
            await until(lambda: onlooker.fetchval("SELECT value FROM entries"), b"k|2|2")
            await cluster.runtime.mend([Link("app-1", "db")])
            await asyncio.sleep(1)
            assert await ask(cluster, "app-2", "GET", "k") == "k|1|1"

    asyncio.run(scenario())


@pytest.mark.parametrize("runtime", [PROCESS, DOCKER])
def test_the_audit_decides_what_a_cut_left_open(tmp_path, runtime):
    """While the database is cut off, writes end without an answer; afterwards each of them is known to be committed or not."""
    cut = """
[[faults]]
kind = "partition"
between = ["apps", "db"]
every = "60s"
after = "1s"
lasts = "1200ms"

[[faults]]
kind = "partition"
between = ["app-1", "cache"]
every = "60s"
after = "3s"
lasts = "600ms"
"""
    finished = run(
        tmp_path,
        candidate=candidate("lease", 'database_timeout = "300ms"'),
        contract=CONTRACT.replace('3s" }', '3s", during = { partition = "fault + 3s" } }'),
        rest=SESSIONS.replace("reads = 0.9", "reads = 0.5") + cut,
        duration="5s",
        runtime=runtime,
    )
    history = finished.report.history
    open_ops = set(history.op[(history.function == Function.WRITE) & (history.status == Status.INFO)].tolist())
    assert open_ops
    assert open_ops == history.committed.keys()
    assert max(history.committed.values()) <= history.settled_ns, "they were known before the probes, which looked for them"
    assert finished.report.verdict.outcome is Outcome.PASS, finished.report.verdict.why
