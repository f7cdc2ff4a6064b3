"""Once writing has stopped and all faults are healed, every node answers with the newest version, within the contract's time.

**Rule.** Let h be the time at which the fleet was left alone. A key at a node has converged after (its last stale call after h)
less h, or after 0 if no read of it after h was stale. It is *censored* if no fresh read follows: then it took longer, nobody
knows how long. With the contract's bound C, a key at a node whose stale read was called after h + C is ``stuck`` if it is
censored, else ``slow-convergence``.

While writes go on: after the heal of each fault, a key at a node has caught up when its reads find the versions that had been
acknowledged at the heal, counted in the same way until the next fault.

**Example.** Node b is stuck for a contract that says ``converges_within = "1s"`` and a run that settled at 100 ms::

    w x1 0-5;  w x2 10-20;  r x2 @a 150-151;  r x1 @b 150-151;  r x1 @b 2000-2001

**Measures.** ``convergence`` (the slowest), its median and p99 over keys at nodes: for all, per node, and per kind of fault in
phase ``after <fault>``. ``convergence-coverage``: the share of written keys at nodes that were read after h.

**Cost.** O(n).

**Cannot see.** A key at a node that nobody read after h; a node that nobody reads from; keys without a version order.

**Sources.** DEFINITIONS, "Convergence"; Bermbach and Tai, Eventual Consistency: How Soon is Eventual, MW4SOC 2011.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from checkers import wording
from checkers.base import Proof, findings, phases_between
from checkers.coherence import survival
from checkers.reads import Reads, reads, superseding
from checkers.samples import samples
from checkers.stalls import awake_ns
from checkers.versions import Versions, first_sight, versions
from harness.durations import format_duration
from harness.history import NEVER, Column, Episode, Function, History
from harness.plan import Contract
from harness.results import Curve, Finding, Measure, Result, Severity

NAME = "convergence"


@dataclass(frozen=True, slots=True)
class Spells:
    """How long each key at each node stayed behind after a moment; one row for each that was read after it.

    Attributes:
        key, node: indices of both.
        last: the last read that was behind, a row of ``Reads``; -1 if none was.
        lasted_ns: from the moment to the call of ``last``; 0 if there is none.
        censored: whether no read that was not behind was called after ``last``.
    """

    key: Column
    node: Column
    last: Column
    lasted_ns: Column
    censored: Column


def check(history: History, contract: Contract) -> Result:
    """Keys at nodes that did not converge in time, and how long it took."""
    found = reads(history, contract)
    episodes = tuple(_episode_measures(history, found))
    if history.settled_ns is None:
        none = Measure("convergence", None, "ns", n=0, per="key-node", note="the fleet was never left alone")
        return Result(NAME, measures=(none, *episodes))
    spells = settling(history, found)
    return Result(
        NAME,
        findings=_late(history, contract, found, spells),
        measures=(*_settled_measures(history, spells), _coverage(history, spells), *episodes),
        curves=tuple(_curves(history, spells)),
    )


def settling(history: History, found: Reads) -> Spells:
    """How long each key at each node stayed stale after the fleet was left alone."""
    settled = history.settled_ns or 0
    after = np.arange(np.searchsorted(found.call_ns, settled), len(found))
    return _spells(history, found, after, found.lo_ns[after] > 0, settled)


def _spells(history: History, found: Reads, rows: Column, behind: Column, since_ns: int) -> Spells:
    """The spells of the reads in ``rows`` (in call order), of which some are ``behind``."""
    nodes = len(history.nodes)
    pair = history.key[found.row[rows]].astype(np.int64) * nodes + found.node[rows]
    last, good = (np.full(len(history.keys) * nodes, -1) for _ in range(2))
    np.maximum.at(last, pair[behind], rows[behind])
    np.maximum.at(good, pair[~behind], rows[~behind])
    seen = np.flatnonzero((last >= 0) | (good >= 0))
    last, good = last[seen], good[seen]
    ends_ns = np.where(last >= 0, found.call_ns[last], since_ns) if len(last) else last
    lasted = awake_ns(history, ends_ns) - awake_ns(history, np.array([since_ns]))
    return Spells(seen // nodes, seen % nodes, last, lasted, last > good)


def _late(history: History, contract: Contract, found: Reads, spells: Spells) -> tuple[Finding, ...]:
    bound = contract.converges_within
    if bound is None:
        return ()
    late = spells.lasted_ns > bound
    made: list[Finding] = []
    for name, chosen in (("stuck", late & spells.censored), ("slow-convergence", late & ~spells.censored)):
        last, lasted = spells.last[chosen], spells.lasted_ns[chosen]
        made += findings(
            history,
            name,
            Severity.CONVERGENCE,
            phases=phases_between(history, contract, found.call_ns[last] - found.lo_ns[last], found.call_ns[last]),
            gravity=lasted,
            prove=lambda at, last=last, lasted=lasted: _proof(  # type: ignore[misc]  # bound here, called at once
                history, found, int(last[at]), int(lasted[at]), bound
            ),
        )
    return tuple(made)


def _proof(history: History, found: Reads, at: int, lasted: int, bound: int) -> Proof:
    table = history.derive(versions)
    row = int(found.row[at])
    newest = superseding(table, int(found.place[at]))
    older_write, newer_write = int(table.row[found.shown[at]]), int(table.row[newest])
    later = np.flatnonzero(
        (found.node == found.node[at]) & (found.place >= newest) & (table.key[found.place] == table.key[newest])
    )
    later = later[later > at]
    fresh = int(found.row[later[0]]) if len(later) else -1
    seen = first_sight(history, row)
    where, key = wording.node(history, row), wording.key(history, row)
    end = (
        f"only {wording.name(history, fresh)} found {wording.answer(history, fresh)} there"
        if fresh >= 0
        else "no later read of it found a newer one there"
    )
    return Proof(
        claim=f"{format_duration(lasted)} after the fleet was left alone, {where} still answered {wording.answer(history, row)} "
        f"of {key}, not {wording.place(history, newest)}; {end}.",
        argument=(
            f"Writing had stopped and all faults were healed at {wording.moment(history.settled_ns or 0)}.",
            *(wording.wrote(history, write) for write in (older_write, newer_write) if write >= 0),
            *(wording.read(history, read) for read in dict.fromkeys((*seen, row, fresh)) if read >= 0),
            f"However, the contract says that every node has the newest version within {format_duration(bound)}.",
        ),
        rows=(row, newer_write, fresh, older_write, *seen),
        key=key,
        nodes=(where,),
    )


def _settled_measures(history: History, spells: Spells) -> Iterator[Measure]:
    yield from _quantiles(spells.lasted_ns, spells.censored)
    for node in np.unique(spells.node):
        here = spells.node == node
        yield from _quantiles(spells.lasted_ns[here], spells.censored[here], scope=history.nodes[node])


def _quantiles(lasted: Column, censored: Column, phase: str = "", scope: str = "") -> Iterator[Measure]:
    """The slowest, the median and the p99; a censored key at a node lasted at least as long as was seen."""
    sample = samples(np.zeros(len(lasted), np.int64), lasted, 1)[0]
    cut = int(censored.sum())
    for name, share in (("convergence", 1.0), ("convergence-p50", 0.5), ("convergence-p99", 0.99)):
        yield Measure(
            name,
            sample.quantile(share) if sample.n else None,
            "ns",
            n=sample.n,
            per="key-node",
            phase=phase,
            scope=scope,
            censored=cut,
            note="at least so long: some were never seen fresh" if cut else "",
        )


def _coverage(history: History, spells: Spells) -> Measure:
    table = history.derive(versions)
    written = np.unique(table.key[(table.row >= 0) & (table.ack_ns < NEVER)])
    asked = np.unique(history.node[history.function == Function.READ])
    possible = len(written) * (1 if history.routed else len(asked))
    # Where clients find their way by themselves, a key is looked at in one place only: where they find it.
    found = np.unique(spells.key) if history.routed else spells.key
    return Measure(
        "convergence-coverage",
        int(np.isin(found, written).sum()) / possible if possible else None,
        "ratio",
        n=possible,
        per="key-node",
        note="written keys at nodes that were asked, read after the fleet was left alone",
    )


def _curves(history: History, spells: Spells) -> Iterator[Curve]:
    lasted = np.where(spells.censored, NEVER, spells.lasted_ns)
    for node in np.unique(spells.node):
        yield survival("convergence", history.nodes[node], np.sort(lasted[spells.node == node]))


def _episode_measures(history: History, found: Reads) -> Iterator[Measure]:
    """How long keys at nodes took to catch up with what had been acknowledged when a fault was healed, by kind of fault."""
    kinds: dict[str, list[Spells]] = {}
    for episode in history.episodes:
        spells = catching_up(history, found, episode)
        if spells is not None:
            kinds.setdefault(episode.kind, []).append(spells)
    for kind, several in kinds.items():
        lasted, censored = (np.concatenate([getattr(s, name) for s in several]) for name in ("lasted_ns", "censored"))
        yield from _quantiles(lasted, censored, phase=f"after {kind}")


def catching_up(history: History, found: Reads, episode: Episode) -> Spells | None:
    """How long keys at nodes stayed behind what had been acknowledged at the heal of ``episode``; None if it was not healed."""
    healed = episode.healed_ns
    if episode.applied_ns is None or healed is None:
        return None
    until = min((e.applied_ns for e in history.episodes if e.applied_ns is not None and e.applied_ns > healed), default=NEVER)
    first, end = np.searchsorted(found.call_ns, [healed, until])
    rows = np.arange(first, end)
    needed = acknowledged_at(history.derive(versions), healed)[history.key[found.row[rows]]]
    return _spells(history, found, rows, found.place[rows] < needed, healed)


def acknowledged_at(table: Versions, time_ns: int) -> Column:
    """Per key the newest place that was superseding older ones at ``time_ns``; -1 for a key without order."""
    newest = np.full(len(table.first) - 1, -1)
    known = np.flatnonzero(table.sup_ns <= time_ns)
    np.maximum.at(newest, table.key[known], known)
    return newest
