"""Whether anyone, at one node in one epoch, saw a session's later write and then missed what the session had done before it.

This is the part of monotonic writes and writes-follow-reads that only observers can see (``checkers.sessions`` has the rule).
Let A be an operation of a session that wrote or read place p, and B a later write of that session. At one node in one epoch:

    O(B)  the first return of a read that found B's value
    E(A)  the least O(B) over all B of A's session called after A returned: from then on, the node must show A
    T(p)  the least E(A) over all A of place p: from then on, the node must show p or newer
    M(v)  the least T(p) over all p newer than v: from then on, v is too old here

A read that finds v at that node is an offence iff it was called after M(v). Each step is one pass over columns.
"""

from __future__ import annotations

import numpy as np

from checkers.scans import NONE, distinct, greatest_before, least_after
from checkers.versions import ALWAYS, UNKNOWN, versions
from harness.history import Column, Function, History


def overtaken(history: History, group: Column, did: Column, judged: Column) -> tuple[Column, Column, Column, Column]:
    """Reads that miss something that had to be there, with what proves it.

    Args:
        history: the history.
        group: per row, the session whose order counts (or its part at one node).
        did: per row, the place that the operation wrote or read as A; ``UNKNOWN`` where it is none.
        judged: per row, the newest place that an outdated read can have meant; ``UNKNOWN`` where it is not judged.

    Returns:
        Four columns of rows: A, B, the read that found B's value, and the offending read.
    """
    table = history.derive(versions)
    rows = np.flatnonzero((judged != UNKNOWN) & (history.epoch >= 0))
    nothing = np.zeros(0, np.int64)
    if len(rows) == 0:
        return nothing, nothing, nothing, nothing

    shared = np.zeros(len(table), bool)
    shared[table.place[table.twins]] = True
    writes = np.flatnonzero((history.function != Function.READ) & (table.place != UNKNOWN))
    writes = writes[~shared[table.place[writes]]]  # a value of a forked version does not tell whose it is
    writes = writes[np.argsort(group[writes], kind="stable")]
    doers = np.flatnonzero(did != UNKNOWN)
    doers = doers[np.isin(history.key[doers], history.key[rows])]
    next_write = _next(group[writes], history.call_ns[writes], group[doers], history.return_ns[doers])
    in_time = next_write != NONE
    in_time[in_time] = history.call_ns[writes[next_write[in_time]]] < last_missed(history, judged)[did[doers[in_time]]]
    doers, next_write = doers[in_time], next_write[in_time]
    if len(doers) == 0:
        return nothing, nothing, nothing, nothing

    never = int(max(history.end_ns, history.call_ns.max())) + 1
    found = np.flatnonzero((history.function == Function.READ) & (table.place != UNKNOWN) & (history.epoch >= 0))
    found = found[history.return_ns[found] >= table.call_ns[table.place[found]]]  # a value from the future proves nothing
    source = history.node.astype(np.int64) << 32 | history.epoch.astype(np.int64)
    proofs = [[nothing] * 4]
    for place in distinct(source[rows]):
        asked = rows[source[rows] == place]
        showed = found[source[found] == place]
        first_shown = np.full(len(table), never)
        np.minimum.at(first_shown, table.place[showed], history.return_ns[showed])

        shown_ns = first_shown[table.place[writes]]
        soonest = _least_from_here(shown_ns, group[writes])[next_write]
        due_ns = np.full(len(table), never)
        np.minimum.at(due_ns, table.place[doers], shown_ns[soonest])
        demanding = least_after(due_ns, table.key)

        newer = demanding[judged[asked]]
        broken = (newer != NONE) & (due_ns[newer] < history.call_ns[asked])
        if not broken.any():
            continue
        asked, newer = asked[broken], newer[broken]
        doer = _where(table.place[doers], shown_ns[soonest], due_ns)[newer]
        write = soonest[doer]
        shower = _where(table.place[showed], history.return_ns[showed], first_shown)[table.place[writes[write]]]
        proofs.append([doers[doer], writes[write], showed[shower], asked])
    return tuple(np.concatenate(columns) for columns in zip(*proofs, strict=True))  # type: ignore[return-value]  # four


def last_missed(history: History, needs: Column) -> Column:
    """Per place the last call of an operation that falls below it, by ``needs``: who did it only later obliged nobody who erred.

    One entry more than places: that of ``UNKNOWN``.
    """
    table = history.derive(versions)
    rows = np.flatnonzero(needs != UNKNOWN)
    called_ns = np.full(len(table), ALWAYS)
    np.maximum.at(called_ns, needs[rows], history.call_ns[rows])
    below = greatest_before(called_ns, table.key)
    return np.append(np.where(below == NONE, ALWAYS, called_ns[below]), ALWAYS)


def _next(group: Column, call_ns: Column, of_group: Column, after_ns: Column) -> Column:
    """For each (group, time) the index of the group's first call after that time; both columns are sorted. ``NONE`` if none."""
    if len(group) == 0:
        return np.full(len(of_group), NONE)
    ticks = distinct(call_ns)
    axis = group * (len(ticks) + 1) + np.searchsorted(ticks, call_ns)
    at = np.searchsorted(axis, of_group * (len(ticks) + 1) + np.searchsorted(ticks, after_ns, side="right"))
    inside = np.minimum(at, len(group) - 1)
    return np.where((at < len(group)) & (group[inside] == of_group), at, NONE)


def _least_from_here(value: Column, group: Column) -> Column:
    """For each element the index of the least value of its group from the element on."""
    after = least_after(value, group)
    here = np.arange(len(value))
    return np.where((after != NONE) & (value[after] < value), after, here)


def _where(place: Column, value: Column, extreme: Column) -> Column:
    """For each place the index of an element of that place whose value is the place's extreme one; ``NONE`` if there is none."""
    index = np.full(len(extreme), NONE)
    hits = np.flatnonzero(value == extreme[place])
    index[place[hits]] = hits
    return index
