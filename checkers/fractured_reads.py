"""What was written in one request is read in one request whole, or not at all.

**Rule.** A write request wrote version v of key a and version w of key b. A read request that asks for both, and finds exactly v
of a, must find w of b or something newer: else it is a ``fractured-read``, for it saw half of a write. One request is what has
one group, one process and one call in the history; the rounds of a probe share a group, too, but each has a call of its own.

**Example.** Fractured: the read finds version 2 of x, and of y what had been there before version 2 of both was written::

    w x1+y1 0-5;  w x2+y2 10-15;  r x2+y1 20-21;  r x2+y2 30-31

A write without an answer counts as soon as one of its values was seen: then it took effect, and did so by halves. What found
nothing is judged as ``checkers.versions.newest_meant`` says, and shows nothing of its siblings; a delete is a version. An old
version whose write was never answered may have come late, after the newer one: it is given the benefit of the doubt.

**Measures.** ``fractured-share``: of the read requests in which two keys could be compared, as one was found with a value that
was written together with a version of the other, the share that saw half of a write.

**Cost.** O(n log n) for the n operations that have a group, and O(k) for every read of a value that was written with k others;
nothing where no request is for several keys.

**Cannot see.** Anything without requests of several keys. Halves that a later write of a single key has covered: who finds a
newer version than the one written together is obliged to nothing. That all keys are as of one moment, where they were written
one by one: a snapshot that fits no order of all writes (T-Cache) needs transactions and their order, and is not judged. Keys
without an order of versions. A version that two writes share: see ``split-brain``. Writes without an answer of which the
source's audit has some keys only: the others count as not written.

**Sources.** DEFINITIONS, "Read atomicity"; Bailis, Fekete, Hellerstein, Ghodsi, Stoica, Scalable Atomic Visibility with RAMP
Transactions, SIGMOD 2014; Cheng et al., RAMP-TAO, VLDB 2021 (1 in 1,500 batched reads was fractured); Eyal, Birman, van Renesse,
Cache Serializability, ICDCS 2015.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers import wording
from checkers.base import Proof, findings, phases_at
from checkers.scans import distinct, stable_order
from checkers.versions import UNKNOWN, first_sight, meant_in_order, newest_meant, versions
from harness.history import Column, Function, History
from harness.plan import Contract
from harness.results import Measure, Result, Severity

NAME = "fractured-reads"

ALONE = -1
"""Instead of the number of a request: the operation asks for one key alone."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Pairs of reads of one request, whose keys were written together, in columns of history rows.

    Attributes:
        new: the read that found the value of a write request.
        other: the read of another key which that request wrote.
        write: the write of that other key.
    """

    new: Column
    other: Column
    write: Column


def check(history: History, contract: Contract) -> Result:
    """Read requests that saw half of a write request, and how many could have."""
    request = history.derive(requests)
    if not (request != ALONE).any():
        return Result(NAME)
    table, shown = history.derive(versions), meant_in_order(history, contract)
    pairs = compared(history, contract)
    could = len(distinct(request[pairs.new]))
    half = np.flatnonzero(newest_meant(history, contract)[pairs.other] < table.place[pairs.write])
    depth = table.place[pairs.write[half]] - shown[pairs.other[half]]
    # A request counts once, by the key that is the most behind.
    half, depth = (column[np.lexsort((-depth, request[pairs.new[half]]))] for column in (half, depth))
    _, worst = np.unique(request[pairs.new[half]], return_index=True)
    half, depth = half[worst], depth[worst]
    new, other, write = pairs.new[half], pairs.other[half], pairs.write[half]
    return Result(
        NAME,
        findings=findings(
            history,
            "fractured-read",
            Severity.ORDER,
            phases=phases_at(history, contract, history.call_ns[new]),
            gravity=depth,
            prove=lambda i: _proof(history, shown, int(new[i]), int(other[i]), int(write[i])),
        ),
        measures=(
            Measure(
                "fractured-share",
                len(half) / could if could else None,
                "ratio",
                n=could,
                per="request",
                note=f"{len(half):,} reads of several keys saw half of what was written together",
            ),
        ),
    )


def requests(history: History) -> Column:
    """Per row the number of the request of several keys that it is part of, else ``ALONE``; to be derived of a history."""
    number = np.full(len(history), ALONE)
    rows = np.flatnonzero(history.group >= 0)
    same = (history.group[rows], history.process[rows], history.call_ns[rows])
    order = np.lexsort(same)
    begins = np.ones(len(rows), bool)
    begins[1:] = np.logical_or.reduce([np.diff(column[order]) != 0 for column in same])
    which = np.cumsum(begins) - 1
    several = np.bincount(which)[which] > 1
    number[rows[order[several]]] = which[several]
    return number


def compared(history: History, contract: Contract) -> Compared:
    """All reads that another read of their request obliges to something, once for each write request that does."""
    table, request = history.derive(versions), history.derive(requests)
    several = np.flatnonzero(request != ALONE)
    asked = history.function[several] == Function.READ
    reads, writes = several[asked], several[~asked]
    writes = writes[table.place[writes] != UNKNOWN]
    writes = writes[stable_order(request[writes])]

    found = reads[table.place[reads] != UNKNOWN]
    shared = np.zeros(len(table), bool)
    shared[table.place[table.twins]] = True
    found = found[~shared[table.place[found]]]
    wrote = table.row[table.place[found]]
    together = wrote >= 0
    together[together] = request[wrote[together]] != ALONE
    found, wrote = found[together], wrote[together]
    # Whichever of its values shows that a write happened, it obliges the same.
    _, once = np.unique(request[found] * (len(history) + 1) + request[wrote], return_index=True)
    found, wrote = found[once], wrote[once]

    begin, end = (np.searchsorted(request[writes], request[wrote], side=side) for side in ("left", "right"))
    count = end - begin
    new = np.repeat(found, count)
    write = writes[np.arange(len(new)) + np.repeat(begin - (np.cumsum(count) - count), count)]
    other = _read_beside(history, reads[newest_meant(history, contract)[reads] != UNKNOWN], new, history.key[write])
    kept = (other >= 0) & (other != new)
    return Compared(new[kept], other[kept], write[kept])


def _read_beside(history: History, reads: Column, row: Column, key: Column) -> Column:
    """For each ``row`` that one of ``reads`` which asked for ``key`` in the same request; -1 where none did."""
    if len(reads) == 0:
        return np.full(len(row), -1)
    request, keys = history.derive(requests), len(history.keys)
    axis = request[reads] * keys + history.key[reads]
    order = np.argsort(axis, kind="stable")
    wanted = request[row] * keys + key
    at = order[np.minimum(np.searchsorted(axis[order], wanted), len(order) - 1)]
    beside: Column = np.where(axis[at] == wanted, reads[at], -1)
    return beside


def _proof(history: History, shown: Column, new: int, other: int, write: int) -> Proof:
    """That the request of ``new`` and ``other`` found a value of a write request, and not its sibling, which ``write`` wrote."""
    table = history.derive(versions)
    sibling, older = int(table.row[table.place[new]]), int(table.row[shown[other]])
    seen = first_sight(history, other)
    a, b = wording.key(history, new), wording.key(history, other)
    version, due = (wording.place(history, int(table.place[row])) for row in (sibling, write))
    written, asked = ([wording.name(history, row) for row in pair] for pair in ((sibling, write), (new, other)))
    reads = dict.fromkeys((*seen, *sorted((new, other))))
    return Proof(
        claim=f"Node {wording.node(history, new)} answered one request with {version} of {a} and "
        f"{wording.answer(history, other)} of {b}, although {version} of {a} and {due} of {b} were written together.",
        argument=(
            *(wording.wrote(history, row) for row in (older, *sorted((sibling, write))) if row >= 0),
            *(wording.read(history, row) for row in reads),
            f"{written[0]} and {written[1]} are one request, and so are {asked[0]} and {asked[1]}.",
            f"{asked[0]} shows that the write had taken effect, so {asked[1]} should have found {due} or a newer one.",
            f"However, {asked[1]} {wording.older(history, other, int(shown[other]))}: half of a write was read.",
        ),
        rows=(other, new, write, sibling, older, *seen),
        nodes=wording.nodes(history, (new, other)),
    )
