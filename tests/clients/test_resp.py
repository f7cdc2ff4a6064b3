"""RESP: what is asked, and what every answer means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.clients import CODECS, ProtocolBreach, Reply
from harness.clients.resp import LISTS, REFUSALS, Resp
from harness.history import Function, Seen, Status

READ, WRITE, DELETE = Function.READ, Function.WRITE, Function.DELETE


def test_requests_are_arrays_of_bulk_strings() -> None:
    """GET, SET and DEL as the protocol wants them, binary-safe."""
    codec = CODECS.load("resp")()
    assert codec.request(READ, b"a\r\n") == b"*2\r\n$3\r\nGET\r\n$3\r\na\r\n\r\n"
    assert codec.request(WRITE, b"k", b"k|1|2") == b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nk|1|2\r\n"
    assert codec.request(DELETE, b"k") == b"*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n"


def test_values_may_be_written_with_a_time_to_live() -> None:
    """SET says PX; GET and DEL are as ever."""
    codec = Resp(expire_ms=1500)
    assert codec.request(Function.WRITE, b"k", b"v") == b"*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$2\r\nPX\r\n$4\r\n1500\r\n"
    assert codec.request(Function.READ, b"k") == Resp().request(Function.READ, b"k")


@pytest.mark.parametrize(
    ("function", "answer", "reply"),
    [
        (READ, b"$5\r\nk|1|2\r\n", Reply(Status.OK, Seen.HIT, b"k|1|2")),
        (READ, b"$0\r\n\r\n", Reply(Status.OK, Seen.HIT, b"")),
        (READ, b"$-1\r\n", Reply(Status.OK, Seen.MISS)),
        (READ, b"_\r\n", Reply(Status.OK, Seen.MISS)),
        (READ, b":5\r\n", Reply(Status.OK, Seen.HIT, b"5")),
        (WRITE, b"+OK\r\n", Reply(Status.OK)),
        (WRITE, b"$-1\r\n", Reply(Status.INFO, error="unexpected reply to a write")),
        (WRITE, b":1\r\n", Reply(Status.INFO, error="unexpected reply to a write")),
        (DELETE, b":0\r\n", Reply(Status.OK)),
        (DELETE, b":1\r\n", Reply(Status.OK)),
        (DELETE, b"+OK\r\n", Reply(Status.INFO, error="unexpected reply to a delete")),
    ],
)
def test_each_answer_has_one_meaning(function: Function, answer: bytes, reply: Reply) -> None:
    """Hits, misses, acknowledgements, and answers that fit no question."""
    codec = Resp()
    assert codec.feed(answer, function) == reply
    assert codec.idle()


@pytest.mark.parametrize("first", LISTS)
def test_lists_are_refused_before_room_is_made_for_them(first: bytes) -> None:
    """No answer is a list, and one that says that it has four billion elements must not take the memory for them."""
    with pytest.raises(ProtocolBreach, match="list"):
        Resp().feed(first + b"4000000000\r\n", READ)
    codec = Resp()
    assert codec.feed(b"$3\r\n", READ) is None
    assert codec.feed(b"*9\n\r\n", READ) == Reply(Status.OK, Seen.HIT, b"*9\n")


@pytest.mark.parametrize("word", sorted(REFUSALS))
@pytest.mark.parametrize("function", [READ, WRITE, DELETE])
def test_refusals_are_fail(function: Function, word: str) -> None:
    """A command that the server refused before running it did not happen."""
    reply = Resp().feed(f"-{word} some words\r\n".encode(), function)
    assert reply is not None
    assert (reply.status, reply.seen) == (Status.FAIL, Seen.NOTHING)
    assert reply.error.startswith(word)


def test_errors_that_name_addresses_are_told_by_their_first_word() -> None:
    """Sixteen thousand slots are one error, not sixteen thousand."""
    assert Resp().feed(b"-MOVED 3999 127.0.0.1:6381\r\n", WRITE) == Reply(
        Status.FAIL, error="MOVED", redirect="MOVED 3999 127.0.0.1:6381"
    )


@pytest.mark.parametrize("text", [b"ERR unknown command 'SETT'", b"ERR max number of clients reached"])
def test_generic_errors_that_refuse_are_fail(text: bytes) -> None:
    """Some refusals have no word of their own."""
    reply = Resp().feed(b"-%b\r\n" % text, WRITE)
    assert reply is not None
    assert reply.status is Status.FAIL


@pytest.mark.parametrize("text", [b"ERR internal", b"WRONGTYPE Operation", b"EXECABORT x", b"UNKNOWNWORD", b"\xff\xfe", b""])
def test_other_errors_are_info(text: bytes) -> None:
    """Nobody knows what the server did before it said so."""
    reply = Resp().feed(b"-%b\r\n" % text, WRITE)
    assert reply is not None
    assert reply.status is Status.INFO


@given(st.sampled_from([b"$5\r\nk|1|2\r\n", b"$-1\r\n", b"-READONLY no\r\n", b":12\r\n"]), st.data())
def test_an_answer_may_come_in_pieces(answer: bytes, data: st.DataObject) -> None:
    """However the bytes are cut, the reply is the same and comes with the last of them."""
    cuts = sorted(data.draw(st.sets(st.integers(1, len(answer) - 1))))
    pieces = [answer[a:b] for a, b in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
    codec = Resp()
    *early, last = [codec.feed(piece, READ) for piece in pieces]
    assert early == [None] * len(early)
    assert last == Resp().feed(answer, READ)


@pytest.mark.parametrize("data", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\x00", b"$abc\r\n", b"$-7\r\n"])
def test_bytes_of_another_protocol_are_a_breach(data: bytes) -> None:
    """A server that does not speak the protocol raises the one exception for that."""
    with pytest.raises(ProtocolBreach):
        Resp().feed(data, READ)


def test_bytes_after_the_reply_are_noticed() -> None:
    """A second reply that nobody asked for would pass for the next operation's."""
    codec = Resp()
    assert codec.feed(b"$-1\r\n$5\r\nk|1|2\r\n", READ) == Reply(Status.OK, Seen.MISS)
    assert not codec.idle()


@given(st.binary(max_size=40), st.sampled_from([READ, WRITE, DELETE]))
def test_no_bytes_crash_the_codec(data: bytes, function: Function) -> None:
    """Any bytes are a reply, the beginning of one, or a breach."""
    try:
        reply = Resp().feed(data, function)
    except ProtocolBreach:
        return
    assert reply is None or isinstance(reply, Reply)
