"""The shared store: who may fill, what a token is worth, and when an entry is over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.reference.settings import Settings
from harness.reference.store import Busy, Clear, Delete, Found, Get, Lease, Ping, Set, SetIf, Store, Won
from tests.reference.workbench import Workbench, advance

LEASE_NS, TTL_NS = 100, 1_000


def a_store(seed: int = 1) -> tuple[Store, Workbench]:
    """An empty store, and where it runs."""
    bench = Workbench(Settings(), seed)
    return Store(bench), bench


def ask(store: Store, request: Any) -> Any:
    """The reply to ``request``."""
    return advance(store.serve("node-1", request))


def test_one_asker_wins_the_right_to_fill_and_the_next_is_told_to_wait() -> None:
    """Of two who find nothing, the first has a token and the second has none."""
    store, _ = a_store()
    assert isinstance(ask(store, Lease("x", LEASE_NS)), Won)
    assert ask(store, Lease("x", LEASE_NS)) == Busy()
    assert ask(store, Get("x")) is None


def test_the_winner_stores_once() -> None:
    """A token is spent by the value that is stored with it: the same request again does nothing."""
    store, _ = a_store()
    token = ask(store, Lease("x", LEASE_NS)).token
    assert ask(store, SetIf("x", "one", TTL_NS, token)) is True
    assert ask(store, SetIf("x", "two", TTL_NS, token)) is False
    assert ask(store, Lease("x", LEASE_NS)).content == "one"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda store, _: ask(store, Delete("x")),
        lambda store, _: ask(store, Clear()),
        lambda store, _: ask(store, Set("x", "other", TTL_NS)),
        lambda _, bench: setattr(bench, "now_ns", LEASE_NS),
    ],
    ids=["delete", "clear", "set", "end of the lease"],
)
def test_what_makes_a_token_worthless(spoil: Callable[[Store, Workbench], Any]) -> None:
    """After a delete, a clear, another value or the end of the lease a fill that began before comes to nothing."""
    store, bench = a_store()
    token = ask(store, Lease("x", LEASE_NS)).token
    spoil(store, bench)
    assert ask(store, SetIf("x", "late", TTL_NS, token)) is False


def test_a_token_does_not_fit_whoever_fills_after_its_holder() -> None:
    """When a lease has ended and somebody else has won, the first holder cannot store in the place of the second."""
    store, bench = a_store()
    first = ask(store, Lease("x", LEASE_NS)).token
    bench.now_ns = LEASE_NS
    second = ask(store, Lease("x", LEASE_NS)).token
    assert ask(store, SetIf("x", "late", TTL_NS, first)) is False
    assert ask(store, SetIf("x", "in time", TTL_NS, second)) is True


def test_a_token_of_an_earlier_life_does_not_fit() -> None:
    """A store that was restarted has forgotten all, and gives no token that somebody may still have."""
    store, bench = a_store()
    token = ask(store, Lease("x", LEASE_NS)).token
    restarted = store.survivor()
    assert isinstance(restarted, Store)
    assert restarted.place is bench
    assert ask(restarted, Lease("x", LEASE_NS)).token != token
    assert ask(restarted, SetIf("x", "late", TTL_NS, token)) is False


def test_a_value_is_replaced_only_by_whoever_has_seen_the_newest() -> None:
    """Compare-and-set: the token that came with the value is good until another value is stored."""
    store, _ = a_store()
    ask(store, Set("x", "one", TTL_NS))
    found = ask(store, Get("x"))
    assert isinstance(found, Found)
    ask(store, Set("x", "two", TTL_NS))
    assert ask(store, SetIf("x", "three", TTL_NS, found.token)) is False
    assert ask(store, SetIf("x", "three", TTL_NS, ask(store, Get("x")).token)) is True


def test_an_entry_is_over_at_its_time() -> None:
    """An entry is found up to the last moment of its life, and not at its end."""
    store, bench = a_store()
    ask(store, Set("x", "one", TTL_NS))
    bench.now_ns = TTL_NS - 1
    assert ask(store, Get("x")).content == "one"
    bench.now_ns = TTL_NS
    assert ask(store, Get("x")) is None


def test_a_delete_tells_whether_anything_was_there() -> None:
    """A delete of nothing does nothing and says so."""
    store, _ = a_store()
    ask(store, Set("x", "one", TTL_NS))
    assert (ask(store, Delete("x")), ask(store, Delete("x"))) == (True, False)
    assert ask(store, Ping()) is True


def test_a_store_does_not_answer_what_it_does_not_know() -> None:
    """A request of another fleet is an error of whoever wrote it."""
    store, _ = a_store()
    with pytest.raises(TypeError, match="does not understand"):
        ask(store, "FLUSH")
