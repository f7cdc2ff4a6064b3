"""RESP: what is asked, and what every answer means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.clients import CODECS, ManyKeys, ProtocolBreach, Reply
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


HIT, MISS = Reply(Status.OK, Seen.HIT, b"k|1|2"), Reply(Status.OK, Seen.MISS)


def test_requests_of_several_keys_are_one_command() -> None:
    """MGET, MSET and DEL as the protocol wants them, binary-safe."""
    codec = Resp()
    assert isinstance(codec, ManyKeys)
    assert codec.request_many(READ, [b"a\r\n", b"b"], []) == b"*3\r\n$4\r\nMGET\r\n$3\r\na\r\n\r\n$1\r\nb\r\n"
    assert (
        codec.request_many(WRITE, [b"a", b"b"], [b"v", b"ww"])
        == b"*5\r\n$4\r\nMSET\r\n$1\r\na\r\n$1\r\nv\r\n$1\r\nb\r\n$2\r\nww\r\n"
    )
    assert codec.request_many(DELETE, [b"a", b"b"], [b"", b""]) == b"*3\r\n$3\r\nDEL\r\n$1\r\na\r\n$1\r\nb\r\n"


def test_values_with_a_time_to_live_are_written_one_by_one() -> None:
    """MSET has no word for it, and says so before anything is asked."""
    assert Resp().one_by_one == ""
    assert "time to live" in Resp(expire_ms=1500).one_by_one


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        (b"*2\r\n$5\r\nk|1|2\r\n$-1\r\n", HIT._replace(beside=(MISS,))),
        (b"*2\r\n_\r\n$5\r\nk|1|2\r\n", MISS._replace(beside=(HIT,))),
        (b"*2\r\n$0\r\n\r\n$2\r\n\r\n\r\n", Reply(Status.OK, Seen.HIT, b"", beside=(HIT._replace(value=b"\r\n"),))),
        (b"*2\r\n:5\r\n+x\r\n", Reply(Status.OK, Seen.HIT, b"5", beside=(HIT._replace(value=b"x"),))),
        (b"*2\r\n$5\r\nk|1|2\r\n-LOADING no\r\n", Reply(Status.FAIL, error="LOADING no")),
        (b"*2\r\n-ERR odd\r\n$-1\r\n", Reply(Status.INFO, error="ERR odd")),
        (b"-MASTERDOWN no\r\n", Reply(Status.FAIL, error="MASTERDOWN no")),
        (b"-CROSSSLOT Keys in request\r\n", Reply(Status.FAIL, error="CROSSSLOT Keys in request")),
        (b"-MOVED 3 127.0.0.1:1\r\n", Reply(Status.FAIL, error="MOVED", redirect="MOVED 3 127.0.0.1:1")),
        (b"-ERR odd\r\n", Reply(Status.INFO, error="ERR odd")),
        (b"$5\r\nk|1|2\r\n", Reply(Status.INFO, error="no list in reply to a read")),
        (b"$-1\r\n", Reply(Status.INFO, error="no list in reply to a read")),
    ],
)
def test_a_list_answers_key_by_key(answer: bytes, reply: Reply) -> None:
    """Hits and misses in the order of the request; what went wrong with one key went wrong with the request."""
    codec = Resp()
    assert codec.feed_many(answer, READ, 2) == reply
    assert codec.idle()
    assert codec.feed(b"$-1\r\n", READ) == MISS, "the conversation goes on"
    for cut in range(1, len(answer)):
        assert codec.feed_many(answer[:cut], READ, 2) is None
        assert codec.feed_many(answer[cut:], READ, 2) == reply


def test_writes_of_several_keys_are_answered_as_of_one() -> None:
    """One OK, one number or one error is for all of them."""
    assert Resp().feed_many(b"+OK\r\n", WRITE, 3) == Reply(Status.OK)
    assert Resp().feed_many(b":2\r\n", DELETE, 3) == Reply(Status.OK)
    assert Resp().feed_many(b"-READONLY no\r\n", WRITE, 3) == Reply(Status.FAIL, error="READONLY no")
    assert Resp().feed_many(b"+O", WRITE, 3) is None


@pytest.mark.parametrize(
    "answer",
    [
        b"*1\r\n$-1\r\n",
        b"*3\r\n$-1\r\n",
        b"*-1\r\n",
        b"*1000000000\r\n",
        b"*22\r\n",
        b"*+2\r\n",
        b"*2\r\n*1000000000\r\n",
        b"*2\r\n$-1\r\n%1\r\n",
        b"*2\r\n$-2\r\n",
        b"*2\r\n$9999999999\r\n",
        b"*2\r\n$9999999\r\n",
        b"*2\r\n$ 1\r\nx\r\n",
        b"*2\r\n$1\r\nxyz",
        b"*2\r\n#t\r\n",
        b"*2\r\n" + b"+" * 3_000,
        b"%1\r\n",
        b">2\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
    ],
)
def test_any_other_list_is_a_breach(answer: bytes) -> None:
    """Too short, too long, lists within, lengths that are none: refused as soon as it shows, and no room is made for it."""
    with pytest.raises(ProtocolBreach):
        Resp().feed_many(answer, READ, 2)
    for write in (WRITE, DELETE):
        with pytest.raises(ProtocolBreach):
            Resp().feed_many(answer, write, 2)


def test_bytes_after_a_list_are_noticed() -> None:
    """They would pass for the next operation's answer."""
    codec = Resp()
    assert codec.feed_many(b"*2\r\n$-1\r\n$-1\r\n*2\r\n", READ, 2) == MISS._replace(beside=(MISS,))
    assert not codec.idle()


_PART = st.sampled_from(
    [b"*2\r\n", b"*1", b"$5\r\n", b"k|1|2\r\n", b"$-1\r\n", b"\r\n", b"-ERR x\r\n", b":1\r\n", b"+OK\r\n", b"_\r\n"]
)


@given(st.lists(_PART | st.binary(max_size=12), max_size=8), st.sampled_from([READ, WRITE, DELETE]))
def test_no_bytes_crash_the_reading_of_lists(pieces: list[bytes], function: Function) -> None:
    """Any bytes, in any pieces, are a reply, the beginning of one, or a breach; a reply has as many keys as were asked for."""
    codec = Resp()
    for data in pieces:
        try:
            reply = codec.feed_many(data, function, 2)
        except ProtocolBreach:
            return
        if reply is not None:
            assert len(reply.beside) == (reply.status is Status.OK and function is READ)
            return
