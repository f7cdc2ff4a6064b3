"""What rules do to the messages of one direction, on made-up times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.runtimes.messages import Action, Message, MessageRule, Relay, Tally
from harness.runtimes.messages.memcached import memcached


def get(key: str) -> bytes:
    return b"get %b\r\n" % key.encode()


def put(key: str, value: str = "v") -> bytes:
    return b"set %b 0 0 %d\r\n%b\r\n" % (key.encode(), len(value), value.encode())


class Rig:
    """A relay of requests, and what went on."""

    def __init__(self, *rules: MessageRule) -> None:
        self.rules = [Tally(rule) for rule in rules]
        self.seen: list[Message] = []
        self.relay = Relay(memcached().requests, self.rules, self.seen.append)

    def send(self, *data: bytes, at: int = 0) -> bytes:
        return b"".join(out for each in data for out in self.relay.feed(each, at))

    def end(self) -> bytes:
        self.rules.clear()
        return b"".join(self.relay.release())


@pytest.mark.parametrize(
    ("command", "key", "matched"),
    [
        ("*", "*", True),
        ("set", "*", True),
        ("SE?", "user:*", True),
        ("s[ea]t", "user:1", True),
        ("get", "*", False),
        ("*", "user:2", False),
        ("*", "USER:1", False),
    ],
)
def test_patterns_are_of_command_and_key(command, key, matched):
    """A command in any case, a key as it is; every message has a command that fits the star."""
    assert MessageRule(Action.DROP, command, key).matches(Message(b"", "SET", (b"x", b"user:1"))) is matched


def test_a_message_without_keys_fits_only_the_star():
    """A flush has no key that a pattern could fit."""
    flush = Message(b"", "FLUSH_ALL")
    assert MessageRule(Action.DROP).matches(flush)
    assert not MessageRule(Action.DROP, key="**").matches(flush)


@pytest.mark.parametrize(
    ("choice", "struck"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7]),
        ({"every": 3}, [3, 6]),
        ({"nth": 2}, [2]),
        ({"at_most": 2}, [1, 2]),
        ({"every": 2, "at_most": 1}, [2]),
    ],
)
def test_which_of_those_that_match_are_struck(choice, struck):
    """Every one, every so many-th, the n-th alone, so many at most; others are not counted."""
    rig = Rig(MessageRule(Action.DROP, "set", **choice))
    out = rig.send(*(put("k", str(n)) + get("k") for n in range(1, 8)))
    assert out == b"".join((b"" if n in struck else put("k", str(n))) + get("k") for n in range(1, 8))
    assert (rig.rules[0].matched, rig.rules[0].hits) == (7, len(struck))


def test_a_dropped_request_is_not_seen():
    """The server has not got it, so no answer is its own."""
    rig = Rig(MessageRule(Action.DROP, "set"))
    rig.send(put("k"), get("k"))
    assert [message.command for message in rig.seen] == ["GET"]


def test_a_doubled_message_is_seen_twice():
    """Both copies at once, one behind the other."""
    rig = Rig(MessageRule(Action.DUPLICATE, "set"))
    assert rig.send(put("k"), get("k")) == put("k") * 2 + get("k")
    assert [message.command for message in rig.seen] == ["SET", "SET", "GET"]
    assert rig.rules[0].hits == 1


def test_a_delayed_message_is_overtaken_and_goes_on_in_time():
    """Each has its own time; the relay says when to come back."""
    rig = Rig(MessageRule(Action.DELAY, "set", delay_ns=100))
    assert rig.send(put("a"), get("x"), at=1_000) == get("x")
    assert rig.send(put("b"), at=1_050) == b""
    assert rig.relay.next_ns == 1_100
    assert rig.relay.ripe(1_099) == []
    assert rig.relay.ripe(1_100) == [put("a")]
    assert rig.relay.next_ns == 1_150
    assert rig.relay.ripe(2_000) == [put("b")]
    assert rig.relay.next_ns is None
    assert [message.keys for message in rig.seen] == [(b"x",), (b"a",), (b"b",)]


def test_reordered_messages_swap_in_pairs():
    """One waits for the next that matches, whatever else comes between; the next pair begins anew."""
    rig = Rig(MessageRule(Action.REORDER, "set"))
    out = rig.send(put("a"), get("x"), put("b"), put("c"), put("d"))
    assert out == get("x") + put("b") + put("a") + put("d") + put("c")
    assert (rig.rules[0].matched, rig.rules[0].hits) == (4, 2)


def test_held_messages_go_on_at_the_end_in_their_order():
    """With delayed ones and half a pair between them, in the order in which they came."""
    hold = MessageRule(Action.HOLD, "set")
    rig = Rig(hold, MessageRule(Action.REORDER, "touch"), MessageRule(Action.DELAY, "delete", delay_ns=10**9))
    waiting = [put("a"), b"touch t 1\r\n", b"delete d\r\n", put("b")]
    assert rig.send(*waiting, get("x")) == get("x")
    assert rig.relay.keeps == len(b"".join(waiting))
    assert rig.end() == b"".join(waiting)
    assert rig.relay.keeps == 0
    assert rig.relay.next_ns is None


def test_the_first_rule_that_strikes_decides():
    """A rule that lets a message pass leaves it to the next."""
    rig = Rig(MessageRule(Action.DROP, "set", "a"), MessageRule(Action.DUPLICATE, "set"))
    assert rig.send(put("a"), put("b")) == put("b") * 2


def test_a_rule_on_an_open_connection_begins_with_the_next_whole_message():
    """What had begun to pass before it passes to its end."""
    rig = Rig()
    begun = put("a", "0123456789")
    assert rig.send(get("x"), begun[:12]) == get("x") + begun[:12]
    rig.rules.append(Tally(MessageRule(Action.DROP, "set")))
    assert rig.send(begun[12:20]) == b""
    assert rig.send(begun[20:] + put("b") + get("y")) == begun[12:] + get("y")
    assert [message.keys for message in rig.seen] == [(b"x",), (b"a",), (b"y",)]


def test_a_message_that_was_not_whole_at_the_end_of_the_rules_goes_on():
    """Its beginning had waited for the rest."""
    rig = Rig(MessageRule(Action.DROP, "get"))
    half = put("a", "0123456789")
    assert rig.send(half[:12]) == b""
    assert rig.end() == half[:12]
    assert rig.send(half[12:]) == half[12:]
    assert [message.keys for message in rig.seen] == [(b"a",)]


@given(st.data())
def test_rules_that_match_nothing_change_nothing(data):
    """Rules come and go between any two chunks: every byte passes, in order, and every message is seen once."""
    requests = data.draw(st.lists(st.sampled_from([get("x"), put("k", "long" * 9), b"mn\r\n", b"\x01"]), max_size=12))
    stream = b"".join(requests)
    rig, out, at = Rig(), b"", 0
    while at < len(stream):
        size = data.draw(st.integers(1, 25))
        out += rig.send(stream[at : at + size])
        at += size
        if rig.rules and data.draw(st.booleans()):
            out += rig.end()
        elif data.draw(st.booleans()):
            rig.rules.append(Tally(MessageRule(Action.DROP, "none")))
    out += rig.end()
    assert out == stream
    understood = requests.index(b"\x01") if b"\x01" in requests else len(requests)
    assert [message.content for message in rig.seen][:understood] == requests[:understood]


@given(st.data())
def test_messages_are_conserved_under_any_rules(data):
    """What goes on are whole messages of those that came: without the dropped ones, with the doubled ones twice."""
    messages = [put(data.draw(st.sampled_from(("a", "b"))), f"v{number}") for number in range(12)]
    stream = b"".join(messages)
    rig, tallies, out, at, now_ns = Rig(), [], b"", 0, 0
    rules = st.builds(
        MessageRule,
        st.sampled_from(Action),
        key=st.sampled_from(("*", "a")),
        every=st.integers(1, 2),
        delay_ns=st.integers(1, 100),
    )
    while at < len(stream):
        size = data.draw(st.integers(1, 60))
        out += rig.send(stream[at : at + size], at=now_ns)
        at, now_ns = at + size, now_ns + data.draw(st.integers(0, 60))
        out += b"".join(rig.relay.ripe(now_ns))
        match data.draw(st.sampled_from(("rule", "end", "nothing", "nothing"))):
            case "rule":
                tallies.append(Tally(data.draw(rules)))
                rig.rules.append(tallies[-1])
            case "end":
                out += rig.end()
    out += rig.end()
    hits = {action: sum(tally.hits for tally in tallies if tally.rule.action is action) for action in Action}
    passed = [message.content for message in rig.seen]
    assert b"".join(passed) == out
    assert set(passed) <= set(messages)
    assert len(passed) == len(messages) - hits[Action.DROP] + hits[Action.DUPLICATE]
