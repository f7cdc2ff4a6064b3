"""The ring: where keys go, what a loss moves, and when a node is taken back."""

from __future__ import annotations

from collections import Counter

import pytest

from harness.history import Function
from harness.routing.ring import FLUSH, RingRouting

READ, WRITE = Function.READ, Function.WRITE
NAMES = ("cache-1", "cache-2", "cache-3")
KEYS = [b"1f00a2b3:register:0:%d" % n for n in range(3_000)]
MS = 1_000_000
HASHES = pytest.mark.parametrize("kind", ["ketama", "rendezvous"])


def placed(router, session=0, at_ns=0, keys=KEYS):
    return [router.place(key, READ, session, at_ns) for key in keys]


@HASHES
def test_every_node_gets_its_share_and_every_client_agrees(kind):
    """Keys are spread evenly, the same by every client and for every function."""
    routing = RingRouting(NAMES, kind)
    where = placed(routing.router())
    assert all(700 < often < 1_300 for often in Counter(where).values())
    assert set(where) == {0, 1, 2}
    assert placed(routing.router(), session=7, at_ns=99) == where
    assert [routing.router().place(key, WRITE, 1, 0) for key in KEYS[:50]] == where[:50]
    assert routing.router().nodes == (0, 1, 2)


def test_ketama_is_the_ketama_of_other_clients():
    """Keys go where libmemcached's points lead: md5 of "name-index", four points each, the next one clockwise."""

    router = RingRouting(("10.0.0.1:11211", "10.0.0.2:11211"), "ketama").router()
    assert {key: router.place(key, READ, 0, 0) for key in (b"foo", b"bar", b"baz", b"qux")} == {
        b"foo": 1,
        b"bar": 0,
        b"baz": 0,
        b"qux": 1,
    }


@HASHES
def test_a_loss_moves_the_keys_of_the_lost_node_alone(kind):
    """The others stay where they are; and all come back after the time of death, not before."""
    router = RingRouting(NAMES, kind, dead_ns=100 * MS).router()
    before = placed(router)
    router.lost(1, 50 * MS)
    during = placed(router, at_ns=149 * MS)
    assert 1 not in during
    assert [new for new, old in zip(during, before, strict=True) if old != 1] == [old for old in before if old != 1]
    assert {new for new, old in zip(during, before, strict=True) if old == 1} == {0, 2}
    assert placed(router, at_ns=150 * MS) == before


def test_each_failure_begins_the_time_anew():
    """A node that fails again is out from then on."""
    router = RingRouting(NAMES, dead_ns=100 * MS).router()
    router.lost(1, 0)
    router.lost(1, 60 * MS)
    assert 1 not in placed(router, at_ns=159 * MS)
    assert 1 in placed(router, at_ns=160 * MS)


def test_where_all_are_dead_the_first_is_asked():
    """Somebody has to be: the operation fails there, and the history shows it."""
    router = RingRouting(NAMES, dead_ns=100 * MS).router()
    before = placed(router)
    for node in range(3):
        router.lost(node, 0)
    assert placed(router, at_ns=1) == before


def test_what_a_node_says_takes_nobody_out():
    """An error is an answer; and no node of a pool sends clients elsewhere."""
    router = RingRouting(NAMES).router()
    router.refused(1, "SERVER_ERROR out of memory storing object", 0)
    assert 1 in placed(router)
    assert router.redirected(b"k", "MOVED 1 1.2.3.4:5", 0) is None


def test_clients_with_other_views_use_other_nodes():
    """Sessions take turns among the views; one without a node spreads its keys over the others."""
    views = (frozenset({0, 1, 2}), frozenset({0, 1}))
    router = RingRouting(NAMES, views=views).router()
    whole, part = placed(router, session=0), placed(router, session=1)
    assert whole == placed(router, session=2)
    assert set(part) == {0, 1}
    assert [b for a, b in zip(whole, part, strict=True) if a != 2] == [a for a in whole if a != 2]


def test_a_returning_node_is_flushed_once_by_every_client_that_lost_it():
    """Before it is used again; a client that began later has nothing to forget there."""
    router = RingRouting(NAMES, dead_ns=100 * MS, flush_on_return=True).router()
    for session in (0, 1):
        placed(router, session)
        assert router.ahead(1, session) == b""
    router.lost(1, 0)
    placed(router, session=2, at_ns=200 * MS)
    assert [router.ahead(1, session) for session in (0, 0, 1, 1, 2)] == [FLUSH, b"", FLUSH, b"", b""]
    assert router.ahead(0, 0) == b""
    router.lost(1, 300 * MS)
    assert [router.ahead(1, session) for session in (0, 2)] == [FLUSH, FLUSH]


def test_without_the_option_nobody_flushes():
    """The node comes back as it is."""
    router = RingRouting(NAMES, flush_on_return=False).router()
    placed(router)
    router.lost(1, 0)
    assert router.ahead(1, 0) == b""


def test_who_is_left_out_is_not_asked_and_is_asked_again_later() -> None:
    """Every session, or every other one, goes to the next node of the key's preference; each such operation is counted."""
    router = RingRouting(("a", "b", "c")).router()
    key = b"key"
    home = router.place(key, Function.READ, 0, 0)
    router.leave_out([home], every=False)
    assert router.place(key, Function.READ, 0, 0) == home
    assert router.place(key, Function.READ, 1, 0) != home
    router.leave_out([home], every=True)
    assert router.place(key, Function.READ, 0, 0) != home
    assert router.diverted == 2
    router.leave_out([], every=True)
    assert router.place(key, Function.READ, 1, 0) == home
    assert router.diverted == 2


def test_a_pool_without_members_is_asked_as_ever() -> None:
    """Left out altogether, a pool of one is still the only one there is."""
    router = RingRouting(("a",)).router()
    router.leave_out([0], every=True)
    assert router.place(b"key", Function.READ, 0, 0) == 0
    assert router.diverted == 0
