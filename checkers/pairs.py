"""Which nodes had which writes when: one row for each acknowledged write and each node that clients read.

    table = pairs(history, contract)

A write and a node are the unit behind bounds and rates: a thousand reads of one stale entry are one event. With v the write's
version, "at the node" of reads of its key there, and time without the harness' own stalls (``checkers.stalls``):

============  =======================================================================================================
sup_ns        the write's acknowledgement
fresh_ns      the first return at the node of v or a newer version: from then on the node had it; ``NEVER`` if not seen
stale_ns      the last call at the node that found an older version; ``-NEVER`` if there is none
read_ns       the last call at the node; ``-NEVER`` if it was never asked
============  =======================================================================================================

A version that is superseded before it was seen counts as fresh with the newer one.

Where clients find their way by themselves (``History.routed``), a key is read in one place only, and which node that is may
change. Then a write makes one pair, with that place, whatever node it is at the time.

Cost: O(n + w·m) for n reads, w writes and m nodes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from checkers.reads import Reads, reads
from checkers.scans import NONE, greatest_before, greatest_so_far
from checkers.stalls import awake_ns
from checkers.versions import ALWAYS, Versions, versions
from harness.history import NEVER, Column, History
from harness.plan import Contract


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs in columns, sorted by node and place. See the module.

    Attributes:
        place: the write, a row of ``Versions``.
        node: index of the node; 0 for all where clients find their way by themselves.
        call_ns: the write's call.
    """

    place: Column
    node: Column
    call_ns: Column
    sup_ns: Column
    fresh_ns: Column
    stale_ns: Column
    read_ns: Column

    def __len__(self) -> int:
        return len(self.place)

    def take(self, rows: Column) -> Pairs:
        """The pairs in ``rows``: a mask or row numbers."""
        return Pairs(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def pairs(history: History, contract: Contract) -> Pairs:
    """The pairs of ``history``."""
    table, found = history.derive(versions), reads(history, contract)
    written = np.flatnonzero((table.row >= 0) & (table.ack_ns < NEVER))
    parts = []
    place = np.zeros_like(found.node) if history.routed else found.node
    for node in np.unique(place):
        at_node = np.flatnonzero(place == node)
        fresh, stale, read = _at_node(table, found, at_node)
        columns = (table.call_ns, table.sup_ns, fresh, stale, read)
        parts.append(
            [written, np.full(len(written), node, np.int64), *(awake_ns(history, column[written]) for column in columns)]
        )
    if not parts:
        return Pairs(*(np.zeros(0, np.int64) for _ in fields(Pairs)))
    return Pairs(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _at_node(table: Versions, found: Reads, rows: Column) -> tuple[Column, Column, Column]:
    """For each place what one node's reads, the ``rows`` of ``found``, say of it: fresh, stale and read, as in ``Pairs``."""
    place, call, returned = found.place[rows], found.call_ns[rows], found.return_ns[rows]
    # Times that stand for "not" just beyond all others, because running extremes are cheapest in a narrow range.
    early, late = int(call.min()) - 1, int(returned.max()) + 1
    first_return = np.full(len(table), late)
    np.minimum.at(first_return, found.shown[rows], returned)
    last_call = np.full(len(table), early)
    np.maximum.at(last_call, place, call)

    at_least = greatest_so_far(-first_return[::-1], table.key[::-1])
    fresh = first_return[::-1][at_least][::-1]
    before = greatest_before(last_call, table.key)
    stale = np.where(before == NONE, early, last_call[before])
    asked = np.full(int(table.key.max()) + 1, early)
    np.maximum.at(asked, table.key[place], call)
    read = asked[table.key]
    return (
        np.where(fresh == late, NEVER, fresh),
        np.where(stale == early, ALWAYS, stale),
        np.where(read == early, ALWAYS, read),
    )
