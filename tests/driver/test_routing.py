"""Sessions that leave the way to a router, against servers that send them elsewhere: the journal has who was really asked."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from harness.driver.loop import MAX_HOPS
from harness.driver.task import Task
from harness.history import Function, History, Seen, Status
from harness.journal import read_oddities
from harness.routing.cluster import SLOTS, ClusterRouting, ReadFrom, Slots, address
from harness.routing.sentinel import SentinelRouting
from harness.runtimes.base import Endpoint
from harness.topology import ROUTED
from tests.driver.runs import play_here, task
from tests.driver.servers import answering, black_hole, refusing_endpoint, server


def routed(directory: Path, endpoints: list[Endpoint], read_from: ReadFrom = "primary", **spec: object) -> Task:
    """A task whose sessions take node 0 for the owner of everything, with node 1 as its replica."""
    plain = task(directory, endpoints, **spec)
    addresses = {address(endpoint): node for node, endpoint in enumerate(endpoints)}
    routing = ClusterRouting((Slots(0, SLOTS - 1, 0, (1,)),), addresses, read_from)
    return replace(plain, topology=replace(plain.topology, writable=(ROUTED,), readable=(ROUTED,)), routing=routing)


def errors(history: History) -> set[str]:
    return {history.errors[code] for code in history.error if code >= 0}


def noting(asked: list[bytes], reply: Callable[[bytes], bytes]) -> Callable[[socket.socket], None]:
    """A server that keeps what it is sent and answers each command on its own."""

    def handle(connection: socket.socket) -> None:
        while data := connection.recv(4096):
            asked.append(data)
            connection.sendall(b"".join(reply(command) for command in data.split(b"*")[1:]))

    return handle


def moved(to: Endpoint, word: str = "MOVED") -> bytes:
    return f"-{word} 7 {address(to)}\r\n".encode()


def test_an_operation_that_is_sent_on_goes_on_at_the_right_node(tmp_path: Path) -> None:
    """Nothing fails; every operation has one row, with the node that answered; once told, the client knows the slot."""
    asked: list[bytes] = []
    with server(answering(b"$-1\r\n")) as there, server(noting(asked, lambda _: moved(there))) as here:
        task_ = routed(tmp_path, [here, there], reads=1.0, keys=20)
        history = play_here(task_, 200)
    assert len(history) > 20
    assert (history.status == Status.OK).all()
    assert (history.node == 1).all()
    assert history.routed
    sessions = task_.workloads[0].sessions
    assert asked
    assert max(Counter(asked).values()) <= sessions, "a slot is asked for at the wrong node by those who were under way to it"
    assert (history.process == history.session).all()
    assert not read_oddities(_journals(tmp_path))


def test_ask_is_followed_for_one_operation_with_asking_ahead(tmp_path: Path) -> None:
    """Every operation asks the owner first; what goes on elsewhere begins with ASKING, whose answer is nobody's."""
    asked: list[bytes] = []

    def reply(command: bytes) -> bytes:
        return b"+OK\r\n" if b"ASKING" in command or b"SET" in command else b"$-1\r\n"

    with server(noting(asked, reply)) as there, server(answering(moved(there, "ASK"))) as here:
        history = play_here(routed(tmp_path, [here, there], reads=0.5), 200)
    assert len(history) > 20
    assert (history.status == Status.OK).all()
    assert (history.node == 1).all()
    assert all(data.startswith(b"*1\r\n$6\r\nASKING\r\n*") and data.count(b"ASKING") == 1 for data in asked)
    reads = history.function == Function.READ
    assert (history.seen[reads] == Seen.MISS).all()
    assert not read_oddities(_journals(tmp_path))


def test_two_nodes_that_point_at_each_other_fail_the_operation(tmp_path: Path) -> None:
    """A client gives up after five hops: neither of them did anything."""
    hops: list[bytes] = []
    there: list[Endpoint] = []
    with server(noting(hops, lambda _: moved(there[0]))) as here, server(noting(hops, lambda _: moved(here))) as other:
        there.append(other)
        history = play_here(routed(tmp_path, [here, other], sessions=1), 100)
    assert errors(history) == {"MOVED"}
    assert (history.status == Status.FAIL).all()
    assert len(hops) == len(history) * (1 + MAX_HOPS)
    assert (history.return_ns >= history.call_ns).all()


def test_a_redirect_to_a_stranger_is_a_failure_and_an_oddity(tmp_path: Path) -> None:
    """Nobody asks an address that is none of the candidate's."""
    with server(answering(b"-MOVED 7 10.9.8.7:6379\r\n")) as here:
        history = play_here(routed(tmp_path, [here]), 100)
    assert errors(history) == {"MOVED"}
    assert (history.status == Status.FAIL).all()
    assert any("10.9.8.7" in oddity.text for oddity in read_oddities(_journals(tmp_path)))


def test_an_operation_that_is_sent_on_to_a_dead_node_fails(tmp_path: Path) -> None:
    """The first node did nothing, and the second never heard of it: it provably did not happen."""
    dead = refusing_endpoint()
    with server(answering(moved(dead))) as here:
        history = play_here(routed(tmp_path, [here, dead]), 200)
    assert errors(history) == {"connect: connection refused"}
    assert (history.status == Status.FAIL).all()
    assert (history.node == 1).all()


def test_an_operation_that_is_sent_on_to_a_silent_address_fails_in_time(tmp_path: Path) -> None:
    """The time-out counts from the call: the wait at the second node is part of it."""
    with black_hole() as silent, server(answering(moved(silent))) as here:
        the_task = routed(tmp_path, [here, silent], timeout_ms=80)
        # Nobody connects to the replica ahead of the start: it is no place for operations.
        history = play_here(the_task, 300)
    assert errors(history) == {"connect: time-out"}
    assert (history.status == Status.FAIL).all()
    lasted_ms = (history.return_ns - history.call_ns) / 1e6
    assert lasted_ms.min() >= 80
    assert lasted_ms.max() < 1_000


def test_an_operation_that_is_lost_at_the_second_node_is_info_there(tmp_path: Path) -> None:
    """What was sent on may have happened where it was sent to."""

    def dying(connection: socket.socket) -> None:
        connection.recv(4096)

    with server(dying) as there, server(answering(moved(there))) as here:
        history = play_here(routed(tmp_path, [here, there]), 200)
    lost = history.status == Status.INFO
    assert lost.sum() > 4
    assert (history.node[lost] == 1).all()


def test_a_lost_owner_is_asked_for_elsewhere(tmp_path: Path) -> None:
    """Its connection is refused once or twice; from then on the others are asked, and one of them has taken over."""
    dead = refusing_endpoint()
    with server(answering(b"$-1\r\n")) as other:
        history = play_here(routed(tmp_path, [dead, other], reads=1.0), 200)
    ok = history.status == Status.OK
    assert ok.sum() > 20
    assert (history.node[ok] == 1).all()
    assert (~ok).sum() <= 4
    assert (history.node[~ok] == 0).all()


def test_connections_begin_with_readonly_where_replicas_are_read(tmp_path: Path) -> None:
    """Once a connection, ahead of the first operation; the answer to it is nobody's."""
    asked: list[bytes] = []

    def reply(command: bytes) -> bytes:
        return b"+OK\r\n" if b"READONLY" in command else b"$-1\r\n"

    with server(noting(asked, reply)) as replica, server(answering(b"+OK\r\n")) as owner:
        history = play_here(routed(tmp_path, [owner, replica], read_from="replicas", reads=1.0, sessions=3), 100)
    assert (history.status == Status.OK).all()
    assert (history.node == 1).all()
    assert sum(b"READONLY" in data for data in asked) == 3
    assert sum(data.startswith(b"*1\r\n$8\r\nREADONLY\r\n*2") for data in asked) == 3


def test_a_session_that_names_its_node_is_not_sent_on(tmp_path: Path) -> None:
    """Who asks a certain replica wants its word: MOVED is that."""
    with server(answering(b"$-1\r\n")) as there, server(answering(moved(there))) as here:
        both = routed(tmp_path, [here, there], reads=1.0)
        history = play_here(replace(both, topology=replace(both.topology, readable=(0,))), 100)
    assert errors(history) == {"MOVED"}
    assert (history.node == 0).all()
    assert not history.routed


def sentinel(tmp_path: Path, endpoints: list[Endpoint], sentinels: list[Endpoint]) -> Task:
    """A task whose sessions write and read where the sentinels say; the first node is the primary."""
    plain = task(tmp_path, [*endpoints, *sentinels], reads=0.5)
    sources = tuple(range(len(endpoints), len(endpoints) + len(sentinels)))
    routing = SentinelRouting("cache", 0, sources, {address(endpoint): node for node, endpoint in enumerate(endpoints)})
    return replace(plain, topology=replace(plain.topology, writable=(ROUTED,), readable=(ROUTED,)), routing=routing)


def words(*texts: str) -> bytes:
    return b"".join(b"$%d\r\n%b\r\n" % (len(text), text.encode()) for text in texts)


def storing(connection: socket.socket) -> None:
    while data := connection.recv(4096):
        connection.sendall(b"+OK\r\n" if b"SET" in data else b"$-1\r\n")


def test_the_news_of_a_sentinel_moves_all_sessions(tmp_path: Path) -> None:
    """They write at the old primary until the switch is told, and at the new one from then on."""
    told = Event()

    with server(storing) as old, server(storing) as new:

        def speaking(connection: socket.socket) -> None:
            connection.recv(4096)
            time.sleep(0.15)
            news = f"cache {old.host} {old.port} {new.host} {new.port}"
            connection.sendall(b">3\r\n" + words("message", "+switch-master", news))
            told.set()
            connection.recv(4096)

        with server(speaking) as one:
            history = play_here(sentinel(tmp_path, [old, new], [one]), 400)
    assert told.is_set()
    assert (history.status == Status.OK).all()
    before, after = history.node[: len(history) // 10], history.node[-len(history) // 10 :]
    assert set(before) == {0}
    assert set(after) == {1}
    assert np.count_nonzero(np.diff(history.node)) <= 8, "sessions change once, with those that were under way"


def test_a_lost_primary_is_asked_for_and_the_first_who_knows_better_is_believed(tmp_path: Path) -> None:
    """One sentinel is gone, one silent, one garbled, one holds to the old; the last one names the new primary."""
    dead = refusing_endpoint()

    def naming(endpoint: Endpoint) -> Callable[[socket.socket], None]:
        def handle(connection: socket.socket) -> None:
            while data := connection.recv(4096):
                if b"GET-MASTER-ADDR-BY-NAME" in data:
                    connection.sendall(b"*2\r\n" + words(endpoint.host, str(endpoint.port)))

        return handle

    def silent(connection: socket.socket) -> None:
        while connection.recv(4096):
            pass

    with (
        server(storing) as new,
        server(silent) as quiet,
        server(answering(b"?what\r\n")) as garbled,
        server(naming(dead)) as loyal,
        server(naming(new)) as knows,
    ):
        history = play_here(sentinel(tmp_path, [dead, new], [refusing_endpoint(), quiet, garbled, loyal, knows]), 600)
    ok = history.status == Status.OK
    assert ok.sum() > 20
    assert set(history.node[ok]) == {1}
    assert set(history.node[~ok]) == {0}
    assert errors(history) == {"connect: connection refused"}
    assert {oddity.node for oddity in read_oddities(_journals(tmp_path))} == {"replica-4"}, "the garbled one, and no other"


@pytest.mark.parametrize("answer", [b"-READONLY You can't write against a read only replica.\r\n"])
def test_a_primary_that_has_become_a_replica_is_left(tmp_path: Path, answer: bytes) -> None:
    """It answers, but takes no writes: the sentinels are asked."""

    def demoted(connection: socket.socket) -> None:
        while data := connection.recv(4096):
            connection.sendall(answer if b"SET" in data else b"$-1\r\n")

    with server(demoted) as old, server(storing) as new:

        def naming(connection: socket.socket) -> None:
            while data := connection.recv(4096):
                if b"GET-MASTER-ADDR-BY-NAME" in data:
                    connection.sendall(b"*2\r\n" + words(new.host, str(new.port)))

        with server(naming) as one:
            history = play_here(sentinel(tmp_path, [old, new], [one]), 400)
    refused = history.status == Status.FAIL
    assert refused.sum() >= 1
    assert set(history.node[refused]) == {0}
    assert history.node[-1] == 1


def _journals(directory: Path) -> Path:
    (journals,) = (place for place in directory.iterdir() if place.is_dir())
    return journals
