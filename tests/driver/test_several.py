"""Requests of several keys: sent once, answered once, and a row of the journal for each key."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.driver.connection import Client
from harness.driver.worker import Worker
from harness.history import NEVER, Function, History, Seen, Status
from harness.journal import read_journals, read_oddities
from harness.operations import Operation, Outcome, Session
from harness.runtimes.base import Endpoint
from tests.driver.runs import MS, play, play_here, task
from tests.driver.servers import Handler, answering, black_hole, refusing_endpoint, server, valkey

READ, WRITE, DELETE = Function.READ, Function.WRITE, Function.DELETE
KEYS = 3


def several(tmp_path: Path, endpoint: Endpoint, functions: Sequence[Function], **options: int) -> tuple[History, list[Outcome]]:
    """One request of three keys for each of ``functions``, one after the other: the history, and what the session was told."""
    the_task = task(tmp_path, [endpoint], **{"timeout_ms": 60, **options})
    worker = Worker(the_task, 0)
    worker.open()
    keys = [worker.keys.add(f"k{number}") for number in range(KEYS)]
    told: list[Outcome] = []

    def steps() -> Session:
        for version, function in enumerate(functions, 1):
            written = version if function is not READ else -1
            beside = tuple((key, written) for key in keys[1:])
            told.append((yield Operation(function, keys[0], 0, written, group=version, beside=beside)))

    begin_ns = worker.loop.now_ns()
    worker._play([Client(steps(), 0, 0, 1)], begin_ns, begin_ns + 2_000 * MS)
    worker.close()
    return read_journals(the_task.directory), told


def assert_whole(history: History, requests: int) -> None:
    """Every request has a row for each key, and the rows of one differ in nothing but key, version and what was found."""
    assert len(history) == requests * KEYS
    assert len(np.unique(history.op)) == len(history)
    assert len(np.unique(history.group)) == requests
    for group in np.unique(history.group):
        rows = np.flatnonzero(history.group == group)
        assert len(set(history.key[rows])) == len(rows) == KEYS
        for name in ("session", "process", "node", "function", "due_ns", "call_ns", "return_ns", "status", "error", "workload"):
            assert len(np.unique(getattr(history, name)[rows])) == 1, name


@pytest.mark.servers
def test_what_is_written_at_once_is_read_at_once(tmp_path: Path) -> None:
    """A real server: misses, then values that each name their own key, version and row, then misses again."""
    with valkey(tmp_path) as (endpoint, _):
        history, told = several(tmp_path, endpoint, [READ, WRITE, READ, DELETE, READ], timeout_ms=1_000)
    assert_whole(history, 5)
    assert (history.status == Status.OK).all()
    missed, written, found, deleted, gone = (np.flatnonzero(history.group == group) for group in range(1, 6))
    assert (history.seen[[*missed, *gone]] == Seen.MISS).all()
    assert (history.seen[[*written, *deleted]] == Seen.NOTHING).all()
    assert (history.seen[found] == Seen.HIT).all()
    assert (history.seen_key[found] == history.key[found]).all()
    assert (history.seen_version[found] == 2).all()
    assert sorted(history.seen_op[found]) == sorted(history.op[written])
    assert [outcome.beside for outcome in told] == [
        ((Seen.MISS, -1),) * 2,
        ((Seen.NOTHING, -1),) * 2,
        ((Seen.HIT, 2),) * 2,
        ((Seen.NOTHING, -1),) * 2,
        ((Seen.MISS, -1),) * 2,
    ]


@pytest.mark.servers
@pytest.mark.parametrize("workers", [1, 2])
def test_the_workload_on_a_real_server(tmp_path: Path, workers: int) -> None:
    """One server that writes and reads at one moment shows no halves, and converges to what was acknowledged of every key."""
    with valkey(tmp_path) as (endpoint, _):
        the_task = task(tmp_path, [endpoint], workers=workers, kind="multi-key", sessions=8, sets=4)
        history = asyncio.run(play(the_task, 300, settle_ms=500))
    assert history.complete
    assert (history.status == Status.OK).all()
    probes = history.workload == history.workloads.index("settle")
    reads = ~probes & (history.group >= 0) & (history.function == READ)
    assert reads.sum() > 20
    for group in np.unique(history.group[reads]):
        assert len(set(history.seen_version[history.group == group])) == 1
    for key in np.unique(history.key):
        written = history.sent_version[(history.key == key) & (history.function == WRITE)]
        assert history.seen_version[probes & (history.key == key)].max(initial=-1) == written.max(initial=-1)


def hanging_up(connection: socket.socket) -> None:
    connection.recv(4096)


def silent(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


@pytest.mark.parametrize(
    ("handle", "status", "error"),
    [
        (silent, Status.INFO, "time-out"),
        (hanging_up, Status.INFO, "connection closed by the server"),
        (answering(b"-READONLY no\r\n"), Status.FAIL, "READONLY no"),
        (answering(b"-CROSSSLOT no\r\n"), Status.FAIL, "CROSSSLOT no"),
        (answering(b"-ERR odd\r\n"), Status.INFO, "ERR odd"),
        (answering(b"$-1\r\n"), Status.INFO, ""),
        (answering(b"*1000000000\r\n"), Status.INFO, "protocol error"),
        (answering(b"*2\r\n$-1\r\n$-1\r\n"), Status.INFO, "protocol error"),
        (answering(b"*3\r\n*3\r\n"), Status.INFO, "protocol error"),
    ],
)
def test_all_rows_of_a_request_end_alike(tmp_path: Path, handle: Handler, status: Status, error: str) -> None:
    """Whatever becomes of it, it becomes of all keys, and the session is told so."""
    with server(handle) as endpoint:
        history, told = several(tmp_path, endpoint, [READ, WRITE])
    assert_whole(history, 2)
    assert (history.status == status).all()
    assert all(history.errors[code].startswith(error) for code in history.error)
    assert (history.return_ns == NEVER).all() == (status is Status.INFO)
    assert [outcome.beside for outcome in told] == [((Seen.NOTHING, -1),) * 2] * 2


def test_an_answer_in_pieces_returns_with_its_last_byte(tmp_path: Path) -> None:
    """However a list is cut, the request is over when it is whole."""

    def dribbling(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while connection.recv(4096):
            for byte in b"*3\r\n$-1\r\n$-1\r\n$-1\r\n":
                time.sleep(0.001)
                connection.sendall(bytes([byte]))

    with server(dribbling) as endpoint:
        history, _ = several(tmp_path, endpoint, [READ] * 3, timeout_ms=1_000)
    assert_whole(history, 3)
    assert (history.seen == Seen.MISS).all()
    assert (history.return_ns - history.call_ns >= 19 * MS).all()


def test_foreign_values_are_garbage_of_their_own_rows(tmp_path: Path) -> None:
    """One key's nonsense says nothing about the others."""
    with server(answering(b"*3\r\n$-1\r\n$4\r\nnope\r\n:7\r\n")) as endpoint:
        history, told = several(tmp_path, endpoint, [READ])
        directory = next(tmp_path.iterdir())
    assert list(history.seen) == [Seen.MISS, Seen.GARBAGE, Seen.GARBAGE]
    assert told[0].beside == ((Seen.GARBAGE, -1),) * 2
    assert [(oddity.text.partition(":")[0], oddity.key) for oddity in read_oddities(directory)] == [
        ("not a value of this run", history.keys[key]) for key in history.key[1:]
    ]


def test_a_refused_connection_is_fail_of_every_key(tmp_path: Path) -> None:
    """Nothing was sent: no key was written."""
    history, _ = several(tmp_path, refusing_endpoint(), [WRITE])
    assert_whole(history, 1)
    assert (history.status == Status.FAIL).all()


def test_a_connection_that_never_opens_is_fail_of_every_key(tmp_path: Path) -> None:
    """After the time-out it is certain that nothing was sent."""
    with black_hole() as endpoint:
        worker = Worker(task(tmp_path, [endpoint], timeout_ms=60, kind="multi-key", single_reads=0.0), 0)
        begin_ns = worker.loop.now_ns()
        worker.run(begin_ns, begin_ns + 100 * MS)
        worker.close()
    history = read_journals(worker.task.directory)
    assert {history.errors[code] for code in history.error} == {"connect: time-out"}
    assert (history.status == Status.FAIL).all()
    rows = np.unique(history.group, return_counts=True)[1]
    assert ((rows >= 2) & (rows <= KEYS)).all()


def test_what_is_cancelled_is_info_of_every_key(tmp_path: Path) -> None:
    """The connection is closed right after sending: nobody knows of any key."""
    with server(silent) as endpoint:
        worker = Worker(task(tmp_path, [endpoint], timeout_ms=500, kind="multi-key", single_reads=0.0), 0)
        worker.open()
        worker.cancelling.set(1.0, [0])
        begin_ns = worker.loop.now_ns()
        worker.run(begin_ns, begin_ns + 100 * MS)
        worker.close()
    history = read_journals(worker.task.directory)
    cancelled = history.error == history.errors.index("cancelled")
    assert cancelled.sum() > 8
    assert (history.status[cancelled] == Status.INFO).all()
    assert not set(history.group[cancelled]) & set(history.group[~cancelled])


def test_a_protocol_without_requests_of_several_keys_says_so(tmp_path: Path) -> None:
    """A workload of somebody's own that did not announce them cannot be played: an error, and no verdict."""
    with server(silent) as endpoint:
        the_task = replace(task(tmp_path, [endpoint], kind="multi-key", single_reads=0.0), protocol="memcached")
        with pytest.raises(RuntimeError, match="no requests of several keys"):
            play_here(the_task, 50)
