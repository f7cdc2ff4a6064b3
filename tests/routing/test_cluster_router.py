"""The router of a cluster's clients: what it knows, what it learns, and where it turns when it is left alone."""

from __future__ import annotations

import pickle

import pytest

from harness.history import Function
from harness.routing import Informed, Redirect
from harness.routing.cluster import ASKING, READONLY, SLOTS, ClusterRouter, ClusterRouting, ReadFrom, Slots, slot_of

READ, WRITE = Function.READ, Function.WRITE
ADDRESSES = {f"127.0.0.{1 + node}:7000": node for node in range(4)}
BORDER = 10_000
LOW = next(key for key in (b"low%d" % n for n in range(99)) if slot_of(key) < BORDER)
HIGH = next(key for key in (b"high%d" % n for n in range(99)) if slot_of(key) >= BORDER)
NOW = 10**9


def router(read_from: ReadFrom = "primary") -> ClusterRouter:
    """Two owners, 0 with the replica 2 and 1 with the replica 3."""
    slots = (Slots(0, BORDER - 1, 0, (2,)), Slots(BORDER, SLOTS - 1, 1, (3,)))
    return ClusterRouting(slots, ADDRESSES, read_from).router()


def test_the_slots_are_those_of_the_specification():
    """CRC16 as in the specification's own example; only the first braces with anything in them count."""
    assert slot_of(b"123456789") == 0x31C3
    assert slot_of(b"{user1000}.following") == slot_of(b"{user1000}.followers") == slot_of(b"user1000")
    assert slot_of(b"foo{}{bar}") != slot_of(b"bar")
    assert slot_of(b"foo{{bar}}zap") == slot_of(b"{bar")
    assert slot_of(b"foo{bar}{zap}") == slot_of(b"bar")
    assert slot_of(b"foo{bar") not in (slot_of(b"bar"), slot_of(b"foo"))


def test_everything_goes_to_the_owner_of_the_slot():
    """Two keys, two owners; whoever asks and whatever for."""
    known = router()
    assert {known.place(LOW, function, session, NOW) for function in Function for session in range(3)} == {0}
    assert {known.place(HIGH, function, session, NOW) for function in Function for session in range(3)} == {1}
    assert known.nodes == (0, 1)
    assert known.greeting == b""
    assert not isinstance(known, Informed)


def test_reads_go_to_replicas_where_that_is_wanted():
    """Replicas alone, or all in turn; writes stay with the owner, and connections begin with READONLY."""
    replicas, everyone = router("replicas"), router("any")
    assert {replicas.place(LOW, READ, 0, NOW) for _ in range(4)} == {2}
    assert {everyone.place(LOW, READ, 0, NOW) for _ in range(4)} == {0, 2}
    for known in (replicas, everyone):
        assert {known.place(HIGH, WRITE, 0, NOW) for _ in range(4)} == {1}
        assert known.greeting == READONLY
        assert known.nodes == (0, 1, 2, 3)


def test_moved_corrects_the_slot_and_no_other():
    """The key goes to its new owner from then on; a key of another slot does not."""
    known = router()
    assert known.redirected(LOW, f"MOVED {slot_of(LOW)} 127.0.0.2:7000", 0) == Redirect(1)
    assert known.place(LOW, READ, 0, NOW) == 1
    other = next(key for key in (b"a%d" % n for n in range(99)) if slot_of(key) < BORDER and slot_of(key) != slot_of(LOW))
    assert known.place(other, READ, 0, NOW) == 0


def test_ask_sends_one_operation_elsewhere_and_corrects_nothing():
    """ASKING goes ahead of it; the next one is for the owner again."""
    known = router()
    assert known.redirected(LOW, f"ASK {slot_of(LOW)} 127.0.0.4:7000", 0) == Redirect(3, ASKING)
    assert known.place(LOW, WRITE, 0, NOW) == 0


def test_an_empty_host_is_the_host_of_the_one_who_says_so():
    """As the specification has it for servers that do not know their own address."""
    assert router().redirected(LOW, "MOVED 1 :7000", 1) == Redirect(1)


@pytest.mark.parametrize("answer", ["MOVED 1 10.0.0.1:7000", "MOVED 1", "MOVED", "MOVED 1 127.0.0.2", "ASK 1 :1"])
def test_a_redirect_to_nowhere_leads_nowhere_and_teaches_nothing(answer: str):
    """Strangers, half a sentence, another port."""
    known = router()
    assert known.redirected(LOW, answer, 0) is None
    assert known.place(LOW, READ, 0, NOW) == 0


def test_a_lost_owner_is_asked_for_at_the_others_until_one_sends_us_back():
    """Each try at somebody else; a redirect to the lost one is followed, for it may be back."""
    known = router()
    known.lost(0, 1)
    asked = {known.place(LOW, WRITE, 0, NOW) for _ in range(6)}
    assert asked == {1, 2, 3}
    assert known.place(HIGH, WRITE, 0, NOW) == 1, "who owns other slots is none the worse"
    assert known.redirected(LOW, f"MOVED {slot_of(LOW)} 127.0.0.1:7000", 1) == Redirect(0)
    assert known.place(LOW, WRITE, 0, NOW) == 0


def test_a_promoted_replica_takes_over_and_its_shard_follows():
    """After the fail-over its former primary and siblings are its replicas."""
    known = router("replicas")
    known.lost(0, 1)
    assert known.redirected(LOW, f"MOVED {slot_of(LOW)} 127.0.0.3:7000", 1) == Redirect(2)
    assert known.place(LOW, WRITE, 0, NOW) == 2
    known.redirected(HIGH, f"MOVED {slot_of(HIGH)} 127.0.0.1:7000", 1)
    assert known.place(LOW, READ, 0, NOW) == 0


def test_a_node_without_a_cluster_is_passed_by():
    """CLUSTERDOWN is the word of somebody who may be on the wrong side; READONLY of a session's own choice is no reason."""
    known = router()
    known.refused(0, "READONLY You can't write against a read only replica.", 1)
    assert known.place(LOW, READ, 0, NOW) == 0
    known.refused(0, "CLUSTERDOWN The cluster is down", 1)
    assert known.place(LOW, READ, 0, NOW) != 0


def test_when_all_are_lost_all_are_tried_again():
    """Nobody is given up for good."""
    known = router()
    for node in range(4):
        known.lost(node, 1)
    assert known.place(LOW, READ, 0, NOW) == 0


def test_a_slot_that_nobody_owns_is_asked_for_anywhere():
    """Whoever is asked knows better, or says CLUSTERDOWN."""
    known = ClusterRouting((Slots(0, 0, 1),), ADDRESSES).router()
    assert {known.place(LOW, READ, 0, NOW) for _ in range(8)} == {0, 1, 2, 3}


def test_a_routing_travels_to_the_workers():
    """It is pickled with the task."""
    routing = ClusterRouting((Slots(0, SLOTS - 1, 0),), ADDRESSES, "any")
    assert pickle.loads(pickle.dumps(routing)) == routing  # noqa: S301 - our own bytes
