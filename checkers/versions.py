"""The order of versions of each key, with the times between which each took effect. Shared by all checkers that compare versions.

    table = history.derive(versions)

One row per version of an ordered key, sorted by key and version; a row's number is the version's *place*. Each ordered key begins
with version 0, "never written", which is always there. Within a key a greater place is a newer version, so checkers compare
places and never look at versions. With i, ack, f and sup of DEFINITIONS, "Versions" (``NEVER`` where something did not happen):

===================  ==================================================================================================
call_ns       i(v)    its write's call
ack_ns      ack(v)    its write's return if that is ok
known_ns      f(v)    the earliest of ack, of the first return of a read that found it, and of the time by which the source's
                      audit had it: from then on certainly in effect
sup_ns      sup(v)    from when older versions are superseded: ack of an ok write, f of an ``info`` write
newer_call_ns         the earliest i of any newer version of the key
newer_sup_ns          the earliest sup of any newer version of the key
newer_known_ns        the earliest f of any newer version of the key
===================  ==================================================================================================

A write that certainly failed is no version. An ``info`` write is one, but supersedes nothing before it was seen, and may take
effect late: after every version that was called by the time it was seen (``overwrites``), however much newer: DEFINITIONS, "Late
writes". Where several writes carry one version (a forked history, see ``checkers.integrity``) the place has the earliest of their
times.

Cost: O(n + w log w) for n operations and w writes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers.scans import NONE, distinct, greatest_until, least_after
from harness.history import NEVER, Column, Function, History, Seen, Status
from harness.plan import Contract

UNKNOWN = -1
"""The place of what is no version: garbage, another key's value, a miss, a value of nobody or of a key without order."""

ALWAYS = -NEVER
"""The time of version 0."""


@dataclass(frozen=True, slots=True)
class Versions:
    """Versions in columns, one row a place, and the places of a history's operations.

    Attributes:
        row: the history row of the version's write (of the first acknowledged, else of the first called); -1 for version 0.
        key, version: what the place stands for.
        call_ns, ack_ns, known_ns, sup_ns, newer_call_ns, newer_sup_ns, newer_known_ns: see the module.
        overwrites: the newest place that the version may have replaced: its own, unless its write was never answered.
        delete: whether the version is a delete.
        first: the place of each key's version 0; one entry more than keys. A key's places are ``first[key]`` up to
            ``first[key + 1]`` exclusive; none for a key without order.
        place: per row of the history: the version that an ok read found, or that a write that may have taken effect wrote.
        twins: history rows of writes of a version whose ``row`` is another write.
    """

    row: Column
    key: Column
    version: Column
    call_ns: Column
    ack_ns: Column
    known_ns: Column
    sup_ns: Column
    newer_call_ns: Column
    newer_sup_ns: Column
    newer_known_ns: Column
    overwrites: Column
    delete: Column
    first: Column
    place: Column
    twins: Column

    def __len__(self) -> int:
        return len(self.row)


def versions(history: History) -> Versions:
    """The version table of ``history``; use it as ``history.derive(versions)``."""
    wrote = history.function != Function.READ
    rows = np.flatnonzero(wrote & (history.status != Status.FAIL) & (history.sent_version > 0) & history.ordered[history.key])
    initial = np.flatnonzero(history.ordered)
    key = np.concatenate([initial, history.key[rows].astype(np.int64)])
    version = np.concatenate([np.zeros(len(initial), np.int64), history.sent_version[rows]])
    row = np.concatenate([np.full(len(initial), -1), rows])
    ack = np.concatenate(
        [np.full(len(initial), ALWAYS), np.where(history.status[rows] == Status.OK, history.return_ns[rows], NEVER)]
    )

    order = np.lexsort((ack, version, key))
    key, version, row, ack = key[order], version[order], row[order], ack[order]
    lead = np.ones(len(row), bool)
    lead[1:] = (key[1:] != key[:-1]) | (version[1:] != version[:-1])
    place_of_write = np.cumsum(lead) - 1
    place = np.full(len(history), UNKNOWN)
    place[row[row >= 0]] = place_of_write[row >= 0]
    twins = row[~lead]
    key, version, row, ack = key[lead], version[lead], row[lead], ack[lead]
    first = np.searchsorted(key, np.arange(len(history.keys) + 1))

    call = np.where(row >= 0, history.call_ns[row] if len(history) else 0, ALWAYS)
    np.minimum.at(call, place[twins], history.call_ns[twins])
    acknowledged = ack < NEVER
    known = ack.copy()
    _place_reads(history, place, key, version, row=row, twins=twins)
    found = np.flatnonzero((place != UNKNOWN) & ~wrote)
    np.minimum.at(known, place[found], history.return_ns[found])
    _take_audit(history, place, known)
    sup = np.where(acknowledged, ack, known)
    newer_call = _earliest_newer(call, first)
    overwrites = np.arange(len(row))
    for late in np.flatnonzero(~acknowledged & (known < NEVER)):
        overwrites[late] += np.searchsorted(newer_call[late : first[key[late] + 1]], known[late], side="right")
    return Versions(
        row=row,
        key=key,
        version=version,
        call_ns=call,
        ack_ns=ack,
        known_ns=known,
        sup_ns=sup,
        newer_call_ns=newer_call,
        newer_sup_ns=_earliest_newer(sup, first),
        newer_known_ns=_earliest_newer(known, first),
        overwrites=overwrites,
        delete=(row >= 0) & ((history.function[row] == Function.DELETE) if len(history) else False),
        first=first,
        place=place,
        twins=twins,
    )


def newest_meant(history: History, contract: Contract) -> Column:
    """Per row, the place of the newest version up to which a read can have been in order; ``UNKNOWN`` where it says nothing.

    For a read that found a value this is the value's place, or the newest that an unanswered write may have replaced. One that
    found none is given the benefit of the doubt: it counts as the newest delete that was called before its return, as the newest
    version that may have expired or been deleted late by then, or else as version 0. A miss (no value, and no statement that
    there is none) counts so only if the contract does not allow misses.

    What found nothing may as well have meant something older. So an absence can be judged, but never judges: take the versions
    that *were* seen from ``Versions.place``.
    """
    return history.derive(Meant.by(contract)).newest


def meant_in_order(history: History, contract: Contract) -> Column:
    """As ``newest_meant``, but taking every write to have been in time: an unanswered one never replaces a newer version."""
    return history.derive(Meant.by(contract)).in_order


@dataclass(frozen=True, slots=True)
class Meanings:
    """What each row's read can have meant: see ``meant_in_order`` and ``newest_meant``."""

    in_order: Column
    newest: Column


@dataclass(frozen=True, slots=True)
class Meant:
    """The table behind ``newest_meant``: one for each way in which a contract reads absences.

    Attributes:
        misses: whether a miss counts as an absence.
        lasts_ns: how long a version is certain to last; None if it does not expire.
    """

    misses: bool
    lasts_ns: int | None

    @classmethod
    def by(cls, contract: Contract) -> Meant:
        """How ``contract`` reads absences."""
        ttl = contract.ttl
        return cls(contract.misses != "allowed", None if ttl is None else max(0, ttl.max - ttl.grace))

    def __call__(self, history: History) -> Meanings:
        """The meanings of every row."""
        table = history.derive(versions)
        absent = history.seen == Seen.ABSENT
        if self.misses:
            absent |= history.seen == Seen.MISS
        rows = np.flatnonzero(absent & (history.status == Status.OK) & history.ordered[history.key])
        found = (table.place != UNKNOWN) & (history.function == Function.READ)
        in_order, newest = table.place, table.place.copy()
        newest[found] = table.overwrites[table.place[found]]
        if len(rows) == 0:
            return Meanings(in_order, newest)
        # When a version can first have been gone: from its call if it is a delete, else when its time to live may be over.
        gone_ns = np.where(table.delete, table.call_ns, NEVER)
        if self.lasts_ns is not None:
            gone_ns = np.minimum(gone_ns, table.call_ns + self.lasts_ns)
        gone_ns[table.row < 0] = ALWAYS
        # ... or else when a delete that was never answered struck it late.
        late = (history.function == Function.DELETE) & (history.status == Status.INFO)
        late_ns = np.full(len(history.keys), NEVER)
        np.minimum.at(late_ns, history.key[late], history.call_ns[late])
        gone_late_ns = np.minimum(gone_ns, np.maximum(table.call_ns, late_ns[table.key]))
        in_order = in_order.copy()
        in_order[rows] = _newest_gone(history, rows, gone_ns)
        newest[rows] = _newest_gone(history, rows, gone_late_ns) if late.any() else in_order[rows]
        return Meanings(in_order, newest)


def _newest_gone(history: History, rows: Column, gone_ns: Column) -> Column:
    """For each of the ``rows`` the newest place of its key that can have been gone when it returned."""
    table = history.derive(versions)
    can_go = np.flatnonzero(gone_ns < NEVER)
    # A delete called at the very return counts as before it.
    at = greatest_until(
        table.key[can_go], gone_ns[can_go], can_go, history.key[rows].astype(np.int64), history.return_ns[rows], strictly=False
    )
    return can_go[at]


def first_sight(history: History, row: int) -> tuple[int, ...]:
    """What shows that the value which the read ``row`` found was in effect early: nothing but its write's answer, if it has one,
    else the row of the first read that found it; without that read, the write may have taken effect late.
    """
    table = history.derive(versions)
    place = table.place[row]
    if place == UNKNOWN or table.row[place] < 0 or table.ack_ns[place] < NEVER:
        return ()
    found = np.flatnonzero((table.place == place) & (history.function == Function.READ))
    return (int(found[np.argmin(history.return_ns[found])]),)


def outdated(history: History, place: Column) -> Column:
    """Per row, its ``place`` where a newer version was certainly in effect before the row's call, else ``UNKNOWN``.

    No other operation can be shown to go back in any order, so this spares most of the work.
    """
    table = history.derive(versions)
    if len(table) == 0:
        return place
    return np.where((place != UNKNOWN) & (table.newer_known_ns[place] < history.call_ns), place, UNKNOWN)


def _place_reads(history: History, place: Column, key: Column, version: Column, *, row: Column, twins: Column) -> None:
    """Fill in the ``place`` of each ok read that found a version of its own key."""
    hit = (history.seen == Seen.HIT) & (history.status == Status.OK) & history.ordered[history.key]
    reads = np.flatnonzero(hit & ((history.seen_key == history.key) | (history.seen_key < 0)) & (history.seen_version >= 0))
    found = _lookup(key, version, len(history.keys), history.key[reads].astype(np.int64), history.seen_version[reads])
    # A value that names another operation than the version's own is a twin's value, or of nobody.
    writer = np.where(row >= 0, history.op[row] if len(history) else -1, -1)
    carried = history.seen_op[reads]
    strange = np.flatnonzero((found != UNKNOWN) & (carried >= 0) & (carried != writer[found]))
    if len(strange):
        named = history.rows_of(carried[strange])
        found[strange[~(np.isin(named, twins) & (place[named] == found[strange]))]] = UNKNOWN
    place[reads] = found


def _take_audit(history: History, place: Column, known: Column) -> None:
    """Lower ``known`` of the writes without answer that the source's audit has."""
    ops = np.fromiter(history.committed.keys(), np.int64)
    times_ns = np.fromiter(history.committed.values(), np.int64)
    rows = history.rows_of(ops)
    at = np.where(rows >= 0, place[rows], UNKNOWN) if len(history) else rows
    np.minimum.at(known, at[at != UNKNOWN], times_ns[at != UNKNOWN])


def _lookup(key: Column, version: Column, keys: int, wanted_key: Column, wanted_version: Column) -> Column:
    """The place of each wanted (key, version); ``UNKNOWN`` where there is none."""
    if len(key) == 0:
        return np.full(len(wanted_key), UNKNOWN)
    # Versions usually count up from 1: then a table indexed by version is small, and beats a binary search several times.
    room = np.zeros(keys + 1, np.int64)
    last = np.flatnonzero(np.append(key[1:] != key[:-1], True))
    room[key[last] + 1] = version[last] + 1
    if int(version.max()) < 2**40 and int(room.sum()) <= 4 * (len(key) + len(wanted_key)) + 1024:
        base = np.cumsum(room)
        table = np.full(base[-1] + 1, UNKNOWN)
        table[base[key] + version] = np.arange(len(key))
        inside = wanted_version < room[wanted_key + 1]
        return table[np.where(inside, base[wanted_key] + wanted_version, base[-1])]
    ranks = distinct(version)
    rank = np.minimum(np.searchsorted(ranks, wanted_version), len(ranks) - 1)
    at = np.searchsorted(key * len(ranks) + np.searchsorted(ranks, version), wanted_key * len(ranks) + rank)
    at = np.minimum(at, len(key) - 1)
    return np.where((key[at] == wanted_key) & (version[at] == wanted_version), at, UNKNOWN)


def _earliest_newer(times: Column, first: Column) -> Column:
    """For each place the least of ``times`` over the greater places of its key."""
    if len(times) == 0:
        return times
    key = np.repeat(np.arange(len(first) - 1), np.diff(first))
    newer = least_after(times, key)
    return np.where(newer == NONE, NEVER, times[newer])
