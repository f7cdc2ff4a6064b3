"""RESP is cut into messages, whatever the chunks in which it comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.runtimes.messages import Conversation, Message
from harness.runtimes.messages.message import LINE_MAX, LONGEST
from harness.runtimes.messages.resp import resp

SNAPSHOT = bytes(range(256)) * 3 + b"*1\r\n$4\r\nPING\r\n"
MARK = b"0123456789abcdef0123456789abcdef01234567"


def request(*words: str | bytes) -> bytes:
    encoded = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)


def named(parts) -> list[tuple[str, ...]]:
    """Commands with their keys; ``bytes`` for what is no message."""
    return [(p.command, *(key.decode() for key in p.keys)) if isinstance(p, Message) else ("bytes",) for p in parts]


def content(parts) -> bytes:
    return b"".join(part.content if isinstance(part, Message) else part for part in parts)


def ask(conversation: Conversation, *requests: bytes) -> None:
    for each in requests:
        for part in conversation.requests.feed(each):
            if isinstance(part, Message):
                conversation.ask(part)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("GET", "k"), ("GET", "k")),
        (("set", "k", "v", "EX", "9"), ("SET", "k")),
        (("MGET", "a", "b"), ("MGET", "a", "b")),
        (("MSET", "a", "1", "b", "2"), ("MSET", "a", "b")),
        (("DEL", "a", "b", "c"), ("DEL", "a", "b", "c")),
        (("EVAL", "return 1", "2", "a", "b", "x"), ("EVAL", "a", "b")),
        (("EVAL", "return 1", "many"), ("EVAL",)),
        (("PUBLISH", "news", "hello"), ("PUBLISH", "news")),
        (("CLIENT", "TRACKING", "ON"), ("CLIENT",)),
        (("PING",), ("PING",)),
        (("BITOP", "AND", "d", "s"), ("BITOP", "d")),
    ],
)
def test_requests_are_named_by_command_and_keys(words, name):
    """The keys stand where the command has them."""
    whole = request(*words)
    parts = resp().requests.feed(whole)
    assert named(parts) == [name]
    assert content(parts) == whole


def test_lines_that_people_type_are_requests():
    """An inline command has a name and a key, an empty line is no message."""
    parts = resp().requests.feed(b"get k\r\n\r\nPING\n")
    assert named(parts) == [("GET", "k"), ("bytes",), ("PING",)]


def test_answers_are_called_like_their_questions():
    """Every sort of answer is one message, however deep, in the order of the questions."""
    talk = resp()
    ask(talk, request("GET", "k"), request("SET", "k", "v"), request("MGET", "a", "b"), request("INCR", "n"))
    ask(talk, request("HELLO", "3"), request("GET", "x"), request("COMMAND"), request("LRANGE", "l", "0", "-1"))
    answers = [
        b"$5\r\n\r\nv\r\n\r\n",
        b"+OK\r\n",
        b"*2\r\n$1\r\n1\r\n$-1\r\n",
        b"-ERR no number\r\n",
        b"|1\r\n+ttl\r\n:9\r\n%2\r\n+server\r\n$6\r\nvalkey\r\n+proto\r\n:3\r\n",
        b"_\r\n",
        b"*2\r\n*3\r\n+a\r\n#t\r\n,1.5\r\n~1\r\n=7\r\ntxt:abc\r\n",
        b"*-1\r\n",
    ]
    parts = talk.answers.feed(b"".join(answers))
    assert [part.content for part in parts] == answers
    first = [("GET", "k"), ("SET", "k"), ("MGET", "a", "b"), ("INCR", "n")]
    assert named(parts) == [*first, ("HELLO",), ("GET", "x"), ("COMMAND",), ("LRANGE", "l")]


def test_deliveries_in_resp2():
    """Subscriptions are confirmed one by one; deliveries between them answer nobody."""
    talk = resp()
    ask(talk, request("SUBSCRIBE", "a", "b"), request("PSUBSCRIBE", "p*"), request("PING"))
    stream = (
        request("subscribe", "a").replace(b"*2", b"*3") + b":1\r\n",
        request("message", "a", "hello"),
        request("subscribe", "b").replace(b"*2", b"*3") + b":2\r\n",
        request("psubscribe", "p*").replace(b"*2", b"*3") + b":3\r\n",
        request("pmessage", "p*", "p1", "hello"),
        b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*2\r\n$1\r\nk\r\n$1\r\nl\r\n",
        b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*-1\r\n",
        request("pong", ""),
    )
    assert named(talk.answers.feed(b"".join(stream))) == [
        ("SUBSCRIBE", "a"),
        ("MESSAGE", "a"),
        ("SUBSCRIBE", "b"),
        ("PSUBSCRIBE", "p*"),
        ("PMESSAGE", "p1"),
        ("INVALIDATE", "k", "l"),
        ("INVALIDATE",),
        ("PING",),
    ]


def test_a_list_that_looks_like_a_delivery_is_an_answer():
    """Who has subscribed to nothing gets no deliveries."""
    talk = resp()
    ask(talk, request("LRANGE", "l", "0", "-1"))
    assert named(talk.answers.feed(request("message", "a", "b"))) == [("LRANGE", "l")]


def test_pushes_in_resp3():
    """A push is named by itself and answers nobody, but for the confirmation of a subscription."""
    talk = resp()
    ask(talk, request("GET", "k"), request("SUBSCRIBE", "a"), request("GET", "l"))
    stream = (
        b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n",
        b"$1\r\nv\r\n",
        b">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n",
        b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n",
        b">2\r\n$10\r\ninvalidate\r\n_\r\n",
        b"$1\r\nw\r\n",
    )
    assert named(talk.answers.feed(b"".join(stream))) == [
        ("INVALIDATE", "k"),
        ("GET", "k"),
        ("SUBSCRIBE", "a"),
        ("MESSAGE", "a"),
        ("INVALIDATE",),
        ("GET", "l"),
    ]


@pytest.mark.parametrize("silencer", [("CLIENT", "REPLY", "OFF"), ("MONITOR",)])
def test_answers_that_cannot_be_counted_have_no_name(silencer):
    """Rather none than a wrong one."""
    talk = resp()
    ask(talk, request("GET", "k"), request(*silencer), request("GET", "l"))
    assert named(talk.answers.feed(b"+OK\r\n$1\r\nv\r\n")) == [("",), ("",)]


def replicating() -> Conversation:
    talk = resp()
    ask(talk, request("PING"), request("REPLCONF", "capa", "eof"), request("PSYNC", "?", "-1"))
    assert named(talk.answers.feed(b"+PONG\r\n+OK\r\n")) == [("PING",), ("REPLCONF",)]
    return talk


STREAM = (
    request("SELECT", "0")
    + request("SET", "k", "v")
    + request("PING")
    + request("DEL", "a", "b")
    + request("REPLCONF", "GETACK", "*")
)
COMMANDS = [("SELECT",), ("SET", "k"), ("PING",), ("DEL", "a", "b"), ("REPLCONF",)]


@pytest.mark.parametrize(
    ("snapshot", "whole"),
    [
        (b"$%d\r\n" % len(SNAPSHOT) + SNAPSHOT, "length"),
        (b"$EOF:" + MARK + b"\r\n" + SNAPSHOT + MARK[:20] + SNAPSHOT + MARK, "mark"),
        (b"$0\r\n", "nothing"),
    ],
)
@pytest.mark.parametrize("chunk", [1, 7, 39, 64, 10_000])
def test_a_snapshot_passes_and_the_stream_behind_it_is_cut(snapshot, whole, chunk):
    """Both sorts of snapshot, with newlines before it that say that the primary lives."""
    talk = replicating()
    data = b"\n+FULLRESYNC 8371b4fb1155b71f4a04d3e1bc3e18c4a990aeeb 0\r\n\n\n" + snapshot + STREAM
    parts = [part for at in range(0, len(data), chunk) for part in talk.answers.feed(data[at : at + chunk])]
    assert content(parts) == data
    messages = [part for part in parts if isinstance(part, Message)]
    assert named(messages) == [("PSYNC",), *COMMANDS], whole
    assert talk.answers.lost == 0
    ask(talk, request("REPLCONF", "ACK", "10"))
    assert named(talk.answers.feed(request("SET", "x", "y"))) == [("SET", "x")]


def test_a_partial_synchronisation_goes_on_with_commands():
    """After +CONTINUE there is no snapshot."""
    talk = replicating()
    assert named(talk.answers.feed(b"+CONTINUE 8371b4fb1155b71f4a04d3e1bc3e18c4a990aeeb\r\n" + STREAM)) == [("PSYNC",), *COMMANDS]


def test_an_overlong_message_goes_through_but_counts():
    """It is named, no rule may touch it, its rest is bytes; what comes after it is framed again."""
    talk = resp()
    long = request("SET", "k", b"x" * (LONGEST + 500_000))
    data = long + request("GET", "k")
    parts = [part for at in range(0, len(data), 65_536) for part in talk.requests.feed(data[at : at + 65_536])]
    assert content(parts) == data
    assert (parts[0].command, parts[0].keys, parts[0].whole) == ("SET", (b"k",), False)
    assert all(isinstance(part, bytes) for part in parts[1:-1])
    assert named(parts[-1:]) == [("GET", "k")]
    assert max(len(part) for part in parts if isinstance(part, bytes)) <= LONGEST + 65_536


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"*x\r\n",
        b"*1\r\n?3\r\n",
        b"*2\r\n$3\r\nGET\r\n$" + b"9" * 5000 + b"\r\n",
        b"*1\r\n$" + b"1" * (LINE_MAX + 1),
    ],
)
def test_what_is_not_understood_passes_and_is_counted(garbage):
    """From there on all bytes go through at once."""
    framer = resp().requests
    assert named(framer.feed(request("GET", "k"))) == [("GET", "k")]
    later = request("GET", "l")
    parts = [*framer.feed(garbage), *framer.feed(later)]
    assert content(parts) == garbage + later
    assert not any(isinstance(part, Message) for part in parts)
    assert framer.lost == len(garbage) + len(later)
    assert framer.tail == b""


@given(st.data())
def test_nothing_is_lost_added_or_moved(data):
    """Whatever bytes come in whatever chunks, the parts and the tail are those bytes; the cut does not depend on the chunks."""
    alphabet = [
        b"*1\r\n",
        b"*2\r\n",
        b"$1\r\n",
        b"$EOF:",
        MARK,
        b"\r\n",
        b"\n",
        b"k",
        b"+OK\r\n",
        b">2\r\n",
        b"%1\r\n",
        b"|1\r\n",
    ]
    alphabet += [b"+FULLRESYNC x 0\r\n", b"$-1\r\n", b":3\r\n", b"-", b"*-1\r\n", b"\xff", b"*0\r\n", request("PSYNC", "?", "1")]
    stream = b"".join(data.draw(st.lists(st.sampled_from(alphabet) | st.binary(max_size=4), max_size=30)))
    size = data.draw(st.integers(1, 20))
    for side in ("requests", "answers"):
        cuts = []
        for chunk in (size, len(stream) or 1):
            talk = resp()
            ask(talk, request("PSYNC", "?", "-1"), request("SUBSCRIBE", "a"))
            framer = getattr(talk, side)
            parts = [part for at in range(0, len(stream), chunk) for part in framer.feed(stream[at : at + chunk])]
            assert content(parts) + framer.tail == stream
            cuts.append([part for part in parts if isinstance(part, Message)])
        assert cuts[0] == cuts[1]
