"""No node goes backwards: at one node in one epoch, a read never finds an older version than an earlier read of that key did.

Rule. Two ok reads r1, r2 of one key, asked of one node in one epoch, with r1.return < r2.call and version(r2) < version(r1).

    w1 writes version 1; w2 writes version 2; r1 asks node n and finds 2; r2, called after r1 returned, asks n and finds 1.

Whatever the node does inside, a later state of it has shown an older value: a fill that lost a race, an update applied out of
order, a duplicate delivered late. A correct design with bounded drift, filled from one ordered source, does not do this. A node
whose epoch changed in between (a restart, a new primary) starts afresh, and reads whose epoch is not known are not compared. An
old version that an unanswered write had sent may have landed late, unless it had been seen before the newer one was called; it is
reported as ``late-write`` by ``checkers.integrity``.

A read that found nothing is judged as ``checkers.versions.newest_meant`` says, and obliges no later one.

Cost: O(n), and O(m log m) for the m reads of (key, node, epoch) groups in which something is suspicious.
Blind spots: a node that serves one old version for ever never steps back (``staleness``, ``convergence``); a cluster address
behind which several nodes answer looks like one node that flaps; reads that overlap prove nothing.
Source: DEFINITIONS, "Node order" and "Late writes"; monotonic reads of Terry et al. 1994, with the node in the session's place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers import wording
from checkers.base import Proof, findings, phases_at
from checkers.scans import broken_floors
from checkers.versions import UNKNOWN, Meant, first_sight, meant_in_order, outdated, versions
from harness.history import Column, Function, History
from harness.plan import Contract
from harness.results import Result, Severity


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps backwards, one an offending read.

    Attributes:
        first: the row of the read that found the newest version and had returned.
        then: the row of the offending read.
        late: whether the older version can be a late arrival of an unanswered write.
    """

    first: Column
    then: Column
    late: Column


def check(history: History, contract: Contract) -> Result:
    """Reads that go backwards at their node."""
    steps = steps_back(history, contract)
    first, then = steps.first[~steps.late], steps.then[~steps.late]
    return Result(
        checker="node-regress",
        findings=findings(
            history,
            "node-regress",
            Severity.ORDER,
            phases=phases_at(history, contract, history.call_ns[then]),
            gravity=depth(history, contract, first, then),
            prove=lambda i: step_proof(history, contract, int(first[i]), int(then[i])),
        ),
    )


def steps_back(history: History, contract: Contract) -> Steps:
    """Every read that found an older version than a read before it at the same node in the same epoch."""
    return history.derive(_StepsBack(Meant.by(contract)))


def depth(history: History, contract: Contract, first: Column, then: Column) -> Column:
    """How many versions back each step goes."""
    place: Column = history.derive(versions).place
    return place[first] - meant_in_order(history, contract)[then]


def step_proof(history: History, contract: Contract, first: int, then: int) -> Proof:
    """The four operations of one step backwards, and the contradiction."""
    table = history.derive(versions)
    newer, older = table.place[first], meant_in_order(history, contract)[then]
    where, key = wording.node(history, first), wording.key(history, first)
    writes = [int(row) for row in table.row[[older, newer]] if row >= 0]
    seen = first_sight(history, then)
    told, asked = wording.name(history, first), wording.name(history, then)
    return Proof(
        claim=f"Node {where} answered {wording.answer(history, first)} of {key} and "
        f"{wording.lapse(history.return_ns[first], history.call_ns[then])} later, in the same epoch, "
        f"{wording.answer(history, then)}{_since(history, older, newer)}.",
        argument=(
            *(wording.wrote(history, row) for row in writes),
            *(wording.read(history, read) for read in dict.fromkeys((*seen, first, then))),
            f"{told} had returned before {asked} was called, so by then the node had {wording.place(history, newer)}.",
            f"However, {asked} {wording.older(history, then, older)}: a contradiction, unless the node went backwards.",
        ),
        rows=(first, then, *writes, *seen),
        key=key,
        nodes=(where,),
    )


def _since(history: History, older: int, newer: int) -> str:
    back = int(newer - older)
    return f": {back} version{'s' if back > 1 else ''} back in {history.keys[history.derive(versions).key[newer]]}'s order"


@dataclass(frozen=True, slots=True)
class _StepsBack:
    """The table behind ``steps_back``: one for each way in which a contract reads absences."""

    by: Meant

    def __call__(self, history: History) -> Steps:
        table, meant = history.derive(versions), history.derive(self.by)
        needs = outdated(history, meant.in_order)
        rows = np.flatnonzero((history.function == Function.READ) & (meant.in_order != UNKNOWN) & (history.epoch >= 0))
        epochs = int(history.epoch.max(initial=0)) + 1
        group = (history.key[rows].astype(np.int64) * len(history.nodes) + history.node[rows]) * epochs + history.epoch[rows]
        then, first = broken_floors(group, table.place[rows], needs[rows], history.call_ns[rows], history.return_ns[rows])
        first, then = rows[first], rows[then]
        return Steps(first, then, late=meant.newest[then] >= table.place[first])
