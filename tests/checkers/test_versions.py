"""The version table against the definitions."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from checkers.versions import ALWAYS, UNKNOWN, meant_in_order, newest_meant, versions
from harness.history import NEVER, Function, History
from harness.plan import Contract, TimeToLive
from tests.checkers.big import big_history
from tests.checkers.histories import MS, history
from tests.checkers.strategies import CONTRACTS, Reading, histories


def test_a_key_begins_with_version_zero_and_orders_its_versions() -> None:
    """Places follow key and version, whatever the order of the calls, and each key starts at version 0."""
    table = versions(history("w x2 0-1", "w y7 2-3", "w x1 4-5"))
    assert table.key.tolist() == [0, 0, 0, 1, 1]
    assert table.version.tolist() == [0, 1, 2, 0, 7]
    assert table.row.tolist() == [-1, 2, 0, -1, 1]
    assert table.first.tolist() == [0, 3, 5]
    assert table.place.tolist() == [2, 4, 1]


def test_times_of_a_write() -> None:
    """An ok write supersedes from its acknowledgement, an info write from when it was first seen, an unseen one never."""
    table = versions(history("w x1 @n0 1-9; r x1 2-4; w x2 10-; r x2 12-13; r x2 12-15; w x3 20-"))
    assert table.call_ns.tolist() == [ALWAYS, 1 * MS, 10 * MS, 20 * MS]
    assert table.ack_ns.tolist() == [ALWAYS, 9 * MS, NEVER, NEVER]
    assert table.known_ns.tolist() == [ALWAYS, 4 * MS, 13 * MS, NEVER]
    assert table.sup_ns.tolist() == [ALWAYS, 9 * MS, 13 * MS, NEVER]
    assert table.newer_sup_ns.tolist() == [9 * MS, 13 * MS, NEVER, NEVER]
    assert table.newer_call_ns.tolist() == [1 * MS, 10 * MS, 20 * MS, NEVER]


def test_what_is_no_version_has_no_place() -> None:
    """Garbage, misses, other keys' values, nobody's values, failed writes and keys without order are unknown."""
    table = versions(history("w x1 0-1; w x2 2-3 fail; r x2 4-5; r x? 4-5; r x- 4-5; r x~ 4-5; r x9 4-5; r z=x1 4-5; r x1#1 4-5"))
    assert table.place.tolist() == [1] + [UNKNOWN] * 8
    assert versions(history("w x1 0-1; r x1 2-3", unordered=("x",))).place.tolist() == [UNKNOWN, UNKNOWN]


def test_huge_versions_are_placed_as_small_ones_are() -> None:
    """Time stamps serve as versions as well as counters do."""
    stamp = 1_700_000_000_000_000_000
    table = versions(history(f"w x{stamp} 0-1; w x{stamp + 5} 2-3; r x{stamp} 4-5; r x{stamp + 1} 4-5; r x{stamp + 9} 4-5"))
    assert table.place.tolist() == [1, 2, 1, UNKNOWN, UNKNOWN]


def test_two_writes_of_one_version_share_a_place() -> None:
    """A forked version has one place with the earliest times, and each writer's value is recognised."""
    table = versions(history("w x1 @a 0-9; w x1 @b 3-5; r x1#0 10-11; r x1#1 10-11; r x1#2 10-11"))
    assert table.place.tolist() == [1, 1, 1, 1, UNKNOWN]
    assert (table.call_ns[1], table.ack_ns[1], table.twins.tolist(), table.row[1]) == (0, 5 * MS, [0], 1)


def test_an_absence_counts_as_the_newest_delete_it_can_mean() -> None:
    """What found nothing means the newest delete called before its return, an expired version, or version 0."""
    h = history("w x1 0-1; d x2 2-3; w x3 4-5; d x4 20-21", "r x~ 1-1.5; r x~ 6-7; r x- 6-7; r x~ 19-20; r y~ 21-22")
    kinds = np.flatnonzero(h.function == Function.READ)
    assert newest_meant(h, Contract())[kinds].tolist() == [0, 2, UNKNOWN, 4, 5]
    assert newest_meant(h, Contract(misses="loss"))[kinds].tolist() == [0, 2, 2, 4, 5]
    expiring = Contract(ttl=TimeToLive(max="3ms", grace="1ms"))
    assert newest_meant(h, expiring)[kinds].tolist() == [0, 3, UNKNOWN, 4, 5]


def test_an_empty_history_has_an_empty_table() -> None:
    """Nothing in, nothing out."""
    table = versions(history())
    assert (len(table), len(table.place), table.first.tolist()) == (0, 0, [0])


@settings(max_examples=400, deadline=None)
@given(histories(), CONTRACTS)
def test_the_table_is_what_the_definitions_say(h: History, contract: Contract) -> None:
    """Every time and every place equals the plain reading of DEFINITIONS, "Versions" and "Late writes"."""
    table, reading = versions(h), Reading(h, contract)
    expected = {(key, 0) for key in np.flatnonzero(h.ordered).tolist()} | {(w.key, w.sent) for w in reading.writes}
    assert sorted(expected) == list(zip(table.key.tolist(), table.version.tolist(), strict=True))
    for at, (key, version) in enumerate(sorted(expected)):
        newer = [v for k, v in expected if k == key and v > version]
        calls = {v: min(w.call for w in reading.of(key, v)) for v in newer}
        assert table.newer_call_ns[at] == min(calls.values(), default=NEVER)
        assert table.newer_sup_ns[at] == min((reading.sup(key, v) for v in newer), default=NEVER)
        if version:
            assert table.ack_ns[at] == reading.ack(key, version)
            assert table.known_ns[at] == reading.known(key, version)
            assert table.sup_ns[at] == reading.sup(key, version)
    meant, newest = meant_in_order(h, contract), newest_meant(h, contract)
    for r in reading.reads:
        told = (table.place[r.row], reading.found(r)), (meant[r.row], reading.meant(r)), (newest[r.row], reading.newest(r))
        for place, version in told:
            assert (None if place == UNKNOWN else table.version[place]) == version
            assert place == UNKNOWN or table.key[place] == r.key


def test_the_table_of_a_large_history_places_every_operation() -> None:
    """Every read that hit and every write of a correct history has a place that agrees with its version."""
    h = big_history(20_000, keys=50)
    table = versions(h)
    hit = h.seen_version > 0
    assert (table.version[table.place[hit]] == h.seen_version[hit]).all()
    assert (table.key[table.place[hit]] == h.key[hit]).all()
    assert len(table.twins) == 0
