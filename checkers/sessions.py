"""The four session guarantees of Terry et al., and how far each one reaches.

Rules. With A and B operations of one session, A ok and returned before B was called:

====================  ======================================================================================================
monotonic-reads       A read version a of a key, B reads that key: it finds a or newer
read-your-writes      A wrote version a of a key, B reads that key: it finds a or newer
monotonic-writes      A wrote a, B writes the same key: its version is newer than a. B writes any key: who finds B's value at a
                      node, and later in the same epoch of that node reads A's key, finds a or newer
writes-follow-reads   the same with A a read that found a
====================  ======================================================================================================

    w1 of session 1 writes version 1 at the primary; r1 of session 1, called after w1 returned, asks a replica and finds
    version 0: read-your-writes is broken, cross-node. Had r1 asked the primary, it would be broken sticky.

How far a broken pair reaches is its scope, the narrowest that fits: ``sticky`` if the session asked one node from A to B, else
``same-node`` if A and B asked one node, else ``cross-node``. A promise for ``same-node`` is broken by ``sticky`` findings, too,
and one for ``any-node`` by all three. Each offending operation counts once per guarantee, in the narrowest scope that it breaks.

A write that was never answered imposes nothing as A, and a read of its version is no offence where it may have taken effect late
(see ``late-write``). A read that goes backwards at its own node is no witness against the order of writes: it is a ``node-
regress``. A read that found nothing is judged as ``checkers.versions.newest_meant`` says, and imposes nothing.

Cost: O(n) per guarantee while nothing is suspicious; O(s * (n + w log w)) for s (node, epoch) pairs with suspicious reads.
Blind spots: the order of writes is seen only through one node in one epoch; across nodes it is causal consistency, not judged
here. Needs the order of versions.
Source: Terry et al., PDIS'94; DEFINITIONS, "Sessions".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from checkers import wording
from checkers.base import Proof, findings, phases_at
from checkers.node_regress import steps_back
from checkers.observers import last_missed, overtaken
from checkers.scans import broken_floors, stable_order
from checkers.versions import UNKNOWN, first_sight, meant_in_order, newest_meant, outdated, versions
from harness.history import Column, Function, History, Status
from harness.plan import Contract
from harness.results import Finding, Result, Severity

SCOPES = ("cross-node", "same-node", "sticky")
"""From the widest to the narrowest."""


@dataclass(frozen=True, slots=True)
class Offences:
    """Broken pairs in columns of history rows, one an offending operation.

    Attributes:
        earlier, later: the session's A and B.
        shown: the read that found B's value; -1 where B itself is the offender.
        missed: the read that did not find A's; -1 where B itself is the offender.
    """

    earlier: Column
    later: Column
    shown: Column
    missed: Column

    @property
    def offender(self) -> Column:
        """The row of the offending operation."""
        return np.where(self.missed >= 0, self.missed, self.later)

    def select(self, which: Column) -> Offences:
        """The offences of a mask or of indices."""
        return Offences(self.earlier[which], self.later[which], self.shown[which], self.missed[which])


Search = Callable[[Column], Offences]
"""Finds the offences among operations that share a session, a session at a node, or a session's stay at a node."""


def check(history: History, contract: Contract) -> Result:
    """Broken session guarantees, per scope."""
    table = history.derive(versions)
    meant = newest_meant(history, contract)
    read, ok = history.function == Function.READ, history.status == Status.OK
    seen = np.where(read, table.place, UNKNOWN)
    wrote = np.where(~read & ok, table.place, UNKNOWN)
    judged = outdated(history, np.where(read, meant, UNKNOWN))
    misplaced = outdated(history, wrote)
    steady = judged.copy()
    steady[steps_back(history, contract).then] = UNKNOWN
    # What nobody misses later binds nobody: this spares most of the work.
    missed_ns = last_missed(history, np.maximum(judged, misplaced))
    seen, wrote = (np.where((did != UNKNOWN) & (history.return_ns < missed_ns[did]), did, UNKNOWN) for did in (seen, wrote))

    def same_key(raises: Column, needs: Column) -> Search:
        return lambda group: _same_key(history, group, raises, needs)

    def any_key(raises: Column) -> Search:
        return lambda group: _join(
            _same_key(history, group, raises, misplaced), Offences(*overtaken(history, group, raises, steady))
        )

    guarantees: dict[str, Search] = {
        "monotonic-reads": same_key(seen, judged),
        "read-your-writes": same_key(wrote, judged),
        "monotonic-writes": any_key(wrote),
        "writes-follow-reads": any_key(seen),
    }
    return Result(
        checker="sessions",
        findings=tuple(
            finding
            for name, search in guarantees.items()
            for scope, offences in _narrowest(history, search)
            for finding in _findings(history, contract, name, scope, offences)
        ),
    )


def _narrowest(history: History, search: Search) -> Iterator[tuple[str, Offences]]:
    """The offences of each scope, each offender in the narrowest one that it breaks."""
    found = search(history.session.astype(np.int64))
    if len(found.later) == 0:
        return
    narrower = search(history.session.astype(np.int64) * len(history.nodes) + history.node)
    narrowest = search(history.derive(stays)) if len(narrower.later) else narrower
    for scope, offences, inner in ((SCOPES[0], found, narrower), (SCOPES[1], narrower, narrowest), (SCOPES[2], narrowest, None)):
        kept = offences if inner is None else offences.select(~np.isin(offences.offender, inner.offender))
        if len(kept.later):
            yield scope, kept


def stays(history: History) -> Column:
    """Per row, the number of the stay it belongs to: a session's operations at one node, with no other node in between."""
    order = stable_order(history.session.astype(np.int64))
    moved = np.ones(len(history), bool)
    moved[1:] = (np.diff(history.session[order]) != 0) | (np.diff(history.node[order]) != 0)
    number = np.empty(len(history), np.int64)
    number[order] = np.cumsum(moved) - 1
    return number


def _same_key(history: History, group: Column, raises: Column, needs: Column) -> Offences:
    """Operations that fall below what an earlier one of their group had reached on the same key."""
    rows = np.flatnonzero((raises != UNKNOWN) | (needs != UNKNOWN))
    of_key = group[rows] * len(history.keys) + history.key[rows]
    later, earlier = broken_floors(of_key, raises[rows], needs[rows], history.call_ns[rows], history.return_ns[rows])
    nobody = np.full(len(later), -1)
    return Offences(rows[earlier], rows[later], nobody, nobody)


def _join(left: Offences, right: Offences) -> Offences:
    return Offences(
        np.concatenate([left.earlier, right.earlier]),
        np.concatenate([left.later, right.later]),
        np.concatenate([left.shown, right.shown]),
        np.concatenate([left.missed, right.missed]),
    )


def _findings(history: History, contract: Contract, name: str, scope: str, offences: Offences) -> tuple[Finding, ...]:
    table = history.derive(versions)
    meant = meant_in_order(history, contract)
    return findings(
        history,
        name,
        Severity.ORDER,
        phases=phases_at(history, contract, history.call_ns[offences.offender]),
        gravity=table.place[offences.earlier] - meant[offences.offender],
        prove=lambda i: _proof(history, meant, name, offences.select(np.array([i]))),
        scope=scope,
    )


def _proof(history: History, meant: Column, name: str, offence: Offences) -> Proof:
    earlier, later, shown, missed = (int(c[0]) for c in (offence.earlier, offence.later, offence.shown, offence.missed))
    table = history.derive(versions)
    offender = int(offence.offender[0])
    reached, older = int(table.place[earlier]), int(meant[offender])
    key, session = wording.key(history, earlier), history.session[earlier]
    a, b = wording.name(history, earlier), wording.name(history, later)
    did = "read" if history.function[earlier] == Function.READ else "wrote"
    version = wording.place(history, reached)
    rows = [
        offender,
        earlier,
        *(row for row in (later, shown) if row != offender),
        int(table.row[reached]),
        int(table.row[older]),
        *(first_sight(history, offender) if history.function[offender] == Function.READ else ()),
    ]
    story = [_told(history, row) for row in sorted({row for row in rows if row >= 0})]
    order = f"{a} had returned {wording.lapse(history.return_ns[earlier], history.call_ns[later])} before {b} was called"
    if missed >= 0:
        claim = (
            f"Session {session} {did} {version} of {key} and then wrote {wording.key(history, later)}; "
            f"node {wording.node(history, missed)} showed the second and "
            f"{wording.lapse(history.return_ns[shown], history.call_ns[missed])} later answered "
            f"{wording.answer(history, missed)} of {key}."
        )
        saw, asked = wording.name(history, shown), wording.name(history, missed)
        end = f"However, {asked}, called at the same node and epoch after {saw} returned, {wording.older(history, missed, older)}"
    elif history.function[later] == Function.READ:
        claim = (
            f"Session {session} {did} {version} of {key} at {wording.node(history, earlier)} and "
            f"{wording.lapse(history.return_ns[earlier], history.call_ns[later])} later read "
            f"{wording.answer(history, later)} at {wording.node(history, later)}."
        )
        end = f"However, {b} {wording.older(history, later, older)}"
    else:
        claim = f"Session {session} {did} {version} of {key} and then wrote {wording.place(history, older)}, which is older."
        end = f"However, {b} wrote {wording.place(history, older)}, which comes before {version} in {key}'s order"
    return Proof(
        claim=claim,
        argument=(*story, f"{order}, in the same session.", f"{end}: {name.replace('-', ' ')} is broken."),
        rows=tuple(rows),
        key=key,
        nodes=wording.nodes(history, [row for row in (earlier, later, shown, missed) if row >= 0]),
    )


def _told(history: History, row: int) -> str:
    return wording.read(history, row) if history.function[row] == Function.READ else wording.wrote(history, row)
