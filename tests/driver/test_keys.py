"""A worker's keys, and the names that its workloads go by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.clients.resp import Resp
from harness.driver.keys import _MAX_FOREIGN, _MAX_KNOWN, Keys
from harness.driver.worker import Worker
from harness.history import Function, Seen
from harness.journal import Journal, read_journals
from harness.plan import WorkloadSpec
from harness.values import encode_value
from tests.driver.runs import task
from tests.driver.servers import refusing_endpoint


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(Resp(), Journal(tmp_path, 0, 1, ("n",), ("w",)), "run")


def test_a_value_of_our_own_is_understood(keys: Keys) -> None:
    """Key, version and op id, also the second time, and for each key its own."""
    first, second = keys.add("a"), keys.add("b")
    for _ in range(2):
        assert keys.understand(encode_value(b"run:a", 3, 17)) == (Seen.HIT, first, 3, 17)
        assert keys.understand(encode_value(b"run:b", 3, 17)) == (Seen.HIT, second, 3, 17)
        assert keys.understand(b"junk") == (Seen.GARBAGE, -1, -1, -1)


def test_a_name_is_used_once(keys: Keys) -> None:
    """Two keys of one name could not be told apart, nor could one with the values' own separator."""
    keys.add("a")
    for name in ("a", "", "a|b"):
        with pytest.raises(ValueError, match="cannot name a new key"):
            keys.add(name)


def test_a_name_seen_before_it_is_ours_becomes_ours(keys: Keys, tmp_path: Path) -> None:
    """A value may name a key that we only make later; both mean the same key in the history."""
    _, foreign, _, _ = keys.understand(b"run:later|1|1")
    own = keys.add("later")
    assert own != foreign
    assert keys.understand(b"run:later|1|2")[1] == own
    assert keys.finals({}) == {own: 0}
    assert read_journals(tmp_path).keys == ("later",)


def test_a_server_cannot_fill_memory_with_names_and_values(keys: Keys) -> None:
    """Past a thousand foreign names a value of one more is garbage, and remembered values are forgotten in time."""
    found = [keys.understand(b"run:x%d|1|1" % number)[0] for number in range(_MAX_FOREIGN + 10)]
    assert found == [Seen.HIT] * _MAX_FOREIGN + [Seen.GARBAGE] * 10
    for number in range(_MAX_KNOWN * 2):
        keys.understand(b"run:x0|1|%d" % number)
    assert len(keys._known) <= _MAX_KNOWN


def test_a_value_of_another_run_is_garbage(keys: Keys) -> None:
    """Its key may have the same name but for the token; nobody wrote it in this run, and it fills no table."""
    keys.add("a")
    for value in (b"a|1|1", b"gone:a|1|1", b"runs:a|1|1"):
        assert keys.understand(value)[0] == Seen.GARBAGE
    assert keys.names == [b"run:a"]


def test_names_that_are_no_text_are_garbage(keys: Keys) -> None:
    """Our own names are text."""
    assert keys.understand(b"run:\xff\xfe|1|1")[0] == Seen.GARBAGE


def test_finals_are_acknowledged_versions_of_ordered_keys(keys: Keys) -> None:
    """Versions without an order have no highest: any answer settles such a key."""
    ordered, unordered = keys.add("a"), keys.add("b", ordered=False)
    keys.acknowledged[ordered] = keys.acknowledged[unordered] = 5
    assert keys.finals({}) == {ordered: 5, unordered: 0}


def test_what_the_source_has_committed_is_final_if_it_is_newer(keys: Keys) -> None:
    """A version that nobody was told of raises its own key; older ones, other runs' and those without order change nothing."""
    first, second, unordered = keys.add("a"), keys.add("b"), keys.add("c", ordered=False)
    keys.acknowledged[first] = keys.acknowledged[second] = 5
    committed = {"run:a": 7, "run:b": 4, "run:c": 9, "a": 99, "other:a": 99}
    assert keys.finals(committed) == {first: 7, second: 5, unordered: 0}


def test_reads_are_asked_in_the_clients_protocol(keys: Keys) -> None:
    """The kept request is what the codec would make."""
    index = keys.add("a")
    assert keys.reads[index] == Resp().request(Function.READ, b"run:a")


def test_workloads_of_one_kind_are_told_apart(tmp_path: Path) -> None:
    """Two registers are two workloads with keys, sessions and a name each."""
    one = task(tmp_path, [refusing_endpoint()], keys=3, sessions=2)
    both = replace(one, workloads=(*one.workloads, WorkloadSpec(kind="session-hop"), *one.workloads))
    assert both.labels == ("register-1", "session-hop", "register-2")
    worker = Worker(both, 0)
    assert [client.session for client in worker.clients] == list(range(14))
    assert [client.workload for client in worker.clients] == [0] * 2 + [1] * 10 + [2] * 2
    assert len(set(worker.keys.names)) == len(worker.keys.names)
    assert next(worker.numbers) == 14
