"""The router of the sentinels' clients: whom it believes, and when."""

from __future__ import annotations

import hiredis
import pytest

from harness.clients import ProtocolBreach
from harness.history import Function
from harness.routing import Informed
from harness.routing.sentinel import ASK_EVERY_NS, DOUBT_NS, SentinelRouter, SentinelRouting

ADDRESSES = {f"127.0.0.{1 + node}:7000": node for node in range(3)}
NOW = 10**10


def router() -> SentinelRouter:
    """Nodes 0 to 2, of which 0 is the primary, and sentinels 3 and 4, both connected."""
    made = SentinelRouting("cache", 0, (3, 4), ADDRESSES).router()
    for source in made.sources:
        made.connected(source)
    return made


def primary(known: SentinelRouter) -> int:
    """Where a write goes."""
    return known.place(b"k", Function.WRITE, 0, NOW)


def bulk(*words: str) -> bytes:
    return b"".join(b"$%d\r\n%b\r\n" % (len(word), word.encode()) for word in words)


def switch(new: str, name: str = "cache", old: str = "127.0.0.1 7000") -> bytes:
    return b">3\r\n" + bulk("message", "+switch-master", f"{name} {old} {new}")


def answer(host: str, port: str = "7000") -> bytes:
    return b"*2\r\n" + bulk(host, port)


def commands(data: bytes) -> list[list[bytes]]:
    reader = hiredis.Reader()
    reader.feed(data)
    found = []
    while (command := reader.gets()) is not False:
        found.append(command)
    return found


def test_it_listens_to_all_sentinels():
    """On a new connection RESP3, because questions and news share it, and the subscription; no question without doubt."""
    known = router()
    assert isinstance(known, Informed)
    assert commands(known.connected(3)) == [[b"HELLO", b"3"], [b"SUBSCRIBE", b"+switch-master"]]
    assert known.nodes == (0,)


def test_the_news_of_a_switch_is_followed_at_once():
    """From any sentinel, in any pieces; another primary's switch is none of ours."""
    known = router()
    assert known.told(3, switch("127.0.0.2 7000", name="other")) == ""
    assert primary(known) == 0
    news = switch("127.0.0.2 7000")
    assert known.told(4, news[:20]) == ""
    assert primary(known) == 0
    assert known.told(4, news[20:]) == ""
    assert primary(known) == 1


def test_a_lost_primary_is_asked_for_until_a_sentinel_names_another():
    """Every 100 ms; the old one is asked meanwhile; who holds to it changes nothing, and the first that names another counts."""
    known = router()
    assert known.asks(NOW) == b""
    known.lost(0, NOW)
    assert commands(known.asks(NOW)) == [[b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", b"cache"]]
    assert known.asks(NOW + ASK_EVERY_NS - 1) == b""
    assert known.asks(NOW + ASK_EVERY_NS) != b""
    assert known.told(3, answer("127.0.0.1")) == ""
    assert primary(known) == 0
    assert known.told(4, answer("127.0.0.3")) == ""
    assert primary(known) == 2
    assert known.asks(NOW + 3 * ASK_EVERY_NS) == b""


def test_a_late_answer_does_not_shake_a_primary_that_is_not_in_doubt():
    """A sentinel that was cut off still names the old one; a client that is content does not listen."""
    known = router()
    known.told(3, switch("127.0.0.2 7000"))
    known.told(4, answer("127.0.0.1"))
    assert primary(known) == 1


def test_doubt_ends_when_nothing_is_lost_any_more():
    """A second after the last loss nobody is asked."""
    known = router()
    known.lost(0, NOW)
    assert known.asks(NOW + DOUBT_NS - 1) != b""
    assert known.asks(NOW + DOUBT_NS) == b""
    known.told(3, answer("127.0.0.2"))
    assert primary(known) == 0


def test_only_the_primary_can_be_lost():
    """Replicas that are read by name come and go."""
    known = router()
    known.lost(1, NOW)
    assert known.asks(NOW) == b""


def test_a_primary_that_refuses_writes_is_in_doubt():
    """It has been made a replica, and the news of it was lost."""
    known = router()
    known.refused(0, "NOREPLICAS Not enough good replicas to write.", NOW)
    assert known.asks(NOW) == b""
    known.refused(0, "READONLY You can't write against a read only replica.", NOW)
    assert known.asks(NOW) != b""


def test_a_connection_made_in_doubt_begins_with_the_question():
    """The switch may have happened while there was none."""
    known = router()
    known.lost(0, NOW)
    assert [b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", b"cache"] in commands(known.connected(3))


def test_what_makes_no_sense_is_told():
    """A primary that is no node, news without an address, a refusal; greetings and subscriptions are fine."""
    known = router()
    known.lost(0, NOW)
    known.asks(NOW)
    assert "no node" in known.told(3, answer("10.1.1.1"))
    assert "no news" in known.told(3, b">3\r\n" + bulk("message", "+switch-master", "half a word"))
    assert "NOAUTH" in known.told(3, b"-NOAUTH Authentication required.\r\n")
    assert (
        known.told(3, b"%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n>3\r\n" + bulk("subscribe", "+switch-master") + b":1\r\n*-1\r\n")
        == ""
    )
    assert primary(known) == 0


@pytest.mark.parametrize("garbage", [b"!!!\r\n", b"*1000000000\r\n", b"$x\r\n"])
def test_garbage_is_a_breach(garbage: bytes):
    """Also a list that would take the memory for a billion words."""
    with pytest.raises(ProtocolBreach):
        router().told(3, garbage)
