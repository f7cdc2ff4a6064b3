"""What pairs of a write and a node say: do bounds hold, how often are they missed, how long until a node has a write.

Every number here counts pairs (or fault episodes), because they are nearly independent of each other; reads of one stale entry
are not. A pair that was not observed is excluded and counted, never taken for good.

**Bounds.** A bound T on staleness *holds at resolution R* for a pair if a read of the node found the write, or a newer one, by
sup + T + R. The promise on the interval [sup, sup + T] decides T, so a pair next to a fault is held to the fault's bound, and its
phase is ``during`` that fault. A pair that was never seen fresh holds at no resolution.

**Rates.** A pair breaks a limit M if a read of an older version was called after sup + M; it was observed if any read was.
Likewise an episode if a read that was stale for longer was called in it or its grace period; it was observed if any read was.

**Lag.** How long a node lacked a write lies between the last stale call before the first fresh return, less sup, and the first
fresh return less the write's call. One survival curve for either end: the true curve runs between them. A node that went back
after it had the write relapsed: that says nothing of its lag, and is counted apart.

Sources: the Polaris measure is Meta's (Cache made consistent, 2022); bounds on both ends: DEFINITIONS, "Staleness".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from checkers.pairs import Pairs
from checkers.phases import bound_of, phase_labels, phase_of
from checkers.statistics import clopper_pearson, share_lower, share_upper
from checkers.versions import versions
from harness.durations import format_duration
from harness.history import NEVER, Column, Episode, History
from harness.plan import Adequacy, Contract, RatePromise
from harness.results import Curve, Measure

POLARIS_NS = (20_000_000, 200_000_000, 1_000_000_000, 5_000_000_000)
CURVE_POINTS = 48


@dataclass(frozen=True, slots=True)
class Support:
    """How well one phase's bound was probed.

    Attributes:
        phase: ``steady`` or ``during <fault>``, grace period included.
        late_ns: for each pair how long after its bound it was first seen fresh, ascending; ``NEVER`` if it was not.
    """

    phase: str
    late_ns: Column

    @property
    def unseen(self) -> int:
        """Pairs that were never seen fresh."""
        return int((self.late_ns == NEVER).sum())

    def held(self, resolution_ns: int) -> int:
        """How many pairs hold at that resolution."""
        return int(np.searchsorted(self.late_ns, resolution_ns, side="right"))

    def resolution_ns(self, coverage: float) -> int | None:
        """The finest resolution at which a share ``coverage`` of the pairs hold; None if too many were never seen fresh."""
        late = int(self.late_ns[max(0, math.ceil(coverage * len(self.late_ns) - 1e-9) - 1)])
        return late if late < NEVER else None


def bound_support(history: History, contract: Contract, found: Pairs) -> tuple[Support, ...]:
    """For each phase whose bound the contract names how well it was probed; none where no pair fell into it."""
    steady = contract.staleness.steady
    if steady is None or len(found) == 0:
        return ()
    phase, bound = _phase_of_pairs(history, contract, found, steady)
    held = np.maximum(found.fresh_ns - found.sup_ns - bound, 0)
    held[found.fresh_ns >= NEVER] = NEVER
    labels = phase_labels(history)
    named = bound < NEVER
    return tuple(Support(labels[number], np.sort(held[named & (phase == number)])) for number in np.unique(phase[named]))


def _phase_of_pairs(history: History, contract: Contract, found: Pairs, within_ns: int) -> tuple[Column, Column]:
    """For each pair the phase whose promise holds from its acknowledgement on, and that promise's bound."""
    # Phases and bounds are told by the run's clock; a pair's times are on the clock without stalls.
    sup = history.derive(versions).sup_ns[found.place]
    labels = phase_labels(history)
    at, then = phase_of(history, contract, sup), phase_of(history, contract, sup + within_ns)
    phase = np.where(at == 0, then, at)
    # The grace period after a fault is held to the fault's own bound.
    during = np.array([labels.index(label.replace("after ", "during ", 1)) for label in labels])
    return during[phase], bound_of(history, contract, sup, sup + within_ns)


def support_measures(supports: Sequence[Support], needed: Adequacy) -> Iterator[Measure]:
    """Resolution and coverage of each bound, by the usual adequacy; other shares are read off ``bound_support``."""
    for support in supports:
        n, held = len(support.late_ns), support.held(needed.resolution)
        low, high = clopper_pearson(held, n)
        yield Measure(
            "bound-resolution",
            support.resolution_ns(needed.coverage),
            "ns",
            n=n,
            per="write-node",
            phase=support.phase,
            censored=support.unseen,
            note=f"{needed.coverage:.0%} of the pairs were seen fresh so soon after the bound",
        )
        yield Measure(
            "bound-coverage",
            held / n,
            "ratio",
            n=n,
            per="write-node",
            low=low,
            high=high,
            phase=support.phase,
            censored=support.unseen,
            note=f"pairs seen fresh within {format_duration(needed.resolution)} after the bound",
        )


def support_curves(supports: Sequence[Support]) -> Iterator[Curve]:
    """Coverage by resolution, one curve a phase."""
    for support in supports:
        seen = support.late_ns[support.late_ns < NEVER]
        points = np.unique(seen[np.linspace(0, len(seen) - 1, CURVE_POINTS).round().astype(int)]) if len(seen) else seen
        yield Curve(
            "bound-coverage",
            support.phase,
            x=tuple(points.tolist()),
            y=tuple((np.searchsorted(seen, points, side="right") / len(support.late_ns)).tolist()),
            x_unit="ns",
            y_unit="ratio",
            n=(len(support.late_ns),) * len(points),
        )


def rate_measures(history: History, contract: Contract, found: Pairs, reads_lo: tuple[Column, Column]) -> Iterator[Measure]:
    """For each promised rate the share of units with a read older than its limit; ``reads_lo`` are calls and lo of all reads.

    ``low`` and ``high`` are one-sided bounds, each at the promise's confidence.
    """
    for rate in contract.rates:
        broken, n = (
            _episodes(history, contract, rate, reads_lo) if rate.per == "episode" else _writes(history, contract, rate, found)
        )
        yield Measure(
            "stale-rate",
            broken / n if n else None,
            "ratio",
            n=n,
            per="episode" if rate.per == "episode" else "write-node",
            low=share_lower(broken, n, rate.confidence) if n else None,
            high=share_upper(broken, n, rate.confidence) if n else None,
            phase=rate.phase,
            scope=format_duration(rate.older_than),
            note=f"{broken} of {n} had a read older than {format_duration(rate.older_than)}; "
            f"each bound holds with {rate.confidence:.0%} confidence",
        )


def _writes(history: History, contract: Contract, rate: RatePromise, found: Pairs) -> tuple[int, int]:
    observed = found.read_ns >= found.sup_ns + rate.older_than
    labels = phase_labels(history)
    if rate.phase and len(found):
        phase, _ = _phase_of_pairs(history, contract, found, rate.older_than)
        observed &= phase == (labels.index(rate.phase) if rate.phase in labels else len(labels))
    broken = observed & (found.stale_ns > found.sup_ns + rate.older_than)
    return int(broken.sum()), int(observed.sum())


def _episodes(history: History, contract: Contract, rate: RatePromise, reads_lo: tuple[Column, Column]) -> tuple[int, int]:
    kind = rate.phase.removeprefix("during ").removeprefix("after ")
    episodes = [e for e in history.episodes if e.proven and kind in (e.kind, "", "steady")]
    calls, lo = reads_lo
    observed = [episode for episode in episodes if _within(episode, calls, history, contract)]
    return sum(_within(episode, calls[lo > rate.older_than], history, contract) for episode in observed), len(observed)


def _within(episode: Episode, calls: Column, history: History, contract: Contract) -> bool:
    """Whether any of the ``calls`` falls into the episode or its grace period."""
    end = history.end_ns if episode.healed_ns is None else episode.healed_ns + contract.staleness.after_heal
    return bool(((calls >= episode.applied_ns) & (calls <= end)).any())


def polaris_measures(found: Pairs) -> Iterator[Measure]:
    """For each M the share of observed pairs without a read of an older version after sup + M."""
    for limit in POLARIS_NS:
        observed = found.read_ns >= found.sup_ns + limit
        broken = observed & (found.stale_ns >= found.sup_ns + limit)
        n, bad, events = int(observed.sum()), int(broken.sum()), incidents(found.take(broken))
        low, high = clopper_pearson(events, n)
        yield Measure(
            "polaris",
            1 - bad / n if n else None,
            "ratio",
            n=n,
            per="write-node",
            low=1 - high if n else None,
            high=1 - low if n else None,
            scope=format_duration(limit),
            censored=len(found) - n,
            note=f"{bad} pairs in {events} incidents were stale later than {format_duration(limit)} after their acknowledgement; "
            "the interval counts incidents",
        )


def incidents(broken: Pairs) -> int:
    """How many unbroken stale spells of a key at a node the ``broken`` pairs make up."""
    if len(broken) == 0:
        return 0
    # Sorted by node and place: the next version was acknowledged before the node had this one, so the spell went on.
    unbroken = (broken.node[1:] == broken.node[:-1]) & (broken.fresh_ns[:-1] > broken.sup_ns[1:])
    return len(broken) - int((unbroken & (broken.place[1:] > broken.place[:-1])).sum())


def lag_curves(history: History, found: Pairs) -> Iterator[Curve]:
    """Per node the survival curves of both ends of the lag."""
    for node in np.unique(found.node):
        here = found.take((found.node == node) & (found.read_ns >= found.sup_ns))
        stays = here.stale_ns <= here.fresh_ns
        certain = np.where(stays, np.maximum(here.stale_ns - here.sup_ns, 0), 0)
        possible = np.where(here.fresh_ns < NEVER, here.fresh_ns - here.call_ns, NEVER)
        for name, lags in (("coherence-lag-certain", certain), ("coherence-lag-possible", possible)):
            yield survival(name, _scope(history, node), np.sort(lags))


def relapse_measures(history: History, found: Pairs) -> Iterator[Measure]:
    """Per node how many pairs went back to an older version after the node had the write."""
    for node in np.unique(found.node):
        here = found.node == node
        back = here & (found.fresh_ns < NEVER) & (found.stale_ns > found.fresh_ns)
        yield Measure("relapses", int(back.sum()), "count", n=int(here.sum()), per="write-node", scope=_scope(history, node))


def _scope(history: History, node: int) -> str:
    """What a pair's node is called; nothing where it is whatever node clients find."""
    return "" if history.routed else history.nodes[node]


def survival(name: str, scope: str, ordered: Column, zeros: int = 0) -> Curve:
    """The share of values above x. ``ordered`` ascends, ``NEVER`` stands for infinity; ``zeros`` more values are 0."""
    n = len(ordered) + zeros
    # As many points in the last percent as in the first: ranks from the top at even ratios.
    ranks = np.unique(np.geomspace(1, max(1, len(ordered)), CURVE_POINTS).round().astype(int))
    chosen = np.unique(np.append(ordered[len(ordered) - ranks[ranks <= len(ordered)]], [0]))
    chosen = chosen[chosen < NEVER]
    above = len(ordered) - np.searchsorted(ordered, chosen, side="right")
    share = above / n if n else np.zeros(len(chosen))
    return Curve(name, scope, tuple(chosen.tolist()), tuple(share.tolist()), "ns", "ratio", (n,) * len(chosen))
