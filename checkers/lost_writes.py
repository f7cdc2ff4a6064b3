"""No acknowledged write is gone for good.

Rule. Version v of a key was acknowledged, no newer version took its place, and it is nowhere to be had any more. Two proofs
count:

gone        In the settle phase (writing has stopped, faults are healed) the last read of the key at every node that answered
            finds an older version, and the nodes that acknowledged what is missing are among those that answered. Reads called
            before the key's last acknowledgement do not count.
rolled back The key's source answers, in another epoch than v was acknowledged in and before any newer write was called, with
            an older version; and no read called after that finds v anywhere. The first such answer counts. The source is the
            one node that acknowledged the key's writes; or, where clients are routed and so find each key at one node at a
            time, whichever node they are sent to that acknowledged any write in the same epoch as it answers: who has taken
            over and does not have v will not get it any more.

    w1 writes version 1, w2 writes version 2, both acknowledged by the primary; the primary is killed and restarts without data;
    r1 and r2 ask the primary and the replica after everything has settled, and both find nothing. Two versions are lost.

Lost are all acknowledged versions newer than the newest that is left. A read that found nothing counts by ``newest_meant``:
where the contract allows misses, a missing value may have been evicted, and is no loss. What is left may be the version of an
unanswered write: then v was overwritten too late (``late-write``), not lost.

A loss is attributed to the fault that was on when the acknowledging node's epoch changed, or else to the first fault between the
last evidence of v and the first against it.

Cost: O(n) beyond the version table.
Blind spots: a version that was lost and then overwritten is only seen by the second proof; without a settle phase the first
proves nothing; a cache may have lost what the store behind it still has: from outside this looks the same, only an audit tells.
Source: DEFINITIONS, "Lost writes" and "Misses and expiry"; Jepsen's lost updates on fail-over of Redis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers import wording
from checkers.base import Proof, findings
from checkers.phases import during_or_steady, phase_labels
from checkers.scans import NONE, greatest_until
from checkers.versions import UNKNOWN, first_sight, meant_in_order, newest_meant, versions
from harness.history import NEVER, Column, Function, History, Status
from harness.plan import Contract
from harness.results import Measure, Result, Severity


@dataclass(frozen=True, slots=True)
class Losses:
    """Lost versions in columns.

    Attributes:
        place: the lost version.
        last: the newest version that was lost with it.
        against: the row of the read that shows the loss.
    """

    place: Column
    last: Column
    against: Column


def check(history: History, contract: Contract) -> Result:
    """Acknowledged versions that are gone for good, and how many could be judged."""
    table = history.derive(versions)
    meant = newest_meant(history, contract)
    shown = meant_in_order(history, contract)
    gone, settled = _gone(history, meant, doubtful=meant != shown)
    rolled = _rolled_back(history, meant)
    place = np.concatenate([gone.place, rolled.place])
    place, which = np.unique(place, return_index=True)
    last = np.concatenate([gone.last, rolled.last])[which]
    against = np.concatenate([gone.against, rolled.against])[which]
    acknowledged = _acknowledged(history)
    judged = acknowledged & settled[table.key]
    judged[place] = True
    made = findings(
        history,
        "lost-write",
        Severity.ORDER,
        phases=(phase_labels(history), _blamed(history, last, against)),
        gravity=place - shown[against],
        prove=lambda i: _proof(history, shown, int(place[i]), int(against[i])),
    )
    return Result(
        checker="lost-writes",
        findings=made,
        measures=(
            Measure(
                name="lost-writes",
                value=float(len(place)) if judged.any() else None,
                unit="count",
                n=int(judged.sum()),
                per="write",
                censored=int(acknowledged.sum() - judged.sum()),
                note="acknowledged writes whose key was, or was not, read to the end at the nodes that acknowledged them",
            ),
        ),
    )


def _acknowledged(history: History) -> Column:
    table = history.derive(versions)
    acknowledged: Column = (table.row >= 0) & (table.ack_ns < NEVER)
    return acknowledged


def _gone(history: History, meant: Column, doubtful: Column) -> tuple[Losses, Column]:
    """The losses that the settle phase proves, and which keys it judges: none that a ``doubtful`` read ends."""
    table = history.derive(versions)
    nothing = np.zeros(0, np.int64)
    read = (history.function == Function.READ) & (history.status == Status.OK)
    reads = np.flatnonzero(read & (history.call_ns >= (NEVER if history.settled_ns is None else history.settled_ns)))
    if len(reads) == 0:
        return Losses(nothing, nothing, nothing), np.zeros(len(history.keys), bool)
    acknowledged = np.flatnonzero(_acknowledged(history))
    last_ack_ns = np.full(len(history.keys), -1)
    np.maximum.at(last_ack_ns, table.key[acknowledged], table.ack_ns[acknowledged])
    reads = reads[history.call_ns[reads] > last_ack_ns[history.key[reads]]]
    cell = history.key[reads].astype(np.int64) * len(history.nodes) + history.node[reads]
    cells, latest = np.unique(cell[::-1], return_index=True)
    reads = reads[::-1][latest]
    known = meant[reads] != UNKNOWN
    cells, reads = cells[known], reads[known]

    left = np.full(len(history.keys), UNKNOWN)
    np.maximum.at(left, history.key[reads], meant[reads])
    proven = left != UNKNOWN
    proven[history.key[reads[doubtful[reads]]]] = False
    missing = acknowledged[acknowledged > left[table.key[acknowledged]]]
    by = table.key[missing] * len(history.nodes) + history.node[table.row[missing]]
    at = np.minimum(np.searchsorted(cells, by), max(len(cells) - 1, 0))
    answered = cells[at] == by if len(cells) else np.zeros(len(by), bool)
    proven[table.key[missing[~answered]]] = False

    lost = proven[table.key[missing]]
    missing, against = missing[lost], reads[at[lost]] if len(reads) else nothing
    newest = np.full(len(history.keys), UNKNOWN)
    np.maximum.at(newest, table.key[missing], missing)
    return Losses(missing, newest[table.key[missing]], against), proven


def _rolled_back(history: History, meant: Column) -> Losses:
    """The losses that the key's source itself shows, in another epoch than that of the acknowledgement."""
    table = history.derive(versions)
    acknowledged = np.flatnonzero(_acknowledged(history))
    node = history.node[table.row[acknowledged]].astype(np.int64)
    lowest, highest = np.full(len(history.keys), NEVER), np.full(len(history.keys), -1)
    np.minimum.at(lowest, table.key[acknowledged], node)
    np.maximum.at(highest, table.key[acknowledged], node)
    source = np.where(lowest == highest, highest, -1)

    known = (history.function == Function.READ) & (meant != UNKNOWN) & (history.epoch >= 0)
    authority = history.node == source[history.key]
    if history.routed:
        authority |= np.isin(_term(history), _term(history)[table.row[acknowledged]])
    reads = np.flatnonzero(known & authority)
    reads = reads[table.newer_sup_ns[meant[reads]] < history.call_ns[reads]]
    newest = greatest_until(
        table.key,
        table.call_ns,
        np.arange(len(table)),
        history.key[reads].astype(np.int64),
        history.return_ns[reads],
        strictly=False,
    )
    reads, newest = reads[newest != NONE], newest[newest != NONE]
    write = table.row[newest]
    seen_ns = np.full(len(table), -1)
    found = np.flatnonzero((history.function == Function.READ) & (table.place != UNKNOWN))
    np.maximum.at(seen_ns, table.place[found], history.call_ns[found])
    back = (
        (newest > meant[reads])
        & (table.ack_ns[newest] < history.call_ns[reads])
        & (history.epoch[write] >= 0)
        & (_term(history)[write] != _term(history)[reads])
        & (seen_ns[newest] <= history.return_ns[reads])
    )
    # One read is enough for each version that was the newest; the lost ones are all between what it found and that one.
    newest, first = np.unique(newest[back], return_index=True)
    reads = reads[back][first]
    length = newest - meant[reads]
    which = np.repeat(np.arange(len(newest)), length)
    place = newest[which] - (np.arange(len(which)) - np.repeat(np.cumsum(length) - length, length))
    lost = _acknowledged(history)[place] & (seen_ns[place] <= history.return_ns[reads[which]])
    return Losses(place[lost], newest[which[lost]], reads[which[lost]])


def _term(history: History) -> Column:
    """One number for each node and epoch."""
    epochs = int(history.epoch.max(initial=0)) + 1
    term: Column = np.where(history.epoch >= 0, history.node.astype(np.int64) * epochs + history.epoch, -1)
    return term


def _blamed(history: History, last: Column, against: Column) -> Column:
    """The phase that each loss is put down to."""
    table = history.derive(versions)
    known_ns = table.ack_ns[last].copy()
    found = np.flatnonzero((history.function == Function.READ) & (table.place != UNKNOWN))
    seen_ns = np.full(len(table), -1)
    np.maximum.at(seen_ns, table.place[found], history.return_ns[found])
    known_ns = np.maximum(known_ns, np.minimum(seen_ns[last], history.call_ns[against]))
    changes = {
        name: np.array([epoch.first_ns for epoch in history.epochs if epoch.node == name], np.int64) for name in history.nodes
    }
    # What was lost together is blamed together.
    _, first, which = np.unique(last * len(history) + against, return_index=True, return_inverse=True)
    blamed = np.zeros(len(first), np.int64)
    for index, loss in enumerate(first):
        begin, end = known_ns[loss], history.call_ns[against[loss]]
        name = history.nodes[history.node[table.row[last[loss]]]]
        change = changes[name][(changes[name] > begin) & (changes[name] <= end)]
        blamed[index] = during_or_steady(history, int(begin), int(end), name, int(change[0]) if len(change) else None)
    return blamed[which]


def _proof(history: History, shown: Column, place: int, against: int) -> Proof:
    table = history.derive(versions)
    write, left = int(table.row[place]), int(shown[against])
    key, where = wording.key(history, write), wording.node(history, against)
    later = wording.lapse(history.return_ns[write], history.call_ns[against])
    found = np.flatnonzero((history.function == Function.READ) & (table.place == place))
    seen = [*first_sight(history, against), *found[-1:].tolist()]
    others = _last_reads(history, against)
    asked = wording.name(history, against)
    proof = (
        f"These are the last answers for {key} after everything had settled; they include that of the node that acknowledged it."
        if history.settled_ns is not None and history.call_ns[against] >= history.settled_ns
        else f"No newer write of {key} was called before {asked} returned, and no read called later found the lost version."
    )
    answer = wording.answer(history, against)
    return Proof(
        claim=f"Version {table.version[place]} of {key} was acknowledged by {wording.node(history, write)}, but {later} later "
        f"{where} answered {answer}, and {_since(history, write)}.",
        argument=(
            wording.wrote(history, write),
            *(wording.read(history, row) for row in dict.fromkeys((*seen, against, *others))),
            proof,
            f"However, {asked} {wording.older(history, against, left)}: an acknowledged write is gone.",
        ),
        rows=(write, against, *seen, int(table.row[left]), *others),
        key=key,
        nodes=wording.nodes(history, (write, against, *others)),
    )


def _since(history: History, write: int) -> str:
    """Where a lost write may still be, as far as the audit knows; an audit does not tell one delete from another."""
    if history.audited and history.function[write] == Function.WRITE:
        return "no cache has shown it since; the source of truth has it, as its audit shows"
    return "no node has shown it since"


def _last_reads(history: History, against: int) -> list[int]:
    """The last reads of the same key at up to four other nodes, if the read is of the settle phase."""
    if history.settled_ns is None or history.call_ns[against] < history.settled_ns:
        return []
    same = (history.key == history.key[against]) & (history.function == Function.READ) & (history.status == Status.OK)
    rows = np.flatnonzero(same & (history.call_ns >= history.settled_ns) & (history.node != history.node[against]))
    latest = {int(history.node[row]): int(row) for row in rows}
    return sorted(latest.values())[:4]
