"""The driver's processes against a real server: shards, stops, deaths, and what is left of them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from harness.driver import DriverPool, Task
from harness.errors import DriverError, StorageError
from harness.history import NEVER, Function, History, Seen, Status
from harness.journal import read_counts, read_journals
from harness.plan import WorkloadSpec
from harness.runtimes.base import Endpoint
from tests.driver.runs import MS, play, task, topology
from tests.driver.servers import server, valkey

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """One Valkey for the module, never flushed: every run's keys are its own."""
    with valkey(tmp_path_factory.mktemp("valkey")) as (endpoint, _):
        yield endpoint


def assert_reads_are_explained(history: History) -> None:
    """No read of a write that the history does not know: what was sent had been journalled before."""
    hits = history.seen == Seen.HIT
    rows = history.rows_of(history.seen_op[hits])
    assert (rows >= 0).all()
    assert (history.function[rows] == Function.WRITE).all()
    assert (history.key[rows] == history.seen_key[hits]).all()
    assert (history.sent_version[rows] == history.seen_version[hits]).all()


@pytest.mark.parametrize(
    ("workers", "spec", "expected"),
    [(2, {}, {os.SCHED_BATCH}), (1, {}, {os.SCHED_OTHER}), (2, {"rate": 500}, {os.SCHED_OTHER})],
    ids=["several at full speed", "one", "several at a rate"],
)
def test_only_workers_that_have_no_appointments_let_servers_finish(
    store: Endpoint, tmp_path: Path, workers: int, spec: dict[str, int], expected: set[int]
) -> None:
    """Several workers at full speed do not preempt the server for each answer; one, or those that keep a rate, do."""

    async def policies() -> set[int]:
        pool = DriverPool(task(tmp_path, [store], workers, **spec))
        try:
            await pool.open()
            return {os.sched_getscheduler(worker._process.pid) for worker in pool._workers}
        finally:
            await pool.close()

    assert asyncio.run(policies()) == expected


def test_a_run_on_a_real_server_is_correct_in_every_row(store: Endpoint, tmp_path: Path) -> None:
    """One server is linearizable: every read returns the newest write acknowledged before it or a later one."""
    history = asyncio.run(settled(task(tmp_path, [store], keys=5, reads=0.7), 500, 1_000))
    assert history.complete
    assert (history.status == Status.OK).all()
    assert (history.seen[history.function == Function.READ] != Seen.GARBAGE).all()
    assert_reads_are_explained(history)
    for key in range(len(history.keys)):
        of_key = history.key == key
        writes = np.flatnonzero(of_key & (history.function == Function.WRITE))
        assert (np.diff(history.sent_version[writes]) == 1).all()
        assert len(set(history.session[writes])) <= 1
        for row in np.flatnonzero(of_key & (history.function == Function.READ)):
            acknowledged = writes[history.return_ns[writes] < history.call_ns[row]]
            floor = history.sent_version[acknowledged].max(initial=0)
            assert max(history.seen_version[row], 0) >= floor


def test_runs_on_one_server_do_not_meet(store: Endpoint, tmp_path: Path) -> None:
    """The same plan again, on a server that still has the first run's values: no read finds one of them."""
    for _ in range(2):
        history = asyncio.run(play(task(tmp_path, [store], keys=5, reads=0.7), 150))
        assert (history.seen[history.function == Function.READ] != Seen.GARBAGE).all()
        assert_reads_are_explained(history)


def test_settling_reads_each_final_version_once_where_nothing_lags(store: Endpoint, tmp_path: Path) -> None:
    """Every key that was written is read at every node after writing stopped, once, under a workload of its own."""
    history = asyncio.run(play(task(tmp_path, [store, store], keys=30), 200, settle_ms=5_000))
    assert history.settled_ns is not None
    assert history.workloads == ("register", "settle")
    probes = history.workload == 1
    assert (history.call_ns[probes] >= history.settled_ns).all()
    assert (history.call_ns[~probes] < history.settled_ns).all()
    assert (history.function[probes] == Function.READ).all()
    written = set(history.key[history.function == Function.WRITE])
    for key in range(len(history.keys)):
        rows = np.flatnonzero(probes & (history.key == key))
        assert sorted(history.node[rows]) == [0, 1], "a key is probed at both nodes, and not again"
        assert len(set(history.group[rows])) == 1
        if key in written:
            writes = (history.key == key) & (history.function == Function.WRITE)
            assert set(history.seen_version[rows]) == {history.sent_version[writes].max()}
    assert not set(history.process[probes]) & set(history.process[~probes])


def test_settling_goes_on_until_the_limit_where_a_node_never_catches_up(store: Endpoint, tmp_path: Path) -> None:
    """A node that never gets the writes is probed at growing intervals up to the limit, and no longer."""
    with valkey(tmp_path) as (lonely, _):
        history = asyncio.run(settled(task(tmp_path, [store, lonely], keys=3), 100, 1_500))
    assert history.settled_ns is not None
    probes = history.workload == 1
    stuck = probes & (history.node == 1)
    offsets_ms = {round((due - history.settled_ns) / MS) for due in history.due_ns[stuck]}
    assert {0, 100, 250, 475} <= offsets_ms
    assert max(offsets_ms) == 1_500
    assert (history.seen[stuck] == Seen.MISS).all()
    # The two nodes' probes of one key in one round are one group.
    first = probes & (history.due_ns - history.settled_ns < MS)
    for group in np.unique(history.group[first]):
        assert len(set(history.key[history.group == group])) == 1
        assert set(history.node[history.group == group]) == {0, 1}


def test_settling_goes_on_for_a_version_that_only_the_source_knows(store: Endpoint, tmp_path: Path) -> None:
    """A key that the source has a newer version of than any client was told is probed up to the limit, the others once."""
    the_task = task(tmp_path, [store], keys=3)

    async def scenario() -> None:
        pool = await begun(the_task, 150)
        await pool.finished()
        await pool.settle(400 * MS, {f"{the_task.token}:register:0:0": 1_000_000})
        await pool.close()

    asyncio.run(scenario())
    history = read_journals(the_task.directory)
    probed = [int(((history.workload == 1) & (history.key == key)).sum()) for key in range(3)]
    assert probed[0] > probed[1] == probed[2] == 1


def test_two_workers_share_nothing(store: Endpoint, tmp_path: Path) -> None:
    """Op ids, sessions, processes, groups and keys of two workers are disjoint, and both take part."""
    history = play_until_all_took_part(task(tmp_path, [store], workers=2, sessions=5, keys=20), playing=2)
    worker = history.op % 2
    assert history.complete
    assert set(worker) == {0, 1}
    assert len(set(history.op)) == len(history)
    for column in ("session", "process", "key"):
        assert not set(history.columns[column][worker == 0]) & set(history.columns[column][worker == 1]), column
    grouped = history.group >= 0
    assert not set(history.group[grouped & (worker == 0)]) & set(history.group[grouped & (worker == 1)])
    assert set(history.session[history.workload == 0]) == set(range(5))
    assert len(history.keys) == 20
    assert_reads_are_explained(history)


def test_more_workers_than_sessions_is_no_error(store: Endpoint, tmp_path: Path) -> None:
    """A worker without sessions has nothing to do and says so."""
    history = play_until_all_took_part(task(tmp_path, [store], workers=3, sessions=2), playing=2)
    assert history.complete
    assert set(history.session[history.workload == 0]) == {0, 1}


def play_until_all_took_part(the_task: Task, playing: int) -> History:
    """The history of a run that is stopped once each of the first ``playing`` workers has ended some operations."""

    async def scenario() -> None:
        pool = await begun(the_task, 60_000)
        await until(lambda: all(read_counts(the_task.directory, worker).ok >= 200 for worker in range(playing)))
        pool.stop()
        await pool.finished()
        await pool.settle(500 * MS)
        await pool.close()

    asyncio.run(scenario())
    return read_journals(the_task.directory)


async def begun(the_task: Task, ms: int) -> DriverPool:
    pool = DriverPool(the_task)
    await pool.open()
    begin_ns = time.monotonic_ns() - the_task.origin_ns
    pool.start(begin_ns, begin_ns + ms * MS)
    return pool


async def settled(the_task: Task, operations: int, settle_ms: int) -> History:
    """The history of so many operations, however long they take, and of the settling after them."""
    pool = await begun(the_task, 60_000)
    try:
        await until_counted(pool, operations)
        pool.stop()
        await pool.finished()
        await pool.settle(settle_ms * MS)
    finally:
        await pool.close()
    return read_journals(the_task.directory)


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def until_counted(pool: DriverPool, operations: int) -> None:
    await until(lambda: pool.counts().ok >= operations)


def process_of(pool: DriverPool, worker: int) -> int:
    return pool._workers[worker]._process.pid


def test_a_killed_worker_is_named_and_leaves_its_history(store: Endpoint, tmp_path: Path) -> None:
    """``kill -9`` in the middle: the error names the worker; all that was sent is in the history, the last of it as info."""
    the_task = task(tmp_path, [store], workers=2, sessions=20, reads=0.5)

    async def scenario() -> None:
        pool = await begun(the_task, 60_000)
        await until(lambda: read_counts(the_task.directory, 1).ok >= 200)
        os.kill(process_of(pool, 1), signal.SIGKILL)
        with pytest.raises(DriverError, match=r"driver worker 1 died \(killed by signal 9\)"):
            await pool.finished()
        await pool.close()

    asyncio.run(scenario())
    history = read_journals(the_task.directory)
    assert not history.complete
    killed = history.op % 2 == 1
    assert killed.sum() >= 200
    assert ((history.status == Status.INFO) & killed).sum() <= 10, "one in flight for each of the worker's sessions"
    assert (history.return_ns[history.status == Status.INFO] == NEVER).all()
    assert_reads_are_explained(history)


def test_the_workers_die_with_the_harness(store: Endpoint, tmp_path: Path) -> None:
    """``kill -9`` of the harness itself leaves no worker behind, and a history that can be read."""
    code = """
import asyncio, pathlib, sys
from harness.runtimes.base import Endpoint
from tests.driver.runs import task
from tests.driver.test_pool import begun, process_of, until_counted
async def main():
    pool = await begun(task(pathlib.Path(sys.argv[1]), [Endpoint(sys.argv[2], int(sys.argv[3]))]), 60_000)
    await until_counted(pool, 100)
    print(process_of(pool, 0), flush=True)
    await pool.finished()
asyncio.run(main())
"""
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), store.host, str(store.port)], stdout=subprocess.PIPE, cwd=root, text=True
    ) as harness:
        assert harness.stdout is not None
        worker = int(harness.stdout.readline())
        harness.kill()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{worker}").exists() and " Z " not in Path(f"/proc/{worker}/stat").read_text():
        assert time.monotonic() < deadline, "the worker outlived the harness"
        time.sleep(0.02)
    history = read_journals(next(tmp_path.iterdir()))
    assert len(history) >= 100
    assert_reads_are_explained(history)


def test_stop_ends_a_run_early_and_in_order(store: Endpoint, tmp_path: Path) -> None:
    """After ``stop`` nothing is invoked, what was in flight returns, and the run can still be settled."""
    the_task = task(tmp_path, [store])

    async def scenario() -> tuple[int, int]:
        pool = await begun(the_task, 60_000)
        await until_counted(pool, 100)
        os.killpg(process_of(pool, 0), signal.SIGINT)  # Ctrl-C is the conductor's to handle
        await until_counted(pool, pool.counts().ok + 100)
        pool.stop()
        ended = await pool.finished()
        counted = pool.counts().ok
        await pool.settle(1_000 * MS)
        await pool.close()
        return ended, counted

    ended_ns, counted = asyncio.run(scenario())
    history = read_journals(the_task.directory)
    assert history.complete
    assert (history.status == Status.OK).all()
    assert (history.return_ns[history.workload == 0] <= ended_ns).all()
    assert (history.workload == 0).sum() == counted
    assert (history.workload == 1).any()


def test_a_stop_right_after_the_start_is_not_lost(store: Endpoint, tmp_path: Path) -> None:
    """Orders that arrive together are all obeyed."""
    the_task = task(tmp_path, [store])

    async def scenario() -> None:
        pool = await begun(the_task, 60_000)
        pool.stop()
        await asyncio.wait_for(pool.finished(), 10)
        await pool.close()

    asyncio.run(scenario())
    assert read_journals(the_task.directory).complete


def test_closing_a_running_pool_ends_its_journals_in_order(store: Endpoint, tmp_path: Path) -> None:
    """``close`` is enough at any moment, and may be called twice."""
    the_task = task(tmp_path, [store])

    async def scenario() -> None:
        pool = await begun(the_task, 60_000)
        await until_counted(pool, 100)
        await pool.close()
        await pool.close()

    asyncio.run(scenario())
    assert read_journals(the_task.directory).complete


def test_a_stopped_process_leaves_a_stall(store: Endpoint, tmp_path: Path) -> None:
    """A worker that stood still says when: nothing it timed then counts against the candidate."""
    the_task = task(tmp_path, [store], workers=2)

    async def scenario() -> tuple[int, int]:
        pool = await begun(the_task, 60_000)
        await until(lambda: read_counts(the_task.directory, 0).ok >= 100)
        os.kill(process_of(pool, 0), signal.SIGSTOP)
        stopped_ns = time.monotonic_ns() - the_task.origin_ns
        await asyncio.sleep(0.25)
        continued_ns = time.monotonic_ns() - the_task.origin_ns
        os.kill(process_of(pool, 0), signal.SIGCONT)
        pool.stop()
        await pool.finished()
        await pool.close()
        return stopped_ns, continued_ns

    stopped_ns, continued_ns = asyncio.run(scenario())
    stalls = [stall for stall in read_journals(the_task.directory).stalls if stall.worker == 0]
    assert any(stall.begin_ns <= stopped_ns + 20 * MS and stall.end_ns >= continued_ns for stall in stalls)


def test_a_stopped_process_does_not_call_time_on_what_was_answered(tmp_path: Path) -> None:
    """Answers that came while the worker stood still, for longer than the time-out, are taken in before time-outs are called."""

    def slow(connection: socket.socket) -> None:
        while connection.recv(4096):
            time.sleep(0.02)
            connection.sendall(b"$-1\r\n")

    with server(slow) as endpoint:
        the_task = task(tmp_path, [endpoint], timeout_ms=100, sessions=4, reads=1.0)

        async def scenario() -> None:
            pool = await begun(the_task, 60_000)
            for stops in range(1, 6):
                await until_counted(pool, 20 * stops)
                os.kill(process_of(pool, 0), signal.SIGSTOP)
                await asyncio.sleep(0.2)
                os.kill(process_of(pool, 0), signal.SIGCONT)
            pool.stop()
            await pool.finished()
            await pool.close()

        asyncio.run(scenario())
    history = read_journals(the_task.directory)
    assert len(history.stalls) >= 4
    assert (history.status == Status.OK).all()


def test_a_paused_server_shows_in_response_times_and_not_in_service_times(tmp_path: Path) -> None:
    """Open loop: what was due during the pause waited for its end; what was then called was served as fast as ever."""
    with valkey(tmp_path) as (endpoint, process):
        the_task = task(tmp_path, [endpoint], timeout_ms=10_000, sessions=4, keys=4, rate=400.0)

        async def scenario() -> tuple[int, int]:
            pool = await begun(the_task, 60_000)
            await until_counted(pool, 50)
            process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(0.05)
            paused_ns = time.monotonic_ns() - the_task.origin_ns
            await asyncio.sleep(0.5)
            resumed_ns = time.monotonic_ns() - the_task.origin_ns
            process.send_signal(signal.SIGCONT)
            await until_counted(pool, pool.counts().ok + 450)
            pool.stop()
            await pool.finished()
            await pool.close()
            return paused_ns, resumed_ns

        paused_ns, resumed_ns = asyncio.run(scenario())
    history = read_journals(the_task.directory)
    assert (history.status == Status.OK).all()
    assert_reads_are_explained(history)
    waited = (history.due_ns > paused_ns) & (history.due_ns < resumed_ns)
    # 400 a second for as long as the pause was, but for the luck of a Poisson process.
    assert 0.6 < waited.sum() / (400 * (resumed_ns - paused_ns) / 1e9) < 1.5
    assert (history.return_ns[waited] >= resumed_ns).all()
    queued = waited & (history.call_ns >= resumed_ns)
    assert waited.sum() - queued.sum() <= 4, "each session has one in flight, the others' waiting is lag"
    service_ns = history.return_ns[queued] - history.call_ns[queued]
    response_ns = np.median(history.return_ns[queued] - history.due_ns[queued])
    assert response_ns > 150 * MS
    assert np.median(service_ns) < response_ns / 3


def test_a_killed_server_is_info_then_fail(tmp_path: Path) -> None:
    """What was in flight is info; what could not be sent any more is fail; nothing is lost from the history."""
    with valkey(tmp_path) as (endpoint, process):
        the_task = task(tmp_path, [endpoint], sessions=8)

        async def scenario() -> None:
            pool = await begun(the_task, 60_000)
            await until_counted(pool, 200)
            process.kill()
            process.wait()
            await until(lambda: pool.counts().fail >= 20)
            pool.stop()
            await pool.finished()
            await pool.close()

        asyncio.run(scenario())
    history = read_journals(the_task.directory)
    assert history.complete
    # The kernel may take a connection or two for a server that is already dying.
    assert (history.status == Status.INFO).sum() <= 24
    assert (history.status == Status.FAIL).sum() >= 20
    assert "connect: connection refused" in history.errors
    assert history.status[0] == Status.OK


def test_a_workload_that_raises_ends_the_run_with_its_traceback(store: Endpoint, tmp_path: Path) -> None:
    """A bug in a plan's own workload is shown, not swallowed."""
    the_task = Task(
        workloads=(WorkloadSpec(kind="tests.driver.broken:Broken", sessions=1),),
        seed=1,
        topology=topology(1),
        endpoints=(store,),
        protocol="resp",
        timeout_ns=1_000 * MS,
        origin_ns=time.monotonic_ns(),
        directory=tmp_path,
    )
    with pytest.raises(DriverError, match="driver worker 0 died") as caught:
        asyncio.run(play(the_task, 100))
    assert "ZeroDivisionError" in str(caught.value)


def test_an_error_of_the_journal_keeps_its_name(store: Endpoint, tmp_path: Path) -> None:
    """What a worker knows to be a storage error reaches the conductor as one."""
    the_task = task(tmp_path, [store])
    (the_task.directory / "worker-0.ops").touch()
    with pytest.raises(StorageError, match="could not be journalled") as caught:
        asyncio.run(play(the_task, 100))
    assert "worker-0.ops" in str(caught.value)


def test_a_server_that_never_answers_delays_the_end_by_no_more_than_the_timeout(tmp_path: Path) -> None:
    """``stop`` waits for what is in flight, and for no longer than an operation may take."""
    with server(lambda connection: connection.recv(4096) and time.sleep(0.5)) as endpoint:
        the_task = task(tmp_path, [endpoint], timeout_ms=300)

        async def scenario() -> int:
            pool = await begun(the_task, 60_000)
            await asyncio.sleep(0.1)
            pool.stop()
            stopped_ns = time.monotonic_ns() - the_task.origin_ns
            await pool.finished()
            await pool.close()
            return stopped_ns

        stopped_ns = asyncio.run(scenario())
    history = read_journals(the_task.directory)
    assert (history.status == Status.INFO).all()
    assert (history.call_ns > stopped_ns).sum() <= 4 * len(set(history.session)), "almost nobody asks again"
