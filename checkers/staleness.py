"""No read returns a value that was superseded longer ago, or by more versions, than the contract allows.

**Rule.** With sup and i as in ``checkers.versions``, a read r of version v has been stale for a time in [lo, hi]:

    lo = max(0, r.call - min sup(v'))    certain: a newer version was acknowledged, or seen, so long before the call
    hi = max(0, r.return - min i(v'))    possible: no newer version had been called before that        over all v' > v

and is behind by k versions, those v' > v with sup(v') < r.call. It breaks a bound T if lo > T (``stale-read``), and a bound K if
k > K (``stale-versions``). The bound is that of the phase which [sup, r.call] touches: steady, or during a fault and its grace
period. Time in which the harness itself stood still is taken off. That a bound *holds* needs fresh reads in time:
``checkers.coherence``.

**Example.** Stale for 20 ms at least and 37 ms at most; a contract that says ``steady = "10ms"`` is broken::

    w x1 0-5;  w x2 10-20;  r x1 @b 40-47;  r x2 @a 50-51

**Measures.** Per phase and per node: the share of stale reads, and of lo and hi the median, p90, p99, p99.9 and the maximum; the
rates that the contract names; the Polaris measure; relapses. **Curves.** CCDF of lo and hi; t-visibility: how often a read called
so long after the latest acknowledgement found that write or a newer one (Bailis et al., made monotone); lag of each node.

**Cost.** O(n + s log s) for n reads, s of them stale.

**Cannot see.** Keys without a version order; nodes and times at which nobody read (resolution and coverage tell). A miss is stale
only where the contract says so. lo counts from the client's acknowledgement, not from the commit.

**Sources.** DEFINITIONS, "Staleness"; Golab, Li, Shah, PODC 2011; Bailis et al., Probabilistically Bounded Staleness, VLDB 2012;
Terry et al., SOSP 2013.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from checkers import wording
from checkers.base import Proof, findings, phases_at
from checkers.coherence import (
    bound_support,
    lag_curves,
    polaris_measures,
    rate_measures,
    relapse_measures,
    support_curves,
    support_measures,
    survival,
)
from checkers.pairs import pairs
from checkers.phases import bound_of, bounded_by, phase_labels, phase_of
from checkers.reads import Reads, reads, superseding
from checkers.samples import Sample, pooled, samples
from checkers.stalls import awake_ns
from checkers.statistics import isotonic
from checkers.versions import first_sight, versions
from harness.durations import format_duration
from harness.history import NEVER, Column, History
from harness.plan import Adequacy, Contract
from harness.results import Curve, Finding, Measure, Result, Severity

NAME = "staleness"

AGE_EDGES_NS = tuple(round(10 ** (exponent / 4)) for exponent in range(20, 45))
"""Where the bins of t-visibility begin, after the first: 100 us to 100 s, four in a decade."""


def check(history: History, contract: Contract) -> Result:
    """Reads beyond the contract's bounds, and how stale reads were."""
    found = reads(history, contract)
    lo, hi = ages(history, found)
    units = pairs(history, contract)
    supports = bound_support(history, contract, units)
    phases, nodes = len(phase_labels(history)), len(history.nodes)
    spread = _Spread(phase_of(history, contract, found.call_ns) * nodes + found.node, lo, hi, phases=phases, nodes=nodes)
    return Result(
        NAME,
        findings=(*_too_old(history, contract, found, lo), *_too_far(history, contract, found)),
        measures=(
            *_measures(history, spread),
            *support_measures(supports, Adequacy()),
            *rate_measures(history, contract, units, (found.call_ns, lo)),
            *polaris_measures(units),
            *relapse_measures(history, units),
        ),
        curves=(
            *_tails(history, spread),
            *_visibility(history, found),
            *support_curves(supports),
            *lag_curves(history, units),
        ),
    )


def ages(history: History, found: Reads) -> tuple[Column, Column]:
    """Lo and hi of every read without the time in which the harness stood still: how old what it saw was."""
    if not history.stalls:
        return found.lo_ns, found.hi_ns
    table = history.derive(versions)
    sup, called = table.newer_sup_ns[found.place], table.newer_call_ns[found.shown]
    lo = awake_ns(history, found.call_ns) - awake_ns(history, sup)
    hi = awake_ns(history, found.return_ns) - awake_ns(history, called)
    return np.where(found.lo_ns > 0, np.maximum(lo, 0), 0), np.where(found.hi_ns > 0, np.maximum(hi, 0), 0)


def _too_old(history: History, contract: Contract, found: Reads, lo: Column) -> tuple[Finding, ...]:
    stale = np.flatnonzero(lo)
    sup = history.derive(versions).newer_sup_ns[found.place[stale]]
    bound = bound_of(history, contract, sup, found.call_ns[stale])
    broken = lo[stale] > bound
    over, sup, bound = stale[broken], sup[broken], bound[broken]
    return findings(
        history,
        "stale-read",
        Severity.BOUND,
        phases=phases_at(history, contract, found.call_ns[over]),
        gravity=lo[over] - bound,
        prove=lambda instance: _proof(
            history,
            found,
            int(over[instance]),
            f"the contract allows {format_duration(int(bound[instance]))}"
            + _since(bounded_by(history, contract, int(sup[instance]), int(found.call_ns[over[instance]]))),
            int(lo[over[instance]]),
        ),
    )


def _too_far(history: History, contract: Contract, found: Reads) -> tuple[Finding, ...]:
    most = contract.staleness.versions
    over = np.flatnonzero(found.lag > (NEVER if most is None else most))
    return findings(
        history,
        "stale-versions",
        Severity.BOUND,
        phases=phases_at(history, contract, found.call_ns[over]),
        gravity=found.lag[over],
        prove=lambda instance: _proof(
            history,
            found,
            int(over[instance]),
            f"{_behind(int(found.lag[over[instance]]))}, the contract allows {most}",
            int(found.lo_ns[over[instance]]),
        ),
    )


def _since(fault: str) -> str:
    """Why another bound than the steady one holds."""
    return f", as part of that time counts as during {fault}" if fault else ""


def _behind(lag: int) -> str:
    return f"it was {lag} version{'' if lag == 1 else 's'} behind"


def _proof(history: History, found: Reads, at: int, allowed: str, lo: int) -> Proof:
    """That read ``at`` was stale for ``lo``: the write that superseded its value, and the first read that found a newer one."""
    table = history.derive(versions)
    row, place = int(found.row[at]), int(found.place[at])
    newest = superseding(table, place)
    older_write, newer_write = int(table.row[found.shown[at]]), int(table.row[newest])
    witnesses = np.flatnonzero((found.place >= newest) & (found.place < table.first[table.key[place] + 1]))
    fresh = int(found.row[witnesses[np.argmin(found.return_ns[witnesses])]]) if len(witnesses) else -1
    seen = first_sight(history, row)
    named = int(history.rows_of(history.seen_op[[row]])[0])  # another write than the older one where two share a version
    known = "acknowledged" if table.ack_ns[newest] < NEVER else "seen"
    name, newer_name = wording.name(history, row), wording.name(history, newer_write)
    return Proof(
        claim=f"{wording.node(history, row)} answered {wording.answer(history, row)} of {wording.key(history, row)} "
        f"{format_duration(lo)} after {wording.place(history, newest)} had been {known}; {allowed}.",
        argument=(
            *(wording.wrote(history, write) for write in (older_write, newer_write) if write >= 0),
            *(wording.read(history, read) for read in dict.fromkeys((*seen, fresh)) if read >= 0),
            wording.read(history, row),
            f"However, {newer_name} had been {known} {format_duration(lo)} before {name} was called: {allowed}.",
        ),
        rows=(row, newer_write, fresh, older_write, named, *seen),
        key=wording.key(history, row),
        nodes=(wording.node(history, row),),
    )


def _measures(history: History, spread: _Spread) -> Iterator[Measure]:
    """Shares and quantiles, per phase over all nodes and per node over the whole run."""
    labels = phase_labels(history)
    for number, label in enumerate(labels):
        yield from _quantiles(spread.of(phase=number), phase=label)
    for number, node in enumerate(history.nodes):
        yield from _quantiles(spread.of(node=number), scope=node)


def _quantiles(ends: tuple[Sample, Sample], phase: str = "", scope: str = "") -> Iterator[Measure]:
    lo, hi = ends
    if lo.n == 0:
        return
    share = len(lo.positive) / lo.n
    note = f"{len(lo.positive):,} reads were certainly stale"
    yield Measure("stale-share", share, "ratio", n=lo.n, per="read", phase=phase, scope=scope, note=note)
    for end, sample in (("lo", lo), ("hi", hi)):
        for name, value in sample.quantiles():
            yield Measure(f"staleness-{end}-{name}", value, "ns", n=sample.n, per="read", phase=phase, scope=scope)


def _tails(history: History, spread: _Spread) -> Iterator[Curve]:
    """The CCDF of lo and hi, of all reads and of each node's."""
    scopes = [("", None), *((node, number) for number, node in enumerate(history.nodes))]
    for scope, number in scopes:
        for end, sample in zip(("lo", "hi"), spread.of(node=number), strict=True):
            if sample.n:
                yield survival(f"staleness-{end}", scope, sample.positive, sample.n - len(sample.positive))


class _Spread:
    """lo and hi of all reads in cells of phase and node, from which any pooling is quick."""

    def __init__(self, cell: Column, lo: Column, hi: Column, *, phases: int, nodes: int) -> None:
        cells = list(zip(*(samples(cell, end, phases * nodes) for end in (lo, hi)), strict=True))
        self._cells = [cells[number * nodes : (number + 1) * nodes] for number in range(phases)]

    def of(self, phase: int | None = None, node: int | None = None) -> tuple[Sample, Sample]:
        """Lo and hi of one phase, of one node, or of all where that is None."""
        rows = self._cells if phase is None else [self._cells[phase]]
        cells = [cell for row in rows for cell in (row if node is None else [row[node]])]
        return pooled([lo for lo, _ in cells]), pooled([hi for _, hi in cells])


def _visibility(history: History, found: Reads) -> Iterator[Curve]:
    """t-visibility, of all reads and of each node's."""
    table = history.derive(versions)
    written = np.flatnonzero(table.row[found.newest] >= 0)
    age = found.call_ns[written] - table.sup_ns[found.newest[written]]
    fresh = found.place[written] >= found.newest[written]
    bins = len(AGE_EDGES_NS) + 1
    cell = found.node[written] * bins + np.searchsorted(AGE_EDGES_NS, age, side="right")
    shape = (len(history.nodes), bins)
    n = np.bincount(cell, minlength=shape[0] * bins).reshape(shape)
    hits = np.bincount(cell[fresh], minlength=shape[0] * bins).reshape(shape)
    yield _visibility_curve("", hits.sum(axis=0), n.sum(axis=0))
    for number in np.flatnonzero(n.sum(axis=1)):
        yield _visibility_curve(history.nodes[number], hits[number], n[number])


def _visibility_curve(scope: str, hits: Column, n: Column) -> Curve:
    seen = np.flatnonzero(n)
    fit = isotonic((hits[seen] / n[seen]).tolist(), n[seen].tolist())
    ages = np.array([0, *AGE_EDGES_NS])[seen]
    return Curve("t-visibility", scope, tuple(ages.tolist()), fit, "ns", "ratio", tuple(n[seen].tolist()))
