"""memcached's meta commands: leases, stale values, tokens."""

import pytest

from harness.clients import CODECS, ProtocolBreach, Reply
from harness.clients.memcached_meta import Meta, MetaReply, drop, get, parse, put
from harness.history import Function, Seen, Status

READ, WRITE, DELETE = Function.READ, Function.WRITE, Function.DELETE


def test_requests_carry_their_flags() -> None:
    """Each command is one line; a value follows its length."""
    assert get(b"k", "v", "c", "N30") == b"mg k v c N30\r\n"
    assert put(b"k", b"abc", "C17") == b"ms k 3 C17\r\nabc\r\n"
    assert drop(b"k", "I", "T30") == b"md k I T30\r\n"
    codec = CODECS.load("memcached-meta")()
    assert codec.request(READ, b"k") == b"mg k v\r\n"
    assert codec.request(WRITE, b"k", b"abc") == b"ms k 3\r\nabc\r\n"
    assert codec.request(DELETE, b"k") == b"md k I T60\r\n"


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"VA 3 c17\r\nabc\r\n", MetaReply("VA", ("c17",), b"abc")),
        (b"VA 0 W\r\n\r\n", MetaReply("VA", ("W",))),
        (b"HD\r\n", MetaReply("HD")),
        (b"EN\r\n", MetaReply("EN")),
        (b"EX\r\n", MetaReply("EX")),
        (b"ERROR\r\n", b"ERROR"),
        (b"VA 3\r\nab", None),
        (b"V", None),
    ],
)
def test_answers_are_parsed_one_at_a_time(data: bytes, answer: MetaReply | bytes | None) -> None:
    """What is not whole stays; what follows is left for the next."""
    assert parse(data) == (answer, data if answer is None else b"")
    if answer is not None:
        assert parse(data + b"HD\r\n") == (answer, b"HD\r\n")


def test_flags_have_names() -> None:
    """Who won the lease, who waits, what is stale, and the token."""
    won = MetaReply("VA", ("c17", "W", "X"), b"old")
    assert (won.won, won.stale, won.waits, won.token) == (True, True, False, "17")
    late = MetaReply("VA", ("Z",))
    assert (late.won, late.stale, late.waits, late.token) == (False, False, True, None)


@pytest.mark.parametrize(
    ("function", "data", "reply"),
    [
        (READ, b"VA 3\r\nabc\r\n", Reply(Status.OK, Seen.HIT, b"abc")),
        (READ, b"VA 0\r\n\r\n", Reply(Status.OK, Seen.HIT, b"")),
        (READ, b"VA 3 W\r\nabc\r\n", Reply(Status.OK, Seen.HIT, b"abc")),
        (READ, b"VA 3 W X\r\nabc\r\n", Reply(Status.OK, Seen.MISS)),
        (READ, b"VA 3 X Z\r\nabc\r\n", Reply(Status.OK, Seen.MISS)),
        (READ, b"VA 0 W\r\n\r\n", Reply(Status.OK, Seen.MISS)),
        (READ, b"VA 0 Z\r\n\r\n", Reply(Status.OK, Seen.MISS)),
        (READ, b"EN\r\n", Reply(Status.OK, Seen.MISS)),
        (WRITE, b"HD\r\n", Reply(Status.OK)),
        (WRITE, b"NS\r\n", Reply(Status.FAIL, error="NS")),
        (WRITE, b"EX\r\n", Reply(Status.FAIL, error="EX")),
        (WRITE, b"NF\r\n", Reply(Status.FAIL, error="NF")),
        (WRITE, b"SERVER_ERROR timeout\r\n", Reply(Status.INFO, error="SERVER_ERROR timeout")),
        (DELETE, b"HD\r\n", Reply(Status.OK)),
        (DELETE, b"NF\r\n", Reply(Status.OK)),
        (DELETE, b"EX\r\n", Reply(Status.FAIL, error="EX")),
    ],
)
def test_each_answer_has_one_meaning(function: Function, data: bytes, reply: Reply) -> None:
    """A stale value and an empty lease are misses; what was refused was not stored."""
    codec = Meta()
    assert codec.feed(data, function) == reply
    assert codec.idle()


@pytest.mark.parametrize(
    ("function", "data"),
    [
        (READ, b"HD\r\n"),
        (READ, b"VA\r\n"),
        (READ, b"VA 3\r\nabcd\r\n"),
        (READ, b"NF\r\n"),
        (WRITE, b"HD 3\r\nabc\r\n"),
        (WRITE, b"EN\r\n"),
        (DELETE, b"NS\r\n"),
        (DELETE, b"OK\r\n"),
        (DELETE, b"DELETED\r\n"),
    ],
)
def test_bytes_that_are_no_answer_are_a_breach(function: Function, data: bytes) -> None:
    """Another question's answer, or a length that is not true."""
    with pytest.raises(ProtocolBreach):
        Meta().feed(data, function)
