"""Every value that a read finds was written: to that key, by a write that happened, before the read returned, and only once.

Rules. Every value names its key, its version and the operation that wrote it. For an ok read r that found a value:

==============  =========================================================================================================
wrong-key       the value names another key
thin-air        no write of this run sent the value; garbage, too
dirty-read      its write certainly failed
future-read     r returned before its write was called
split-brain     two values carry one version of one key: acknowledged by two nodes in periods that overlap (or by two
                overlapping operations), or found by reads at one node in one epoch
late-write      a step backwards (see ``checkers.node_regress``) to the version of an unanswered write
==============  =========================================================================================================

    w1 writes version 1 of x and is refused; r1 asks node n for x and finds 1; r2 asks n for y and finds version 1 of x.
    r1 is a dirty-read, r2 a wrong-key.

The first five are fatal whatever the contract says. A ``late-write`` is an order finding: a write that timed out may legally take
effect, but not after a newer one had been seen. Values of imported histories carry no operation; their write is found by key and
version. None of this but the last two needs an order of versions.

A version that was acknowledged, lost in a fail-over and then given again is a ``lost-write`` and no ``split-brain``: hence the
periods.

Cost: O(n) beyond the version table, and O(k log k) for k versions that were written twice.
Blind spots: a value that was corrupted into another valid value of the same key; a wrong value of a key without order.
Source: DEFINITIONS, "Integrity"; dirty, aborted and thin-air reads in Adya 1999, Bouajjani et al. POPL'17.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from checkers import wording
from checkers.base import Proof, findings, phases_at
from checkers.node_regress import depth, step_proof, steps_back
from checkers.scans import distinct
from checkers.versions import UNKNOWN, versions
from harness.history import NEVER, Column, Function, History, Seen, Status
from harness.plan import Contract
from harness.results import Finding, Result, Severity

NOBODY = -1


def check(history: History, contract: Contract) -> Result:
    """Values that no correct store can return."""
    hit = (history.seen == Seen.HIT) & (history.status == Status.OK)
    elsewhere = hit & (history.seen_key >= 0) & (history.seen_key != history.key)
    reads = np.flatnonzero(hit & ~elsewhere)
    writer = writers(history, reads)
    written = writer != NOBODY
    initial = (history.seen_version[reads] == 0) & (history.seen_op[reads] < 0)
    garbage = np.flatnonzero((history.seen == Seen.GARBAGE) & (history.status == Status.OK))
    thin = np.sort(np.concatenate([reads[~written & ~initial], garbage]))
    failed = written & (history.status[writer] == Status.FAIL)
    early = written & ~failed & (history.return_ns[reads] < history.call_ns[writer])
    steps = steps_back(history, contract)
    first, then = steps.first[steps.late], steps.then[steps.late]

    def fatal(name: str, rows: Column, prove: Callable[[int], Proof]) -> tuple[Finding, ...]:
        where = phases_at(history, contract, history.call_ns[rows])
        return findings(history, name, Severity.INTEGRITY, phases=where, gravity=np.zeros(len(rows)), prove=prove)

    wrong = np.flatnonzero(elsewhere)
    forks, forked_ns = split_versions(history)
    return Result(
        checker="integrity",
        findings=(
            *fatal("wrong-key", wrong, lambda i: _wrong_key(history, int(wrong[i]))),
            *fatal("thin-air", thin, lambda i: _thin_air(history, int(thin[i]))),
            *fatal("dirty-read", reads[failed], lambda i: _dirty(history, int(reads[failed][i]), int(writer[failed][i]))),
            *fatal("future-read", reads[early], lambda i: _future(history, int(reads[early][i]), int(writer[early][i]))),
            *findings(
                history,
                "split-brain",
                Severity.INTEGRITY,
                phases=phases_at(history, contract, forked_ns),
                gravity=np.zeros(len(forks)),
                prove=lambda i: _split(history, forks[i]),
            ),
            *findings(
                history,
                "late-write",
                Severity.ORDER,
                phases=phases_at(history, contract, history.call_ns[then]),
                gravity=depth(history, contract, first, then),
                prove=lambda i: _late(history, contract, int(first[i]), int(then[i])),
            ),
        ),
    )


def writers(history: History, reads: Column) -> Column:
    """The row of the write whose value each read found; ``NOBODY`` where the history has no such write.

    A value without op id is given to the earliest called write of that key and version that did not certainly fail, else to one
    that did.
    """
    table = history.derive(versions)
    forked = np.zeros(len(table) + 1, bool)  # the last one is for reads without a place
    forked[table.place[table.twins]] = True
    place = table.place[reads]
    plain = (place != UNKNOWN) & ~forked[place]
    writer = np.full(len(reads), NOBODY)
    writer[plain] = table.row[place[plain]]
    rest = np.flatnonzero(~plain)
    writer[rest] = _writers_by_search(history, reads[rest])
    return writer


def _writers_by_search(history: History, reads: Column) -> Column:
    """As ``writers``, for values that have no place in an order or share it."""
    if len(reads) == 0:
        return np.full(0, NOBODY)
    key, version, op = history.key[reads], history.seen_version[reads], history.seen_op[reads]
    writes = np.flatnonzero(history.function != Function.READ)
    failed = history.status[writes] == Status.FAIL
    writes = writes[np.lexsort((failed, history.sent_version[writes], history.key[writes]))]
    ticks = distinct(history.sent_version[writes])
    axis = history.key[writes].astype(np.int64) * (len(ticks) + 1) + np.searchsorted(ticks, history.sent_version[writes])
    at = np.searchsorted(axis, key.astype(np.int64) * (len(ticks) + 1) + np.searchsorted(ticks, version))
    by_version = np.append(writes, NOBODY)[at]
    writer = np.where(op >= 0, history.rows_of(op), by_version)
    same = (
        (history.function[writer] != Function.READ)
        & (history.key[writer] == key)
        & (history.sent_version[writer] == version)
        & (writer != NOBODY)
    )
    return np.where(same, writer, NOBODY)


def split_versions(history: History) -> tuple[list[tuple[int, ...]], Column]:
    """Versions that two writes share and that both lived: for each the rows that show it, and the time from which they do."""
    table = history.derive(versions)
    shared = np.unique(table.place[table.twins])
    if len(shared) == 0:
        return [], np.zeros(0, np.int64)
    rows = np.flatnonzero(np.isin(table.place, shared))
    rows = rows[np.argsort(table.place[rows], kind="stable")]
    edges = np.flatnonzero(np.append(True, np.diff(table.place[rows]) > 0))
    periods = _periods(history)
    forks = [fork for group in np.split(rows, edges[1:]) for fork in [_fork(history, group, periods)] if fork]
    return forks, np.array([max(history.call_ns[row] for row in fork) for fork in forks], np.int64)


def _fork(history: History, rows: Column, periods: dict[tuple[int, int], tuple[int, int]]) -> tuple[int, ...]:
    """The rows that show that one version, which ``rows`` wrote and read, forked; none if they show no such thing."""
    wrote = history.function[rows] != Function.READ
    acknowledged = rows[wrote & (history.status[rows] == Status.OK)]
    for index, left in enumerate(acknowledged):
        for right in acknowledged[index + 1 :]:
            sources = [(int(history.node[row]), int(history.epoch[row])) for row in (left, right)]
            spans = [(history.call_ns[row], history.return_ns[row]) for row in (left, right)]
            if sources[0] != sources[1] and min(epoch for _, epoch in sources) >= 0:
                spans = [periods[source] for source in sources]
            if max(begin for begin, _ in spans) <= min(end for _, end in spans):
                return int(left), int(right)
    shown: dict[tuple[int, int], int] = {}
    for read in rows[~wrote & (history.epoch[rows] >= 0) & (history.seen_op[rows] >= 0)]:
        other = shown.setdefault((int(history.node[read]), int(history.epoch[read])), int(read))
        if history.seen_op[other] != history.seen_op[read]:
            return (other, int(read), *(int(row) for row in history.rows_of(history.seen_op[[other, read]])))
    return ()


def _periods(history: History) -> dict[tuple[int, int], tuple[int, int]]:
    """From when to when each (node, epoch) acknowledged writes."""
    rows = np.flatnonzero((history.function != Function.READ) & (history.status == Status.OK))
    source = history.node[rows].astype(np.int64) << 32 | history.epoch[rows].astype(np.int64) & 0xFFFFFFFF
    found, which = np.unique(source, return_inverse=True)
    begin, end = np.full(len(found), NEVER), np.full(len(found), -NEVER)
    np.minimum.at(begin, which, history.return_ns[rows])
    np.maximum.at(end, which, history.return_ns[rows])
    return {(int(s >> 32), int(s & 0xFFFFFFFF)): (int(b), int(e)) for s, b, e in zip(found, begin, end, strict=True)}


def _wrong_key(history: History, read: int) -> Proof:
    key, other = wording.key(history, read), history.keys[history.seen_key[read]]
    writer = int(history.rows_of(history.seen_op[read : read + 1])[0])
    return Proof(
        claim=f"Node {wording.node(history, read)} answered a read of {key} with a value of {other}.",
        argument=(
            *((wording.wrote(history, writer),) if writer >= 0 else ()),
            wording.read(history, read),
            f"However, no operation ever wrote a value of {other} to {key}: a contradiction.",
        ),
        rows=(read, writer),
        key=key,
        nodes=(wording.node(history, read),),
    )


def _thin_air(history: History, read: int) -> Proof:
    key = wording.key(history, read)
    what = "garbage" if history.seen[read] == Seen.GARBAGE else f"{wording.answer(history, read)}, which nobody had written"
    return Proof(
        claim=f"Node {wording.node(history, read)} answered a read of {key} with {what}.",
        argument=(
            wording.read(history, read),
            f"However, no write of this run, answered or not, sent that value to {key}: a contradiction.",
        ),
        rows=(read,),
        key=key,
        nodes=(wording.node(history, read),),
    )


def _dirty(history: History, read: int, write: int) -> Proof:
    key = wording.key(history, read)
    refused = "never committed" if history.return_ns[write] == NEVER else "had refused"
    return Proof(
        claim=f"Node {wording.node(history, read)} answered a read of {key} with {wording.answer(history, read)}, "
        f"the value of a write that {wording.node(history, write)} {refused}.",
        argument=(
            wording.wrote(history, write),
            wording.read(history, read),
            "However, a write that did not happen leaves no value: a contradiction.",
        ),
        rows=(read, write),
        key=key,
        nodes=wording.nodes(history, (read, write)),
    )


def _future(history: History, read: int, write: int) -> Proof:
    key = wording.key(history, read)
    early = wording.lapse(history.return_ns[read], history.call_ns[write])
    where, what = wording.node(history, read), wording.answer(history, read)
    return Proof(
        claim=f"Node {where} answered {what} of {key} {early} before it was written.",
        argument=(
            wording.read(history, read),
            f"{wording.name(history, write)}, which wrote that value, was called at {wording.moment(history.call_ns[write])}.",
            f"However, that is {early} after the read had returned: a contradiction.",
        ),
        rows=(read, write),
        key=key,
        nodes=wording.nodes(history, (read, write)),
    )


def _split(history: History, rows: tuple[int, ...]) -> Proof:
    left, right = rows[0], rows[1]
    key, number = wording.key(history, left), history.derive(versions).version[history.derive(versions).place[left]]
    told = [wording.wrote(history, row) for row in rows if history.function[row] != Function.READ]
    shown = [wording.read(history, row) for row in rows if history.function[row] == Function.READ]
    by = (
        f"{wording.node(history, left)} and {wording.node(history, right)} both acknowledged"
        if not shown
        else f"Node {wording.node(history, left)} answered"
    )
    return Proof(
        claim=f"{by} version {number} of {key} with two different values.",
        argument=(
            *told,
            *shown,
            f"However, an order of the writes of {key} has one write at version {number}: a contradiction.",
        ),
        rows=rows,
        key=key,
        nodes=wording.nodes(history, rows),
    )


def _late(history: History, contract: Contract, first: int, then: int) -> Proof:
    proof = step_proof(history, contract, first, then)
    return Proof(
        claim=f"{proof.claim[:-1]}; the older version's write was never answered, and took effect too late.",
        argument=proof.argument,
        rows=proof.rows,
        key=proof.key,
        nodes=proof.nodes,
    )
