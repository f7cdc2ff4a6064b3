"""Workloads in virtual time: what each does, what it keeps to, and that it can show a flaw."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise

import pytest

from harness.errors import PlanError
from harness.history import Function, Status
from harness.plan import WorkloadSpec
from tests.workloads.virtual import MS, TRIO, Done, Keyspace, Store, play, run, shard, stale
from workloads import WORKLOADS
from workloads.cold_register import AGES
from workloads.settle import Settle, offsets

KINDS = tuple(WORKLOADS.builtin)
READ, WRITE = Function.READ, Function.WRITE


def writes_by_key(done: list[Done]) -> dict[int, list[Done]]:
    writes = defaultdict(list)
    for each in done:
        if each.operation.function is WRITE:
            for key, _ in each.operation.items:
                writes[key].append(each)
    return writes


@pytest.mark.parametrize("kind", KINDS)
def test_a_perfect_store_shows_no_stale_read(kind: str) -> None:
    """On one truth nothing is ever old, whatever the workload does."""
    done, _ = run(kind, Store(), 30)
    assert len(done) > 100
    assert stale(done) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_lagging_replica_shows(kind: str) -> None:
    """Each workload reads where and when a lag can be seen."""
    done, _ = run(kind, Store(lag_ns=150 * MS), 30)
    assert stale(done) > 10


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_fixes_every_operation(kind: str) -> None:
    """The same seed does the same, another seed something else."""
    first, again, other = (run(kind, Store(), 10, seed=seed)[0] for seed in (3, 3, 4))
    assert first == again
    assert first != other


@pytest.mark.parametrize("kind", KINDS)
def test_keys_stay_checkable_whatever_happens_to_writes(kind: str) -> None:
    """One writer a key, versions only up and never twice, and no write after an info: the rules of workloads.base."""
    done, keyspace = run(kind, Store(broken=0.2, refused=0.2), 60, sessions=8)
    assert all(keyspace.ordered)
    statuses = Counter(each.outcome.status for each in done if each.operation.function is WRITE)
    assert min(statuses.values()) > 5
    for writes in writes_by_key(done).values():
        assert len({each.session for each in writes}) == 1
        versions = [each.operation.version for each in writes]
        assert versions == sorted(set(versions))
        assert versions[0] >= 1
        for before, after in pairwise(writes):
            assert before.outcome.return_ns <= after.outcome.call_ns
            assert before.outcome.status is not Status.INFO


@pytest.mark.parametrize("kind", KINDS)
def test_writes_go_where_writing_is_allowed(kind: str) -> None:
    """Only writable nodes are written, all readable ones are read."""
    done, _ = run(kind, Store(), 30, sessions=8)
    nodes = {
        function: {each.operation.node for each in done if each.operation.function is function} for function in (READ, WRITE)
    }
    assert nodes[WRITE] == set(TRIO.writable)
    assert nodes[READ] == {0, 1, 2}


@pytest.mark.parametrize("kind", KINDS)
def test_shards_share_neither_keys_nor_sessions_nor_groups(kind: str) -> None:
    """What two workers do of one workload does not meet."""
    workload = WORKLOADS.load(kind)(WorkloadSpec(kind=kind, sessions=5), TRIO)
    spaces = Keyspace(), Keyspace()
    parts = [shard(space, 5, part, 2, label=kind) for part, space in enumerate(spaces)]
    played = [play(workload.sessions(part), Store(), 30_000 * MS) for part in parts]
    assert not set(spaces[0].names) & set(spaces[1].names)
    assert sorted([*parts[0].sessions, *parts[1].sessions]) == [0, 1, 2, 3, 4]
    groups = [{each.operation.group for each in done} - {-1} for done in played]
    assert not groups[0] & groups[1]


def test_register_reads_as_often_as_it_should() -> None:
    """The share of reads is the option's, where every session has keys to write."""
    done, keyspace = run("register", Store(), 20, keys=40, reads=0.8)
    assert len(keyspace.names) == 40
    reads = sum(each.operation.function is READ for each in done) / len(done)
    assert abs(reads - 0.8) < 0.01


def test_register_keys_are_popular_by_rank() -> None:
    """With zipf 1 the first key is read ten times as often as the tenth; with 0 all alike."""
    for zipf, ratio in ((1.0, 10.0), (0.0, 1.0)):
        done, _ = run("register", Store(), 60, keys=50, reads=1.0, zipf=zipf)
        count = Counter(each.operation.key for each in done)
        assert ratio * 0.8 < count[0] / count[9] < ratio * 1.25


def test_register_goes_on_with_a_fresh_key_after_an_info() -> None:
    """The retired key is neither written nor read again, and the fresh one takes its place among the popular."""
    done, keyspace = run("register", Store(broken=0.2), 20, keys=8, reads=0.5)
    assert len(keyspace.names) > 50
    last = {each.operation.key: each.outcome.call_ns for each in done}
    retired = [each for each in done if each.operation.function is WRITE and each.outcome.status is Status.INFO]
    assert len(retired) > 50
    assert all(last[each.operation.key] <= each.outcome.return_ns for each in retired)


def test_register_with_several_writers_is_unordered() -> None:
    """Versions are then names: unique, and declared to have no order."""
    done, keyspace = run("register", Store(), 10, keys=4, reads=0.5, writers_per_key=3)
    assert not any(keyspace.ordered)
    for writes in writes_by_key(done).values():
        assert len({each.session for each in writes}) == 3
        versions = [each.operation.version for each in writes]
        assert len(set(versions)) == len(versions)


def test_a_session_without_keys_reads_only() -> None:
    """More sessions than keys: the others watch."""
    done, _ = run("register", Store(), 2, sessions=6, keys=2, reads=0.5)
    assert {each.session for each in done if each.operation.function is WRITE} == {0, 1}
    assert {each.session for each in done} == set(range(6))


@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_cold_register_probes_every_node_at_every_age(scale: float) -> None:
    """After a burst of one to three writes, silence; then one round at each age, whose probes share a group."""
    done, _ = run("cold-register", Store(), 60, scale=scale, sessions=3)
    rounds: dict[int, dict[int, list[Done]]] = defaultdict(lambda: defaultdict(list))
    for each in done:
        if each.operation.function is READ:
            rounds[each.operation.key][each.operation.group].append(each)
    writes = writes_by_key(done)
    lengths = set()
    whole = [key for key, found in rounds.items() if len(found) == len(AGES) and len([*found.values()][-1]) == 3]
    assert len(whole) >= 9
    for key in whole:
        lengths.add(len(writes[key]))
        quiet_ns = writes[key][-1].outcome.return_ns
        for age_ns, probes in zip(AGES, rounds[key].values(), strict=True):
            assert {each.operation.node for each in probes} == {0, 1, 2}
            assert {each.operation.due_ns - quiet_ns for each in probes} == {round(age_ns * scale)}
            assert probes[0].outcome.call_ns == quiet_ns + round(age_ns * scale)
    assert lengths == {1, 2, 3}
    assert len(rounds) == len(writes), "each burst has a key of its own"


def test_cold_register_sessions_do_not_march_in_step() -> None:
    """Their bursts fall at different times, so that a fault never finds all of them silent."""
    done, _ = run("cold-register", Store(), 25, sessions=8)
    second = {each.outcome.call_ns // (1_000 * MS) for each in done if each.operation.function is WRITE}
    assert len(second) > 4


def test_session_hop_reads_everywhere_after_thinking_and_at_home_last() -> None:
    """Each write is followed by reads of its key at every other node and then at its own, each after a think time."""
    done, keyspace = run("session-hop", Store(), 20, sessions=2, keys=6, think="20ms")
    assert len(keyspace.names) == 6
    thinks = []
    for session in (0, 1):
        mine = [each for each in done if each.session == session]
        for write, *reads in zip(mine[::4], mine[1::4], mine[2::4], mine[3::4], strict=False):
            assert [each.operation.function for each in (write, *reads)] == [WRITE, READ, READ, READ]
            assert {each.operation.key for each in reads} == {write.operation.key}
            assert {each.operation.node for each in reads} == {0, 1, 2}
            assert reads[-1].operation.node == write.operation.node
            thinks += [after.operation.due_ns - before.outcome.return_ns for before, after in pairwise((write, *reads))]
    assert abs(sum(thinks) / len(thinks) - 20 * MS) < 3 * MS


def test_multi_key_writes_whole_sets_and_reads_parts_of_them() -> None:
    """A write has all keys of a set in one version; reads have two or more of them, or one alone, at the shares asked for."""
    done, keyspace = run("multi-key", Store(), 60, sets=6, keys=4, reads=0.7, single_reads=0.25)
    assert len(keyspace.names) == 24
    sets = {frozenset(key for key, _ in each.operation.items) for each in done if each.operation.function is WRITE}
    assert sets == {frozenset(range(first, first + 4)) for first in range(0, 24, 4)}
    for each in done:
        if each.operation.function is WRITE:
            assert {version for _, version in each.operation.items} == {each.operation.version}
    reads = [frozenset(key for key, _ in each.operation.items) for each in done if each.operation.function is READ]
    assert all(any(keys <= whole for whole in sets) for keys in reads)
    assert abs(len(reads) / len(done) - 0.7) < 0.02
    sizes = Counter(map(len, reads))
    assert abs(sizes[1] / len(reads) - 0.25) < 0.02
    assert all(abs(sizes[size] / len(reads) - 0.25) < 0.02 for size in (2, 3, 4))


def test_multi_key_gives_each_request_of_several_keys_a_group_of_its_own() -> None:
    """In the history the rows of one request are told by it."""
    done, _ = run("multi-key", Store(), 20, keys=2)
    groups = [each.operation.group for each in done if each.operation.beside]
    assert len(set(groups)) == len(groups) > 100
    assert {each.operation.group for each in done if not each.operation.beside} == {-1}


def test_multi_key_retires_the_whole_set_after_an_info() -> None:
    """The write may still land on each of its keys: none of them is written or read again."""
    done, keyspace = run("multi-key", Store(broken=0.2), 20, sets=4, reads=0.5)
    assert len(keyspace.names) > 100
    last = {key: each.outcome.call_ns for each in done for key, _ in each.operation.items}
    retired = [each for each in done if each.operation.function is WRITE and each.outcome.status is Status.INFO]
    assert len(retired) > 30
    assert all(last[key] <= each.outcome.return_ns for each in retired for key, _ in each.operation.items)


def test_settling_asks_each_node_until_it_has_caught_up() -> None:
    """Nodes that are up to date are asked once; one that lags is asked again until it is not."""
    store = Store(lag_ns=400 * MS, truth={0: [(0, 1), (1_000 * MS, 2)], 1: [(0, 5)]})
    settle = Settle({0: 2, 1: 5}, (0, 1, 2), 1_000 * MS, 10_000 * MS)
    sessions = settle.sessions(shard(Keyspace(), settle.sessions_wanted))
    done = play(sessions, store, 20_000 * MS)
    asked = Counter((each.operation.key, each.operation.node) for each in done)
    assert asked[0, 0] == asked[1, 0] == asked[1, 1] == asked[1, 2] == 1
    late = [each for each in done if (each.operation.key, each.operation.node) == (0, 1)]
    assert [each.outcome.version for each in late] == [1, 1, 1, 2]
    assert [(each.operation.due_ns - 1_000 * MS) // MS for each in late] == [0, 100, 250, 475]


def test_settling_takes_a_newer_version_for_final_too() -> None:
    """An info write may have landed: that is newer than the last acknowledged one."""
    settle = Settle({0: 2}, (0,), 0, 10_000 * MS)
    done = play(settle.sessions(shard(Keyspace(), settle.sessions_wanted)), Store(truth={0: [(0, 3)]}), 20_000 * MS)
    assert len(done) == 1


def test_settling_ends_at_its_limit() -> None:
    """A key that never comes back is asked for the last time at the limit."""
    settle = Settle({0: 2}, (0, 1, 2), 0, 3_000 * MS)
    done = play(settle.sessions(shard(Keyspace(), settle.sessions_wanted)), Store(), 20_000 * MS)
    assert max(each.operation.due_ns for each in done) == 3_000 * MS
    assert len(done) == 3 * len(list(offsets(3_000 * MS)))


@pytest.mark.parametrize("limit_ns", [0, 1, 100 * MS, 3_000 * MS, 60_000 * MS])
def test_settling_looks_often_enough(limit_ns: int) -> None:
    """The rounds begin at once, end at the limit, and are never more than a second apart."""
    rounds = list(offsets(limit_ns))
    assert (rounds[0], rounds[-1]) == (0, limit_ns)
    assert all(0 < after - before <= 1_000 * MS for before, after in pairwise(rounds))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "register", "reeds": 0.5}, 'did you mean "reads"'),
        ({"kind": "register", "reads": 1.5}, "reads"),
        ({"kind": "register", "keys": 0}, "keys"),
        ({"kind": "register", "writers_per_key": 5, "sessions": 4}, "5 writers a key"),
        ({"kind": "cold-register", "burst": (3, 1)}, "smaller number first"),
        ({"kind": "cold-register", "burst": (0, 1)}, "burst"),
        ({"kind": "cold-register", "probes": ()}, "probes"),
        ({"kind": "cold-register", "probes": ("1s", "100ms")}, "grow"),
        ({"kind": "cold-register", "probes": ("1s", "1s")}, "grow"),
        ({"kind": "cold-register", "scale": 0.0}, "greater than 0"),
        ({"kind": "cold-register", "scale": float("inf")}, "finite"),
        ({"kind": "register", "keys": 10**9}, "less than or equal to 1000000"),
        ({"kind": "cold-register", "rate": 5.0}, "takes no rate"),
        ({"kind": "session-hop", "think": "5"}, "number and a unit"),
        ({"kind": "session-hop", "think": "-1ms"}, "number and a unit"),
        ({"kind": "session-hop", "rate": 5.0}, "takes no rate"),
        ({"kind": "multi-key", "keys": 1}, "greater than or equal to 2"),
        ({"kind": "multi-key", "keys": 17}, "less than or equal to 16"),
        ({"kind": "multi-key", "single_reads": 2.0}, "single_reads"),
    ],
)
def test_bad_options_are_refused_with_advice(options: dict[str, object], words: str) -> None:
    """One clear message before anything starts."""
    spec = WorkloadSpec.model_validate(options)
    with pytest.raises(PlanError) as caught:
        WORKLOADS.load(spec.kind)(spec, TRIO)
    assert words in str(caught.value)
