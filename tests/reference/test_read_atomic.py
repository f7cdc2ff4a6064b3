"""Requests of several keys: what the source commits together is read together, or the source is asked."""

from __future__ import annotations

import pytest

from harness.reference.effects import Call, Flow, Refused, Unreachable
from harness.reference.messages import ORIGIN, CommitMany, Conflicts, Fetch, FetchMany, Invalidate, Record, Value
from harness.reference.node import Strategy
from harness.reference.origin import NOTHING, Origin, Outbox
from harness.reference.strategies import no_cache
from harness.reference.strategies.read_atomic import DESIGN, ReadAtomic
from harness.reference.zoo import designs
from tests.reference.workbench import Workbench, advance

X, Y = "x", "y"


def values(version: int) -> tuple[Value, Value]:
    """Both keys at ``version``; the operations are numbered by it."""
    return Value(X, version, 10 * version), Value(Y, version, 10 * version + 1)


def together(version: int) -> tuple[Record, Record]:
    """What the source has after both keys were written ``version`` times in one request each."""
    x, y = values(version)
    along = ((X, version), (Y, version))
    return Record(x, version, along), Record(y, version, along)


@pytest.fixture
def node() -> ReadAtomic:
    """A node that has heard all events so far and keeps nothing."""
    made = ReadAtomic(Workbench(DESIGN.settings))
    made.heard = 0
    return made


def test_what_was_committed_together_is_answered_from_the_cache(node: ReadAtomic) -> None:
    """Two entries that oblige each other to nothing more need nobody else."""
    node.entries = dict(zip((X, Y), together(2), strict=True))
    assert advance(node.read_many((X, Y))) == values(2)


def test_half_of_a_write_is_not_answered(node: ReadAtomic) -> None:
    """One new record and one old: the source is asked for both as of one moment, and the old entry is dropped."""
    node.entries = {X: together(2)[0], Y: together(1)[1]}
    read = node.read_many((X, Y))
    assert advance(read) == Call(ORIGIN, FetchMany((X, Y)))
    assert Y not in node.entries
    assert node.known(Y) == 2
    assert advance(read, together(3)) == values(3)


def test_a_node_does_not_go_back_behind_what_the_source_told_it(node: ReadAtomic) -> None:
    """The source was asked for both keys, and had newer ones than the half that was kept: that one is dropped as well."""
    node.entries = {X: together(2)[0], Y: together(1)[1]}
    read = node.read_many((X, Y))
    advance(read)
    assert advance(read, together(3)) == values(3)
    assert advance(node.read(X)) == Call(ORIGIN, Fetch(X))


def test_an_old_record_obliges_nobody(node: ReadAtomic) -> None:
    """A key that was written alone since then may be newer than its sibling."""
    alone = Record(Value(Y, 5, 55), 5)
    node.entries = {X: together(2)[0], Y: alone}
    assert advance(node.read_many((X, Y))) == (values(2)[0], alone.value)


def test_only_keys_that_were_asked_for_are_compared(node: ReadAtomic) -> None:
    """What else was committed together does not concern the request."""
    node.entries = {X: together(2)[0], Y: together(1)[1], "z": NOTHING}
    assert advance(node.read_many((X, "z"))) == (values(2)[0], None)


def test_a_fill_may_be_what_shows_the_half(node: ReadAtomic) -> None:
    """One key is fetched and new, the other one is kept and old."""
    node.entries = {Y: together(1)[1]}
    read = node.read_many((X, Y))
    assert advance(read) == Call(ORIGIN, Fetch(X))
    effect = advance(read, together(2)[0])
    while not isinstance(effect, Call):  # those who share the fetch are told
        effect = advance(read)
    assert effect == Call(ORIGIN, FetchMany((X, Y)))


def test_a_write_names_the_stamps_that_it_replaces(node: ReadAtomic) -> None:
    """What came in between is learned from the source, and then the write is tried again; afterwards the node knows of it."""
    write = node.write_many(values(4))
    assert advance(write) == Call(ORIGIN, CommitMany(values(4), (0, 0)))
    assert advance(write, Conflicts((3, 3))) == Call(ORIGIN, CommitMany(values(4), (3, 3)))
    assert advance(write, (4, 4)) is None
    assert (node.known(X), node.known(Y)) == (4, 4)


def test_the_source_commits_all_or_nothing() -> None:
    """A condition that does not hold for one key holds for none; a request that comes again does nothing more."""
    origin = Origin(Workbench(DESIGN.settings))
    assert origin.commit_many(values(1), (0, 0)) == (1, 1)
    assert origin.commit_many(values(1), (0, 0)) == (1, 1)
    assert origin.commit_many(values(2), (1, 0)) == Conflicts((1, 1))
    assert [value for _, value in origin.audit] == list(values(1))
    assert tuple(origin.records[key] for key in (X, Y)) == together(1)


def test_each_key_of_a_commit_has_an_event_of_its_own() -> None:
    """This is how halves come about."""
    origin = Outbox(Workbench(DESIGN.settings))
    origin.commit_many(values(1), (0, 0))
    assert list(origin.untold) == [Invalidate(X, 1), Invalidate(Y, 1)]


class Each(Strategy):
    """Reads and writes key by key; ``refuses`` says which key it does not write."""

    refuses = ""

    def read(self, key: str) -> Flow[Value | None]:
        """What the source has."""
        record: Record = yield Call(ORIGIN, Fetch(key))
        return record.value

    def write(self, value: Value) -> Flow[None]:
        """To the source, unless it is refused."""
        if value.key == self.refuses:
            raise Refused("no")
        yield Call(ORIGIN, value)


def test_who_knows_no_better_reads_and_writes_each_key_for_itself() -> None:
    """One after the other, in the order of the request."""
    node = Each(Workbench(DESIGN.settings))
    read = node.read_many((X, Y))
    assert advance(read) == Call(ORIGIN, Fetch(X))
    assert advance(read, together(1)[0]) == Call(ORIGIN, Fetch(Y))
    assert advance(read, NOTHING) == (values(1)[0], None)


@pytest.mark.parametrize(("key", "expected"), [(X, Refused), (Y, Unreachable)])
def test_nobody_says_that_nothing_was_done_when_half_was(key: str, expected: type[Exception]) -> None:
    """The first key's refusal is the request's; a later one's leaves open what became of it."""
    node = Each(Workbench(DESIGN.settings))
    node.refuses = key
    write = node.write_many(values(1))

    def run() -> None:
        while advance(write) is not None:
            pass

    with pytest.raises(expected):
        run()


def test_no_cache_reads_and_writes_at_one_moment() -> None:
    """Several keys are one request to the source."""
    node = no_cache.NoCache(Workbench(no_cache.DESIGN.settings))
    assert advance(node.write_many(values(1))) == Call(ORIGIN, CommitMany(values(1)))
    read = node.read_many((X, Y))
    assert advance(read) == Call(ORIGIN, FetchMany((X, Y)))
    assert advance(read, together(1)) == values(1)


def test_only_two_designs_promise_it() -> None:
    """The one without a cache, and the one that compares."""
    promising = {name for name, design in designs().items() if design.promise(design.settings, 500_000).atomic_reads}
    assert promising == {"no-cache", "read-atomic"}
