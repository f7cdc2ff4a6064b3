"""memcached's text protocol: what is asked, and what every answer means."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.clients import CODECS, Codec, ProtocolBreach, Reply
from harness.clients.memcached import MAX_LINE, MAX_NAME, MAX_VALUE, Memcached, wire_name
from harness.clients.memcached_meta import Meta
from harness.errors import StartupError
from harness.history import Function, Seen, Status
from harness.runtimes.addresses import Block, listening
from harness.runtimes.programs import find_program

READ, WRITE, DELETE = Function.READ, Function.WRITE, Function.DELETE
HIT = b"VALUE k 0 5\r\nk|1|2\r\nEND\r\n"


@pytest.fixture(scope="module")
def ask() -> Iterator[Callable[..., Reply]]:
    """Asks a real server, each time over a new connection."""
    try:
        program = find_program("memcached").path
    except StartupError as error:
        pytest.skip(str(error))
    with ExitStack() as stack:
        block = Block(1)
        stack.callback(block.close)
        where = block.endpoints[0]
        arguments = ["-l", where.host, "-p", str(where.port), "-U", "0", "-m", "16", "-u", "nobody"]
        server = subprocess.Popen([program, *arguments])
        stack.callback(server.wait)
        stack.callback(server.kill)
        deadline = time.monotonic() + 15
        while not listening(where):
            assert time.monotonic() < deadline
            time.sleep(0.005)

        def asked(codec: Codec, function: Function, key: bytes, value: bytes = b"") -> Reply:
            with socket.create_connection(where, timeout=10) as connection:
                connection.sendall(codec.request(function, key, value))
                reply = None
                while reply is None:
                    data = connection.recv(65_536)
                    assert data, "the server closed the connection"
                    reply = codec.feed(data, function)
                return reply

        yield asked


def test_requests_are_lines_of_text() -> None:
    """A get, a set with its value's length, a delete."""
    codec = CODECS.load("memcached")()
    assert codec.request(READ, b"a:1") == b"get a:1\r\n"
    assert codec.request(WRITE, b"k", b"k|1|2") == b"set k 0 0 5\r\nk|1|2\r\n"
    assert codec.request(DELETE, b"k") == b"delete k\r\n"


@pytest.mark.parametrize(
    ("function", "answer", "reply"),
    [
        (READ, HIT, Reply(Status.OK, Seen.HIT, b"k|1|2")),
        (READ, b"VALUE k 7 0\r\n\r\nEND\r\n", Reply(Status.OK, Seen.HIT, b"")),
        (READ, b"VALUE k 0 7\r\nEND\r\nEN\r\nEND\r\n", Reply(Status.OK, Seen.HIT, b"END\r\nEN")),
        (READ, b"END\r\n", Reply(Status.OK, Seen.MISS)),
        (READ, b"SERVER_ERROR out of memory writing get response\r\n", None),
        (READ, b"SERVER_ERROR proxy timed out\r\n", None),
        (WRITE, b"STORED\r\n", Reply(Status.OK)),
        (DELETE, b"DELETED\r\n", Reply(Status.OK)),
        (DELETE, b"NOT_FOUND\r\n", Reply(Status.OK)),
    ],
)
def test_each_answer_has_one_meaning(function: Function, answer: bytes, reply: Reply | None) -> None:
    """Hits, misses and acknowledgements; a read that was answered with an error is fail, for it changed nothing."""
    codec = Memcached()
    assert codec.feed(answer, function) == (reply or Reply(Status.FAIL, error=answer.decode().strip()))
    assert codec.idle()


@pytest.mark.parametrize("function", [WRITE, DELETE])
@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("ERROR", Status.FAIL),
        ("ERROR Too many open connections", Status.FAIL),
        ("CLIENT_ERROR bad command line format", Status.FAIL),
        ("SERVER_ERROR out of memory storing object", Status.FAIL),
        ("SERVER_ERROR object too large for cache", Status.FAIL),
        ("SERVER_ERROR timeout", Status.INFO),
        ("SERVER_ERROR", Status.INFO),
        ("SERVER_ERROR backend out of memory", Status.INFO),
    ],
)
def test_only_what_was_certainly_not_stored_is_fail(function: Function, line: str, status: Status) -> None:
    """Errors before a command runs are fail; what a proxy says of a server that it lost is info."""
    assert Memcached().feed(f"{line}\r\n".encode(), function) == Reply(status, error=line)


@pytest.mark.parametrize("codec", [Memcached, Meta])
def test_a_set_that_was_not_understood_ends_its_connection(codec: Callable[[], Codec]) -> None:
    """Its value may be read as commands, whose answers would pass for those to later operations."""
    for line, in_step in (
        (b"ERROR\r\n", False),
        (b"CLIENT_ERROR bad data chunk\r\n", False),
        (b"SERVER_ERROR timeout\r\n", True),
    ):
        conversation = codec()
        conversation.feed(line, WRITE)
        assert conversation.idle() is in_step
    conversation = codec()
    conversation.feed(b"ERROR\r\n", READ)
    assert conversation.idle()


@pytest.mark.parametrize(
    ("function", "data"),
    [
        (READ, b"STORED\r\n"),
        (READ, b"NOT_FOUND\r\n"),
        (READ, b"VALUE k 0\r\n"),
        (READ, b"VALUE k 0 -1\r\n\r\nEND\r\n"),
        (READ, b"VALUE k 0 5 17\r\nk|1|2\r\nEND\r\n"),
        (READ, b"VALUE k 0 4\r\nk|1|2\r\nEND\r\n"),
        (READ, b"VALUE k 0 5\r\nk|1|2\r\nVALUE"),
        (READ, b"VALUE k 0 %d\r\n" % (MAX_VALUE + 1)),
        (READ, b"VALUE " + b"k" * (MAX_NAME + 1) + b" 0 5\r\n"),
        (READ, b"ENDE\r\n"),
        (READ, b"A" * (MAX_LINE + 1)),
        (WRITE, b"DELETED\r\n"),
        (WRITE, b"NOT_STORED\r\n"),
        (WRITE, b"END\r\n"),
        (WRITE, b"ERRORS\r\n"),
        (DELETE, b"STORED\r\n"),
        (DELETE, b"VALUE k 0 5\r\nk|1|2\r\nEND\r\n"),
        (DELETE, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        (READ, b"-ERR unknown command\r\n"),
        (READ, b"$-1\r\n"),
        (READ, b"\x00\x00"),
        (READ, b"\r\n"),
    ],
)
def test_bytes_that_are_no_answer_are_a_breach(function: Function, data: bytes) -> None:
    """Another protocol, another question's answer, a length that is not true: nothing is guessed."""
    with pytest.raises(ProtocolBreach):
        Memcached().feed(data, function)


@given(st.sampled_from([HIT, b"END\r\n", b"ERROR\r\n"]), st.data())
def test_an_answer_may_come_in_pieces(answer: bytes, data: st.DataObject) -> None:
    """However the bytes are cut, the reply is the same and comes with the last of them."""
    cuts = sorted(data.draw(st.sets(st.integers(1, len(answer) - 1))))
    pieces = [answer[a:b] for a, b in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
    codec = Memcached()
    *early, last = [codec.feed(piece, READ) for piece in pieces]
    assert early == [None] * len(early)
    assert last == Memcached().feed(answer, READ)


@pytest.mark.parametrize("answer", [HIT, b"END\r\n"])
def test_bytes_after_the_reply_are_noticed(answer: bytes) -> None:
    """A second reply that nobody asked for would pass for the next operation's."""
    codec = Memcached()
    assert codec.feed(answer + b"END\r\n", READ) == Memcached().feed(answer, READ)
    assert not codec.idle()


@pytest.mark.parametrize(("codec", "answer"), [(Memcached, b"END\r\n"), (Meta, b"EN\r\n")])
def test_answers_to_what_went_ahead_are_passed_over(codec: Callable[[], Codec], answer: bytes) -> None:
    """However they are cut; whatever they say, they are not the operation's."""
    for first in (b"OK\r\n", b"ERROR\r\n"):
        for cut in range(1, len(first + answer)):
            conversation = codec()
            conversation.sent_ahead(1)
            whole = first + answer
            early, last = conversation.feed(whole[:cut], READ), conversation.feed(whole[cut:], READ)
            assert (early, last) == (None, Reply(Status.OK, Seen.MISS))
            assert conversation.idle()


@given(st.binary(max_size=40), st.sampled_from([READ, WRITE, DELETE]), st.sampled_from([Memcached, Meta]))
def test_no_bytes_crash_the_codec(data: bytes, function: Function, codec: Callable[[], Codec]) -> None:
    """Any bytes are a reply, the beginning of one, or a breach."""
    for head in (b"", b"VALUE k 0 ", b"VA ", b"HD "):
        try:
            reply = codec().feed(head + data, function)
        except ProtocolBreach:
            continue
        assert reply is None or isinstance(reply, Reply)


@pytest.mark.parametrize("key", [b"a b", b"a\r\nflush_all", b"", b"\x7f", b"k" * (MAX_NAME + 1)])
def test_a_name_that_memcached_cannot_take_goes_by_its_digest(key: bytes) -> None:
    """No name of a key can become a command, and different keys stay different."""
    name = wire_name(key)
    assert name != key
    assert wire_name(name) == name
    assert name != wire_name(key + b" ")
    assert Memcached().request(READ, key) == b"get %b\r\n" % name


@pytest.mark.parametrize("key", [b"1f00a2b3:register:0:17", b"k" * MAX_NAME, "grün".encode()])
def test_a_name_that_memcached_takes_is_left_alone(key: bytes) -> None:
    """What people look for on a server, they find."""
    assert wire_name(key) == key


@pytest.mark.servers
@pytest.mark.parametrize("codec", [Memcached, Meta])
@pytest.mark.parametrize("key", [b"plain", b"with a blank", b"x" * 300, "grün".encode()])
def test_a_real_server_understands(ask: Callable[..., Reply], codec: Callable[[], Codec], key: bytes) -> None:
    """Missing, written, overwritten, read, deleted, missing again: also under names that memcached would not take."""
    miss, done = Reply(Status.OK, Seen.MISS), Reply(Status.OK)
    assert ask(codec(), DELETE, key) == done
    assert ask(codec(), READ, key) == miss
    assert ask(codec(), WRITE, key, b"k|1|2") == done
    assert ask(codec(), WRITE, key, b"k|2|3") == done
    assert ask(codec(), READ, key) == Reply(Status.OK, Seen.HIT, b"k|2|3")
    assert ask(codec(), DELETE, key) == done
    assert ask(codec(), READ, key) == miss


@pytest.mark.servers
@pytest.mark.parametrize("codec", [Memcached, Meta])
def test_a_real_server_drops_the_old_value_with_one_that_is_too_large(
    ask: Callable[..., Reply], codec: Callable[[], Codec]
) -> None:
    """A set that fails stored nothing, and reads as a miss from then on."""
    assert ask(codec(), WRITE, b"large", b"small") == Reply(Status.OK)
    refused = ask(codec(), WRITE, b"large", b"x" * (2 << 20))
    assert refused == Reply(Status.FAIL, error="SERVER_ERROR object too large for cache")
    assert ask(codec(), READ, b"large") == Reply(Status.OK, Seen.MISS)
