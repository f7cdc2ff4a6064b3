"""HTTP/1.1: what is asked, what every answer means, and where an answer ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.clients import CODECS, ProtocolBreach, Reply
from harness.clients.http import REFUSALS, Http
from harness.clients.http_answers import MAX_BODY, MAX_CHUNK_LINE, MAX_HEAD, MAX_INTERIM
from harness.history import Function, Seen, Status

READ, WRITE, DELETE = Function.READ, Function.WRITE, Function.DELETE
DONE, MISS, ABSENT = Reply(Status.OK), Reply(Status.OK, Seen.MISS), Reply(Status.OK, Seen.ABSENT)
HIT = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nk|1|2"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nk|\r\n003;a=b\r\n1|2\r\n0\r\n\r\n"


def answer(status: str, *headers: str, body: bytes = b"", length: bool = True) -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, *([f"Content-Length: {len(body)}"] if length else [])]
    return "\r\n".join([*lines, "", ""]).encode() + body


def test_requests_name_the_key_as_a_path() -> None:
    """A GET, a PUT with its length, a DELETE; a name cannot leave its path, nor the first line."""
    codec = CODECS.load("http")()
    assert codec.request(READ, b"ab:r:0:1") == b"GET /ab:r:0:1 HTTP/1.1\r\nHost: anachron\r\n\r\n"
    assert codec.request(WRITE, b"k", b"k|1|2") == b"PUT /k HTTP/1.1\r\nHost: anachron\r\nContent-Length: 5\r\n\r\nk|1|2"
    assert codec.request(DELETE, b"a/../b ?x#\r\n").startswith(b"DELETE /a%2F..%2Fb%20%3Fx%23%0D%0A HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (HIT, Reply(Status.OK, Seen.HIT, b"k|1|2")),
        (CHUNKED, Reply(Status.OK, Seen.HIT, b"k|1|2")),
        (CHUNKED[:-2] + b"Expires: 0\r\n\r\n", Reply(Status.OK, Seen.HIT, b"k|1|2")),
        (answer("200 OK"), Reply(Status.OK, Seen.HIT, b"")),
        (
            answer("100 Continue", length=False) + answer("103 Early Hints", "Link: x", length=False) + HIT,
            Reply(Status.OK, Seen.HIT, b"k|1|2"),
        ),
        (answer("404 Not Found"), MISS),
        (answer("404 Not Found", "Source: origin", body=b"none"), ABSENT),
        (answer("404 Not Found", "source:\torigin "), ABSENT),
        (answer("404 Not Found", "Source: cache"), MISS),
        (answer("410 Gone", "Source: origin"), ABSENT),
        (answer("503 Backend fetch failed", body=b"<html>"), Reply(Status.FAIL, error="503 Backend fetch failed")),
        (answer("304 Not Modified", length=False), Reply(Status.FAIL, error="304 Not Modified")),
        (answer("504"), Reply(Status.FAIL, error="504")),
    ],
)
def test_a_read_finds_a_value_nothing_or_an_error(data: bytes, reply: Reply) -> None:
    """Only the source's own word makes a key absent."""
    codec = Http()
    assert codec.feed(data, READ) == reply
    assert codec.idle()


@pytest.mark.parametrize("function", [WRITE, DELETE])
def test_a_change_is_done_refused_or_unknown(function: Function) -> None:
    """2xx that acknowledge are ok; what was refused as a request is fail; whatever a cache says of its origin is info."""

    def status_of(status: int) -> Status:
        reply = Http().feed(answer(f"{status} x", length=status != 204), function)
        assert reply is not None
        assert (reply.seen, reply.value) == (Seen.NOTHING, b"")
        return reply.status

    assert {status_of(status) for status in (200, 201, 204)} == {Status.OK}
    assert {status_of(status) for status in (*REFUSALS, 501, 505)} == {Status.FAIL}
    assert {status_of(status) for status in (202, 206, 301, 307, 408, 418, 500, 502, 503, 504, 507)} == {Status.INFO}


def test_deleting_what_is_not_there_is_done_if_the_source_says_so() -> None:
    """A 404 of anybody else refused the request."""
    assert Http().feed(answer("404 Not Found", "Source: origin"), DELETE) == DONE
    assert Http().feed(answer("404 Not Found"), DELETE) == Reply(Status.FAIL, error="404 Not Found")
    assert Http().feed(answer("404 Not Found", "Source: origin"), WRITE) == Reply(Status.FAIL, error="404 Not Found")


@pytest.mark.parametrize(
    "data",
    [
        b"+OK\r\n",
        b"\x00\x00",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 99 x\r\n\r\n",
        b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\nHTTP/1.1 \r\n\r\n",
        answer("200 OK", length=False),
        answer("200 OK", "Content-Length: -1", length=False),
        answer("200 OK", "Content-Length: 0x5", length=False),
        answer("200 OK", "Content-Length: 1", body=b"ab"),
        answer("200 OK", f"Content-Length: {MAX_BODY + 1}", length=False),
        answer("200 OK", "Transfer-Encoding: chunked"),
        answer("200 OK", "Transfer-Encoding: gzip, chunked", length=False),
        answer("200 OK", "No header"),
        answer("200 OK", " Folded: x"),
        answer("200 OK", "A: b\rc"),
        answer("200 OK", "A: " + "b" * MAX_HEAD),
        b"HTTP/1.1 200 OK\r\n" + b"a" * MAX_HEAD + b"bcd",
        answer("100 Continue", length=False) * (MAX_INTERIM + 1),
        CHUNKED.replace(b"2\r\nk|", b"x\r\nk|"),
        CHUNKED.replace(b"2\r\nk|", b"1\r\nk|"),
        CHUNKED.replace(b"2\r\nk|", b"fffffff\r\nk|"),
        CHUNKED.replace(b"2\r\nk|", b"2;" + b"a" * MAX_CHUNK_LINE),
        CHUNKED[:-2] + b"no trailer\r\n\r\n",
        CHUNKED[:-2] + b"a" * (MAX_HEAD + 1),
    ],
)
def test_bytes_that_are_no_answer_are_a_breach(data: bytes) -> None:
    """Another protocol, an answer whose end is not clear, one beyond all limits."""
    with pytest.raises(ProtocolBreach):
        Http().feed(data, READ)


def test_chunks_add_up_to_a_limit() -> None:
    """Many small chunks are as much as one large one."""
    codec = Http()
    chunk = b"100000\r\n" + b"a" * 0x100000 + b"\r\n"
    assert codec.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", READ) is None
    for _ in range(MAX_BODY // 0x100000):
        assert codec.feed(chunk, READ) is None
    with pytest.raises(ProtocolBreach, match="body of more"):
        codec.feed(b"1\r\na\r\n", READ)


@given(st.sampled_from([HIT, CHUNKED, answer("404 Not Found"), answer("100 Continue", length=False) + HIT]), st.data())
def test_an_answer_may_come_in_pieces(whole: bytes, data: st.DataObject) -> None:
    """However the bytes are cut, the reply is the same and comes with the last of them."""
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1))))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    codec = Http()
    *early, last = [codec.feed(piece, READ) for piece in pieces]
    assert early == [None] * len(early)
    assert last == Http().feed(whole, READ)
    assert codec.feed(whole, READ) == last
    assert codec.idle()


@pytest.mark.parametrize("cut", range(1, len(HIT + CHUNKED)))
def test_answers_to_what_went_ahead_are_passed_over(cut: int) -> None:
    """However they are cut; whatever they say, they are not the operation's."""
    codec = Http()
    codec.sent_ahead(1)
    whole = answer("404 Not Found") + CHUNKED
    early, last = codec.feed(whole[:cut], READ), codec.feed(whole[cut:], READ)
    assert (early, last) == (None, Reply(Status.OK, Seen.HIT, b"k|1|2"))
    assert codec.idle()


@pytest.mark.parametrize("more", [HIT, b"x"])
def test_bytes_after_the_reply_are_noticed(more: bytes) -> None:
    """A second reply that nobody asked for would pass for the next operation's."""
    codec = Http()
    assert codec.feed(HIT + more, READ) == Http().feed(HIT, READ)
    assert not codec.idle()


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        (HIT.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), False),
        (HIT.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"), True),
        (HIT.replace(b"HTTP/1.1", b"HTTP/1.0"), False),
        (HIT.replace(b"HTTP/1.1", b"HTTP/1.0").replace(b"\r\n\r\n", b"\r\nConnection: Keep-Alive\r\n\r\n"), True),
    ],
)
def test_a_connection_that_the_server_will_close_is_not_used_again(data: bytes, kept: bool) -> None:  # noqa: FBT001 - a case
    """What is sent on it would be lost, and nobody would know whether it had been done."""
    codec = Http()
    assert codec.feed(data, READ) == Reply(Status.OK, Seen.HIT, b"k|1|2")
    assert codec.idle() is kept


@given(st.binary(max_size=60), st.sampled_from([READ, WRITE, DELETE]))
def test_no_bytes_crash_the_codec(data: bytes, function: Function) -> None:
    """Any bytes are a reply, the beginning of one, or a breach."""
    heads = (b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for head in heads:
        try:
            reply = Http().feed(head + data, function)
        except ProtocolBreach:
            continue
        assert reply is None or isinstance(reply, Reply)
