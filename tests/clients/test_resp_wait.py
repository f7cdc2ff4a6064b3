"""Writes that wait for replicas: what counts as written, whatever pieces the answers come in."""

from __future__ import annotations

import pytest

from harness.clients import ProtocolBreach, Reply
from harness.clients.resp_wait import WaitingResp
from harness.history import Function, Seen, Status

WRITE, READ, DELETE = Function.WRITE, Function.READ, Function.DELETE


def test_writes_are_followed_by_wait_and_reads_are_not():
    """In one request each."""
    codec = WaitingResp(wait=1, wait_ms=250)
    wait = b"*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$3\r\n250\r\n"
    assert codec.request(WRITE, b"k", b"v") == b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n" + wait
    assert codec.request(DELETE, b"k") == b"*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n" + wait
    assert codec.request(READ, b"k") == b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"


@pytest.mark.parametrize(
    ("function", "data", "reply"),
    [
        (WRITE, b"+OK\r\n:2\r\n", Reply(Status.OK)),
        (WRITE, b"+OK\r\n:3\r\n", Reply(Status.OK)),
        (WRITE, b"+OK\r\n:1\r\n", Reply(Status.INFO, error="WAIT: 1 of 2")),
        (WRITE, b"+OK\r\n-ERR no\r\n", Reply(Status.INFO, error="WAIT: ERR no")),
        (WRITE, b"+OK\r\n$-1\r\n", Reply(Status.INFO, error="WAIT: None")),
        (DELETE, b":1\r\n:2\r\n", Reply(Status.OK)),
        (WRITE, b"-OOM full\r\n:2\r\n", Reply(Status.FAIL, error="OOM full")),
        (WRITE, b"-MOVED 1 a:1\r\n:0\r\n", Reply(Status.FAIL, error="MOVED", redirect="MOVED 1 a:1")),
        (READ, b"$1\r\nv\r\n", Reply(Status.OK, Seen.HIT, b"v")),
        (READ, b"$-1\r\n", Reply(Status.OK, Seen.MISS)),
    ],
)
def test_a_write_is_ok_only_with_enough_acknowledgements(function: Function, data: bytes, reply: Reply):
    """With fewer, it did happen and may not last; one that was refused did not happen, whatever WAIT says. Byte by byte, too."""
    for step in (len(data), 1):
        codec = WaitingResp(wait=2, wait_ms=100)
        pieces = [data[at : at + step] for at in range(0, len(data), step)]
        for _ in range(2):
            replies = [codec.feed(piece, function) for piece in pieces]
            assert replies[:-1] == [None] * (len(pieces) - 1)
            assert replies[-1] == reply
            assert codec.idle()


def test_half_an_answer_is_not_idle():
    """The number to come belongs to this write, not to the next operation."""
    codec = WaitingResp(wait=1, wait_ms=100)
    assert codec.feed(b"+OK\r\n", WRITE) is None
    assert not codec.idle()


def test_garbage_instead_of_a_number_is_a_breach():
    """Also a list."""
    for garbage in (b"?\r\n", b"*1\r\n:1\r\n"):
        codec = WaitingResp(wait=1, wait_ms=100)
        codec.feed(b"+OK\r\n", WRITE)
        with pytest.raises(ProtocolBreach):
            codec.feed(garbage, WRITE)


def test_writes_of_several_keys_wait_once():
    """One WAIT is for all of them; reads of several do not wait."""
    codec = WaitingResp(wait=1, wait_ms=250)
    wait = b"*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$3\r\n250\r\n"
    assert codec.request_many(WRITE, [b"k"], [b"v"]) == b"*3\r\n$4\r\nMSET\r\n$1\r\nk\r\n$1\r\nv\r\n" + wait
    assert codec.request_many(READ, [b"k"], []) == b"*2\r\n$4\r\nMGET\r\n$1\r\nk\r\n"
    assert codec.feed_many(b"+OK\r\n", WRITE, 2) is None
    assert codec.feed_many(b":0\r\n", WRITE, 2) == Reply(Status.INFO, error="WAIT: 0 of 1")
    assert codec.feed_many(b"*2\r\n$-1\r\n$-1\r\n", READ, 2) == Reply(Status.OK, Seen.MISS, beside=(Reply(Status.OK, Seen.MISS),))
    assert codec.idle()
