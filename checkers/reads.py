"""How stale every read was: the table behind the checkers of staleness and convergence.

    table = reads(history, contract)

One row per ok read of an ordered key that says anything (see ``checkers.versions.newest_meant``), in call order. With sup and i
as in ``checkers.versions``, and newer than the version that the read found:

==============  =========================================================================================================
lo_ns           max(0, call - the earliest sup of a newer version): it was certainly stale for so long when it was called
hi_ns           max(0, return - the earliest i of a newer version): it can have been stale for no longer when it returned, late
                effects of unanswered writes apart
newest          place of the newest version that was superseding older ones at the call; the read is fresh if it is not newer
lag             how many newer versions were superseding at the call: k of DEFINITIONS, "Staleness"
==============  =========================================================================================================

Cost: O(n + s log w) for n reads, s of them stale, and w writes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers.scans import greatest_so_far
from checkers.versions import ALWAYS, UNKNOWN, Versions, meant_in_order, newest_meant, versions
from harness.history import NEVER, Column, Function, History
from harness.plan import Contract, TimeToLive


@dataclass(frozen=True, slots=True)
class Reads:
    """Reads in columns, in call order. See the module.

    Attributes:
        row: row of the history.
        place: the newest version it can have meant, a row of ``Versions``: only what is newer than that makes it stale.
        shown: the version that it found, taking every write to have been in time: only that can make it fresh.
        node, call_ns, return_ns: copies of the history's columns.
    """

    row: Column
    place: Column
    shown: Column
    node: Column
    call_ns: Column
    return_ns: Column
    lo_ns: Column
    hi_ns: Column
    newest: Column
    lag: Column

    def __len__(self) -> int:
        return len(self.row)


def reads(history: History, contract: Contract) -> Reads:
    """The read table of ``history``, computed once for all contracts that mean the same by a miss."""
    return history.derive(_Reading(contract.misses, contract.ttl))


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a contract says about reads that found nothing; a table of ``History.derive``."""

    misses: str
    ttl: TimeToLive | None

    def __call__(self, history: History) -> Reads:
        table = history.derive(versions)
        contract = Contract.model_construct(misses=self.misses, ttl=self.ttl)
        place, shown = newest_meant(history, contract), meant_in_order(history, contract)
        row = np.flatnonzero((place != UNKNOWN) & (history.function == Function.READ))
        place, shown, call, returned = place[row], shown[row], history.call_ns[row], history.return_ns[row]
        lo = np.maximum(call - table.newer_sup_ns[place], 0)
        hi = np.maximum(returned - table.newer_call_ns[shown], 0)
        stale = np.flatnonzero(lo)
        newest = place.copy()
        newest[stale] = _newest(table, place[stale], call[stale])
        lag = np.zeros(len(row), np.int64)
        lag[stale] = _lag(table, place[stale], newest[stale], call[stale])
        ahead = np.flatnonzero(table.sup_ns[newest] >= call)
        newest[ahead] = _newest_before(table, newest[ahead], call[ahead])
        return Reads(row, place, shown, history.node[row], call, returned, lo, hi, newest, lag)


def _newest(table: Versions, place: Column, call: Column) -> Column:
    """The newest place of the key with sup < call, for reads of which some newer place has that.

    It is the first place from which on nothing newer has sup < call; ``newer_sup_ns`` never falls within a key. Most reads lag by
    little: strides of doubling length first, then halves.
    """
    last = table.first[table.key[place] + 1] - 1
    low, high = place.copy(), place + 1
    behind = np.flatnonzero(table.newer_sup_ns[high] < call)
    stride = 1
    while len(behind):
        stride *= 2
        low[behind] = high[behind]
        high[behind] = np.minimum(low[behind] + stride, last[behind])
        behind = behind[table.newer_sup_ns[high[behind]] < call[behind]]
    between = np.flatnonzero(high - low > 1)
    while len(between):
        middle = (low[between] + high[between]) // 2
        short = table.newer_sup_ns[middle] < call[between]
        low[between[short]] = middle[short]
        high[between[~short]] = middle[~short]
        between = between[high[between] - low[between] > 1]
    return high


def _newest_before(table: Versions, place: Column, call: Column) -> Column:
    """The newest place below ``place`` with sup < call; version 0 always has that."""
    found = place - 1
    ahead = np.flatnonzero(table.sup_ns[found] >= call)
    while len(ahead):
        found[ahead] -= 1
        ahead = ahead[table.sup_ns[found[ahead]] >= call[ahead]]
    return found


def _lag(table: Versions, place: Column, newest: Column, call: Column) -> Column:
    """How many places in (place, newest] have sup < call."""
    known = table.sup_ns < NEVER
    so_far = np.cumsum(known)
    lag: Column = so_far[newest] - so_far[place]
    # That is all of them, unless some version up to the newest was acknowledged out of order, after the call: then one by one.
    sup = np.where(known, table.sup_ns, ALWAYS)
    unsure = np.flatnonzero(sup[greatest_so_far(sup, table.key)][newest] >= call)
    lag[unsure] = 0
    at = place[unsure] + 1
    while len(unsure):
        lag[unsure] += table.sup_ns[at] < call[unsure]
        more = at < newest[unsure]
        unsure, at = unsure[more], at[more] + 1
    return lag


def superseding(table: Versions, place: int) -> int:
    """The place that superseded ``place`` first; there must be one."""
    newer = slice(place + 1, int(table.first[table.key[place] + 1]))
    return place + 1 + int(np.argmin(table.sup_ns[newer]))
