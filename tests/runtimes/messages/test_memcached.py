"""memcached's protocols are cut into messages, whatever the chunks in which they come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.runtimes.messages import Conversation, Message
from harness.runtimes.messages.memcached import memcached


def named(parts) -> list[tuple[str, ...]]:
    return [(p.command, *(key.decode() for key in p.keys)) if isinstance(p, Message) else ("bytes",) for p in parts]


def content(parts) -> bytes:
    return b"".join(part.content if isinstance(part, Message) else part for part in parts)


def ask(conversation: Conversation, requests: bytes) -> None:
    for part in conversation.requests.feed(requests):
        if isinstance(part, Message):
            conversation.ask(part)


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (b"get k\r\n", ("GET", "k")),
        (b"gets a b\r\n", ("GETS", "a", "b")),
        (b"gat 60 a b\r\n", ("GAT", "a", "b")),
        (b"set k 0 0 7\r\na\r\nEND\n\r\n", ("SET", "k")),
        (b"cas k 0 0 1 77 noreply\r\nv\r\n", ("CAS", "k")),
        (b"set k 0 0 none\r\n", ("SET", "k")),
        (b"ms k 2 T60 c\r\nhi\r\n", ("MS", "k")),
        (b"mg k v t\r\n", ("MG", "k")),
        (b"md k I\r\n", ("MD", "k")),
        (b"mn\r\n", ("MN",)),
        (b"delete k\r\n", ("DELETE", "k")),
        (b"flush_all\r\n", ("FLUSH_ALL",)),
    ],
)
def test_requests_are_named_by_command_and_keys(request_, name):
    """Data behind a line belongs to it; a length that is none has no data."""
    parts = memcached().requests.feed(request_ + b"version\r\n")
    assert named(parts) == [name, ("VERSION",)]
    assert content(parts[:1]) == request_


def test_answers_are_called_like_their_questions():
    """All values of a get are one answer; who says noreply gets none."""
    talk = memcached()
    ask(talk, b"set k 0 0 1\r\nv\r\nset l 0 0 1 noreply\r\nv\r\nget k l\r\nget m\r\nmg k v\r\nmg l v k\r\nstats\r\ndelete k\r\n")
    answers = [
        b"STORED\r\n",
        b"VALUE k 0 5\r\nEND\r\n\r\nVALUE l 0 1\r\nv\r\nEND\r\n",
        b"END\r\n",
        b"VA 1\r\nv\r\n",
        b"EN\r\n",
        b"STAT pid 1\r\nSTAT uptime 2\r\nEND\r\n",
        b"SERVER_ERROR out of memory\r\n",
    ]
    parts = talk.answers.feed(b"".join(answers))
    assert [part.content for part in parts] == answers
    assert named(parts) == [("SET", "k"), ("GET", "k", "l"), ("GET", "m"), ("MG", "k"), ("MG", "l"), ("STATS",), ("DELETE", "k")]


def test_quiet_requests_hide_whose_an_answer_is_until_it_is_settled():
    """Meanwhile an answer goes by its own name and by the key that it says itself."""
    talk = memcached()
    ask(talk, b"mg a v k q\r\nmg b v k q\r\nmn\r\nget c\r\n")
    parts = talk.answers.feed(b"VA 1 kb\r\nv\r\nMN\r\nEND\r\n")
    assert named(parts) == [("VA", "b"), ("MN",), ("GET", "c")]


def test_answers_without_number_have_their_own_names():
    """A watch is answered for ever."""
    talk = memcached()
    ask(talk, b"watch fetchers\r\nget k\r\n")
    assert named(talk.answers.feed(b"OK\r\nVALUE k 0 1\r\nv\r\nEND\r\n")) == [("OK",), ("VALUE", "k")]


def test_what_is_not_understood_passes_and_is_counted():
    """The binary protocol is none of these."""
    framer = memcached().requests
    packet = b"\x80\x00\x00\x01" + bytes(20) + b"k"
    assert framer.feed(packet) == [packet]
    assert framer.lost == len(packet)


@given(st.data())
def test_nothing_is_lost_added_or_moved(data):
    """Whatever bytes come in whatever chunks, the parts and the tail are those bytes; the cut does not depend on the chunks."""
    alphabet = [
        b"get k\r\n",
        b"set k 0 0 3\r\n",
        b"VALUE k 0 2\r\n",
        b"END\r\n",
        b"VA 1\r\n",
        b"v",
        b"\r\n",
        b"mn\r\n",
        b"MN\r\n",
        b"\n",
    ]
    stream = b"".join(data.draw(st.lists(st.sampled_from(alphabet) | st.binary(max_size=3), max_size=30)))
    size = data.draw(st.integers(1, 20))
    for side in ("requests", "answers"):
        cuts = []
        for chunk in (size, len(stream) or 1):
            talk = memcached()
            ask(talk, b"get k\r\nmg a q\r\nmn\r\n")
            framer = getattr(talk, side)
            parts = [part for at in range(0, len(stream), chunk) for part in framer.feed(stream[at : at + chunk])]
            assert content(parts) + framer.tail == stream
            cuts.append([part for part in parts if isinstance(part, Message)])
        assert cuts[0] == cuts[1]
