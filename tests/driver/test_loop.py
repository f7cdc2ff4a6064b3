"""The loop against servers that misbehave in one way each: every operation ends as what it provably was."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from harness.driver.connection import Client
from harness.driver.loop import STALL_NS
from harness.driver.oddities import MAX_ODDITIES
from harness.driver.sessions import FAIL_PAUSE_NS
from harness.driver.worker import Worker
from harness.history import NEVER, Function, History, Seen, Status
from harness.journal import read_journals, read_oddities
from harness.operations import Operation, Outcome, Session
from tests.driver.codecs import PADDING
from tests.driver.runs import MS, play_here, task
from tests.driver.servers import answering, black_hole, refusing_endpoint, server


def errors(history: History) -> set[str]:
    return {history.errors[code] for code in history.error if code >= 0}


def iter_once(operation: Operation) -> Session:
    yield operation


def assert_one_process_for_each_info(history: History) -> None:
    """A process ends with its first info, and no two sessions ever share one."""
    for process in np.unique(history.process):
        rows = np.flatnonzero(history.process == process)
        assert len(set(history.session[rows])) == 1
        assert (history.status[rows[:-1]] != Status.INFO).all()
    for session in np.unique(history.session):
        rows = np.flatnonzero(history.session == session)
        for before, after in pairwise(rows):
            assert (history.process[before] == history.process[after]) == (history.status[before] != Status.INFO)


def test_silence_is_info_after_the_timeout(tmp_path: Path) -> None:
    """A server that never answers: time-outs, each on a fresh connection and under a fresh process."""
    connections: list[int] = []

    def silent(connection: socket.socket) -> None:
        connections.append(1)
        while connection.recv(4096):
            pass

    with server(silent) as endpoint:
        history = play_here(task(tmp_path, [endpoint], timeout_ms=50), 400)
    assert len(history) > 4
    assert errors(history) == {"time-out"}
    assert (history.status == Status.INFO).all()
    assert (history.return_ns == NEVER).all()
    assert len(connections) >= len(history)
    assert_one_process_for_each_info(history)
    for session in range(4):
        calls = history.call_ns[history.session == session]
        assert (np.diff(calls) >= 50 * MS).all()


def test_a_late_answer_is_never_taken_for_another(tmp_path: Path) -> None:
    """The answer to an operation that timed out finds its connection gone."""

    def late(connection: socket.socket) -> None:
        while connection.recv(4096):
            time.sleep(0.12)
            connection.sendall(b"$-1\r\n")

    with server(late) as endpoint:
        history = play_here(task(tmp_path, [endpoint], timeout_ms=50, reads=1.0), 500)
    assert errors(history) == {"time-out"}
    assert (history.status == Status.INFO).all()


def dying(connection: socket.socket) -> None:
    connection.recv(4096)


def resetting(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def stuttering(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"$30\r\nonly the begin")


@pytest.mark.parametrize(
    ("handle", "error"),
    [
        (dying, "connection closed by the server"),
        (stuttering, "connection closed by the server"),
        (resetting, "connection reset by peer"),
    ],
)
def test_a_connection_lost_after_sending_is_info(tmp_path: Path, handle: Callable[[socket.socket], None], error: str) -> None:
    """Nobody knows what the server did before it went."""
    with server(handle) as endpoint:
        history = play_here(task(tmp_path, [endpoint]), 200)
    assert len(history) > 8
    assert error in errors(history)
    assert (history.status[history.error == history.errors.index(error)] == Status.INFO).all()
    # A reset may also be met while sending: then nothing was sent.
    assert errors(history) - {error} <= {"not sent: broken pipe", "not sent: connection reset by peer"}
    assert_one_process_for_each_info(history)


def test_a_refused_connection_is_fail(tmp_path: Path) -> None:
    """Nothing was sent: it provably did not happen, the process goes on, and the session rests before it tries again."""
    history = play_here(task(tmp_path, [refusing_endpoint()]), 300)
    assert errors(history) == {"connect: connection refused"}
    assert (history.status == Status.FAIL).all()
    assert (history.return_ns >= history.call_ns).all()
    assert (history.process == history.session).all()
    for session in range(4):
        rows = history.session == session
        assert rows.sum() > 3
        assert (history.call_ns[rows][1:] - history.return_ns[rows][:-1] >= FAIL_PAUSE_NS).all()


def test_a_connection_that_never_opens_is_fail(tmp_path: Path) -> None:
    """A black hole takes no connection: after the time-out it is certain that nothing was sent."""
    with black_hole() as endpoint:
        worker = Worker(task(tmp_path, [endpoint], timeout_ms=60, sessions=2), 0)
        begin_ns = worker.loop.now_ns()
        worker.run(begin_ns, begin_ns + 300 * MS)
        worker.close()
    history = read_journals(worker.task.directory)
    assert len(history) >= 4
    assert errors(history) == {"connect: time-out"}
    assert (history.status == Status.FAIL).all()


def test_what_waits_for_its_connection_is_not_called_yet(tmp_path: Path) -> None:
    """The journal hears of an operation when it is sent or cannot be: a kill before that leaves no trace of it."""
    with black_hole() as endpoint:
        the_task = task(tmp_path, [endpoint], timeout_ms=50, sessions=1)
        worker = Worker(the_task, 0)
        assert len(read_journals(the_task.directory)) == 0
        client = Client(iter_once(Operation(Function.READ, 0, 0)), 0, 0, 1)
        waited: list[int] = []

        def looked() -> None:
            waited.append(len(read_journals(the_task.directory)))

        turn = worker.loop._turn
        worker.loop._turn = lambda wait_ns: (turn(wait_ns), looked())[0]  # type: ignore[method-assign]
        begin_ns = worker.loop.now_ns()
        worker.loop.run([client], begin_ns, begin_ns + 500 * MS)
    assert waited[0] == 0
    assert waited[-1] == 1
    history = read_journals(the_task.directory)
    assert errors(history) == {"connect: time-out"}
    assert history.due_ns[0] == history.call_ns[0] <= history.return_ns[0] - 50 * MS


@pytest.mark.parametrize(
    ("answer", "status"),
    [(b"-READONLY You can't write against a read only replica.\r\n", Status.FAIL), (b"-ERR odd\r\n", Status.INFO)],
)
def test_an_error_reply_keeps_the_connection(tmp_path: Path, answer: bytes, status: Status) -> None:
    """The codec's word on fail or info is recorded; the conversation is in step, so the connection stays."""
    connections: list[int] = []

    def handle(connection: socket.socket) -> None:
        connections.append(1)
        answering(answer)(connection)

    with server(handle) as endpoint:
        history = play_here(task(tmp_path, [endpoint]), 150)
    assert len(history) > 8
    assert (history.status == status).all()
    assert len(connections) == 4
    assert_one_process_for_each_info(history)


def test_a_value_of_nobodys_is_garbage(tmp_path: Path) -> None:
    """It is an answer, and recorded as one; the first few are kept word for word."""
    with server(answering(b"$7\r\nnonsens\r\n")) as endpoint:
        history = play_here(task(tmp_path, [endpoint], reads=1.0), 150)
        directory = next(tmp_path.iterdir())
    assert (history.status == Status.OK).all()
    assert (history.seen == Seen.GARBAGE).all()
    assert (history.seen_op == -1).all()
    oddities = read_oddities(directory)
    assert len(oddities) == MAX_ODDITIES
    assert "nonsens" in oddities[0].text
    assert oddities[0].node == "primary"


def test_a_server_of_another_protocol_is_recorded(tmp_path: Path) -> None:
    """Bytes that are no RESP make the operation info, cost the connection, and are kept."""
    with server(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as endpoint:
        history = play_here(task(tmp_path, [endpoint]), 150)
        directory = next(tmp_path.iterdir())
    assert len(history) > 8
    assert all(error.startswith("protocol error") for error in errors(history))
    assert (history.status == Status.INFO).all()
    assert any("HTTP/1.1" in oddity.text for oddity in read_oddities(directory))


def test_bytes_that_nobody_asked_for_cost_the_connection(tmp_path: Path) -> None:
    """A doubled reply is kept from being the answer to the next question: no operation is answered by another's reply."""
    asked = {b"GET": b"$9\r\nelsewhere\r\n", b"SET": b"+OK\r\n"}

    def doubling(connection: socket.socket) -> None:
        while data := connection.recv(4096):
            connection.sendall(asked[data[8:11]] * 2)

    with server(doubling) as endpoint:
        history = play_here(task(tmp_path, [endpoint], reads=0.5), 200)
        directory = next(tmp_path.iterdir())
    assert len(history) > 8
    assert (history.status == Status.OK).all(), "a write was answered by a read's reply, or the other way round"
    assert any(oddity.text.startswith("out of step") for oddity in read_oddities(directory))


def test_a_greeting_is_an_oddity(tmp_path: Path) -> None:
    """A server that talks first is recorded, and nothing it said is taken for an answer."""

    def greeting(connection: socket.socket) -> None:
        connection.sendall(b"$7\r\nwelcome\r\n")
        while connection.recv(4096):
            time.sleep(0.05)

    with server(greeting) as endpoint:
        the_task = task(tmp_path, [endpoint], reads=1.0, timeout_ms=40)
        worker = Worker(the_task, 0)
        worker.open()
        for _ in range(5):
            worker.loop._turn(10 * MS)
        worker.close()
    assert any(oddity.text.startswith("unasked") and "welcome" in oddity.text for oddity in read_oddities(the_task.directory))


def test_an_answer_in_pieces_returns_with_its_last_byte(tmp_path: Path) -> None:
    """The return time is that of the last byte, not of the first."""

    def dribbling(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while connection.recv(4096):
            for byte in b"$-1\r\n":
                time.sleep(0.004)
                connection.sendall(bytes([byte]))

    with server(dribbling) as endpoint:
        history = play_here(task(tmp_path, [endpoint], reads=1.0), 200)
    ok = history.status == Status.OK
    assert ok.sum() >= 8
    assert (history.seen[ok] == Seen.MISS).all()
    assert (history.return_ns[ok] - history.call_ns[ok] >= 19 * MS).all()


def test_large_requests_and_replies_go_through_whole(tmp_path: Path) -> None:
    """What the kernel does not take or give at once is sent and received in as many pieces as it likes."""
    stored: dict[bytes, bytes] = {}

    def storing(connection: socket.socket) -> None:
        file = connection.makefile("rb")
        while head := file.readline():
            words = [file.read(int(file.readline()[1:]) + 2)[:-2] for _ in range(int(head[1:]))]
            if words[0] == b"SET":
                stored[words[1]] = words[2]
                connection.sendall(b"+OK\r\n")
            elif value := stored.get(words[1]):
                connection.sendall(b"$%d\r\n%b\r\n" % (len(value), value))
            else:
                connection.sendall(b"$-1\r\n")

    with server(storing) as endpoint:
        the_task = replace(
            task(tmp_path, [endpoint], timeout_ms=20_000, sessions=2, keys=2, reads=0.5), protocol="tests.driver.codecs:Bulky"
        )
        history = play_here(the_task, 400)
    assert (history.status == Status.OK).all()
    assert {int(size) for size in map(len, stored.values())} & set(range(len(PADDING) + 5, len(PADDING) + 40))
    assert (history.seen == Seen.GARBAGE).any(), "the padding is no value of ours, and was read back"


def test_a_request_that_was_sent_in_part_is_info(tmp_path: Path) -> None:
    """The server got some of it and is gone: whether that was enough only it could say."""

    def nibbling(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.recv(1000)

    with server(nibbling) as endpoint:
        the_task = replace(task(tmp_path, [endpoint], sessions=2, reads=0.0), protocol="tests.driver.codecs:Bulky")
        history = play_here(the_task, 250)
    assert len(history) > 2
    assert (history.status == Status.INFO).all()


def test_an_operation_holds_what_the_server_saw_of_it(tmp_path: Path) -> None:
    """Called before its first byte was there, returned after its last byte had left: real time is never turned round."""
    seen: dict[bytes, tuple[int, int]] = {}

    def telling(connection: socket.socket) -> None:
        while request := connection.recv(4096):
            arrived_ns = time.monotonic_ns()
            value = request.split(b"\r\n")[-2]
            time.sleep(0.001)
            seen[value] = arrived_ns, time.monotonic_ns()
            connection.sendall(b"+OK\r\n")

    with server(telling) as endpoint:
        the_task = task(tmp_path, [endpoint], sessions=8, keys=8, reads=0.0)
        history = play_here(the_task, 200)
    assert len(history) == len(seen) > 16
    for value, (arrived_ns, left_ns) in seen.items():
        row = history.rows_of(np.array([int(value.rpartition(b"|")[2])]))[0]
        assert history.call_ns[row] + the_task.origin_ns <= arrived_ns
        assert history.return_ns[row] + the_task.origin_ns >= left_ns
    for session in range(8):
        rows = history.session == session
        assert (history.call_ns[rows][1:] >= history.return_ns[rows][:-1]).all(), "one operation at a time"


def test_the_end_waits_for_answers_without_haste(tmp_path: Path) -> None:
    """After the end answers are still taken in; sessions are asked for nothing more, and the loop sleeps meanwhile."""
    asked: list[int] = []

    def slow(connection: socket.socket) -> None:
        asked.append(1)
        delay = 0.1 * len(asked)
        while connection.recv(4096):
            time.sleep(delay)
            connection.sendall(b"$-1\r\n")

    with server(slow) as endpoint:
        worker = Worker(task(tmp_path, [endpoint], sessions=3, reads=1.0), 0)
        worker.open()
        turns: list[int] = []
        turn = worker.loop._turn
        worker.loop._turn = lambda wait_ns: (turn(wait_ns), turns.append(1))[0]  # type: ignore[method-assign,func-returns-value]
        begin_ns = worker.loop.now_ns()
        worker.run(begin_ns, begin_ns + 50 * MS)
        worker.close()
    history = read_journals(worker.task.directory)
    assert len(history) == 3
    assert (history.status == Status.OK).all()
    assert len(turns) < 100


def test_a_slow_server_does_not_slow_the_schedule(tmp_path: Path) -> None:
    """Open loop: arrivals keep their times; waiting shows between due and call, never as service time."""

    def slow(connection: socket.socket) -> None:
        while connection.recv(4096):
            time.sleep(0.02)
            connection.sendall(b"$-1\r\n")

    with server(slow) as endpoint:
        history = play_here(task(tmp_path, [endpoint], sessions=1, reads=1.0, rate=200.0), 600)
    lag_ns = history.call_ns - history.due_ns
    service_ns = history.return_ns - history.call_ns
    assert 3 <= len(history) <= 30
    assert (lag_ns >= 0).all()
    # Arrivals every 5 ms, served in 20: the queue grows by about three quarters of the time that has passed.
    assert lag_ns[-1] > 100 * MS
    assert np.median(service_ns) < lag_ns[-1]
    assert np.diff(history.due_ns).mean() < 12 * MS


def test_at_full_speed_an_operation_is_due_when_it_is_called(tmp_path: Path) -> None:
    """Without a rate nothing waits but for its own session."""
    with server(answering(b"$-1\r\n")) as endpoint:
        history = play_here(task(tmp_path, [endpoint], reads=1.0), 100)
    assert len(history) > 20
    assert (history.due_ns == history.call_ns).all()
    for session in range(4):
        rows = history.session == session
        assert (history.call_ns[rows][1:] >= history.return_ns[rows][:-1]).all()


def test_poisson_arrivals_come_at_the_rate_asked_for(tmp_path: Path) -> None:
    """All sessions together are due at the workload's rate, with exponential gaps."""
    with server(answering(b"$-1\r\n")) as endpoint:
        history = play_here(task(tmp_path, [endpoint], reads=1.0, sessions=8, rate=1_000.0), 1_000)
    gaps_ns = np.diff(np.sort(history.due_ns))
    assert len(history) > 200
    assert 0.85 < gaps_ns.mean() / MS < 1.15
    assert 0.8 < gaps_ns.std() / gaps_ns.mean() < 1.2


def test_operations_are_not_called_before_they_are_due(tmp_path: Path) -> None:
    """A think time ends on time: never early, and within moments."""
    the_task = task(tmp_path, [refusing_endpoint()])
    with server(answering(b"$-1\r\n")) as endpoint:
        worker = Worker(replace(the_task, endpoints=(endpoint,)), 0)

        def thinking():
            outcome = yield Operation(Function.READ, 0, 0)
            for _ in range(20):
                outcome = yield Operation(Function.READ, 0, 0, due_ns=outcome.return_ns + 3 * MS + 300_000)

        client = Client(thinking(), 0, 0, 1)
        begin_ns = worker.loop.now_ns()
        worker._play([client], begin_ns, begin_ns + 20_000 * MS)
        worker.close()
    history = read_journals(the_task.directory)
    lag_ns = (history.call_ns - history.due_ns)[1:]
    assert len(lag_ns) == 20
    assert (lag_ns >= 0).all()
    assert lag_ns.min() < 5 * MS


def test_a_turn_that_takes_too_long_is_a_stall(tmp_path: Path) -> None:
    """Whatever holds the loop up is recorded as the harness's own failing."""
    with server(answering(b"$-1\r\n")) as endpoint:
        the_task = task(tmp_path, [endpoint], sessions=1)
        worker = Worker(the_task, 0)
        worker.open()

        def blocking():
            for number in range(200):
                outcome: Outcome = yield Operation(Function.READ, 0, 0)
                assert outcome.status is Status.OK
                if number == 100:
                    time.sleep(3 * STALL_NS / 1e9)

        begin_ns = worker.loop.now_ns()
        worker._play([Client(blocking(), 0, 0, 1)], begin_ns, begin_ns + 5_000 * MS)
        worker.close()
    stalls = read_journals(the_task.directory).stalls
    assert any(stall.end_ns - stall.begin_ns >= 3 * STALL_NS for stall in stalls)
