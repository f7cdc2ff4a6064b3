"""Which phase of a run a moment lies in, and which staleness bound an interval falls under.

A run is ``steady`` except while an episode of a fault is on (``during partition``, from applied to healed) and in the grace
period after it (``after partition``, the contract's ``staleness.after_heal``). Where episodes overlap, *during* outranks *after*,
and an earlier episode outranks a later one. An episode that was never healed lasts until the history ends; one that was never
applied is none.

The bound (DEFINITIONS, "Phases") goes by intervals, not by moments: a stale interval that so much as touches an episode or its
grace period is held to the largest bound that then applied. A fault for which the contract names no bound promises nothing.

Cost: O(e log e) for e episodes, then O(n log e) for n moments or intervals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.history import NEVER, Column, Episode, History
from harness.plan import Contract

STEADY = "steady"


def phase_labels(history: History) -> tuple[str, ...]:
    """The names of the phases a run can have, ``steady`` first; what ``phase_of`` numbers refer to."""
    kinds = dict.fromkeys(episode.kind for episode in _struck(history))
    return (STEADY, *(f"during {kind}" for kind in kinds), *(f"after {kind}" for kind in kinds))


def phase_of(history: History, contract: Contract, times_ns: Column) -> Column:
    """The index into ``phase_labels(history)`` of the phase that each time lies in."""
    labels = {label: index for index, label in enumerate(phase_labels(history))}
    grace = contract.staleness.after_heal
    windows = [(labels[f"during {e.kind}"], *_window(e, history)) for e in _struck(history)]
    windows += [(labels[f"after {e.kind}"], end + 1, end + grace) for e in _struck(history) for _, end in [_window(e, history)]]
    starts, over = _segments([(begin, end) for _, begin, end in windows])
    phase = np.zeros(len(starts), np.int64)
    for (label, _, _), (left, right) in reversed(list(zip(windows, over, strict=True))):
        phase[left:right] = label
    return phase[np.searchsorted(starts, times_ns, side="right") - 1]


def phase_between(history: History, contract: Contract, begin_ns: Column, end_ns: Column) -> Column:
    """The phase to put down to what an interval proves as a whole: that of its end; where that is steady, ``after`` the last
    fault that was healed within the interval. What a restart forgot may be asked for only minutes later.
    """
    phase = phase_of(history, contract, end_ns)
    healed = sorted((_window(episode, history)[1], episode.kind) for episode in _struck(history))
    if not healed:
        return phase
    labels = phase_labels(history)
    times = np.array([time_ns for time_ns, _ in healed], np.int64)
    after = np.array([labels.index(f"after {kind}") for _, kind in healed])
    last = np.searchsorted(times, end_ns, side="right") - 1
    found: Column = np.where((phase == 0) & (last >= 0) & (times[last] >= begin_ns), after[last], phase)
    return found


def bound_of(history: History, contract: Contract, begin_ns: Column, end_ns: Column) -> Column:
    """The staleness bound that holds for each interval, ends included; ``NEVER`` where the contract promises none.

    For a read r of a version v the interval is [newer_sup(v), r.call] (see ``checkers.versions``).
    """
    promise = contract.staleness
    if promise.steady is None:
        return np.full(len(begin_ns), NEVER)
    windows, bounds = [], []
    for episode in _struck(history):
        begin, end = _window(episode, history)
        windows.append((begin, end + promise.after_heal))
        during = promise.during.get(episode.kind)
        bounds.append(NEVER if during is None else max(promise.steady, during.of(end - begin)))
    starts, over = _segments(windows)
    highest = np.full(len(starts), promise.steady)
    for bound, (left, right) in zip(bounds, over, strict=True):
        highest[left:right] = np.maximum(highest[left:right], bound)
    first = np.searchsorted(starts, begin_ns, side="right") - 1
    last = np.searchsorted(starts, np.maximum(begin_ns, end_ns), side="right") - 1
    return _range_maximum(highest, first, last)


def bounded_by(history: History, contract: Contract, begin_ns: int, end_ns: int) -> str:
    """The kind of the fault whose bound holds for an interval (``bound_of``); empty where that is the steady one."""
    promise = contract.staleness
    if promise.steady is None:
        return ""
    highest, kind = promise.steady, ""
    for episode in _struck(history):
        begin, end = _window(episode, history)
        during = promise.during.get(episode.kind)
        bound = NEVER if during is None else during.of(end - begin)
        if bound > highest and begin_ns <= end + promise.after_heal and end_ns >= begin:
            highest, kind = bound, episode.kind
    return kind


def stalled(history: History) -> Column:
    """Mask of the operations that overlap a window in which the harness itself stood still."""
    if not history.stalls:
        return np.zeros(len(history), bool)
    starts, over = _segments([(stall.begin_ns, stall.end_ns) for stall in history.stalls])
    quiet = np.ones(len(starts), np.int64)
    for left, right in over:
        quiet[left:right] = 0
    still = np.concatenate([[0], np.cumsum(1 - quiet)])
    first = np.searchsorted(starts, history.call_ns, side="right") - 1
    last = np.searchsorted(starts, np.minimum(history.return_ns, history.end_ns), side="right") - 1
    overlaps: Column = still[np.maximum(first, last) + 1] > still[first]
    return overlaps


@dataclass(frozen=True, slots=True)
class Phases:
    """The phases of a history's operations, by their call, and those of findings, by the call of the operation that shows them.

    Attributes:
        labels: names of the phases.
        of: per row of the history, an index into ``labels``.
    """

    labels: tuple[str, ...]
    of: Column


def phases(history: History, contract: Contract) -> Phases:
    """The phase of every operation's call."""
    return Phases(phase_labels(history), phase_of(history, contract, history.call_ns))


def during_or_steady(history: History, begin_ns: int, end_ns: int, node: str, change_ns: int | None) -> int:
    """The phase to put down a change of ``node`` to that happened between two times; an index into ``phase_labels``.

    With ``change_ns``, the time of a change of its epoch, this is the last fault applied until then; else the first fault that
    meets the interval. Faults that struck the node are preferred. Steady if there is none.
    """
    met = [e for e in _struck(history) if _window(e, history)[0] <= end_ns and _window(e, history)[1] >= begin_ns]
    if change_ns is not None:
        met = [e for e in reversed(met) if _window(e, history)[0] <= change_ns]
    met = [e for e in met if node in e.nodes] or met
    return phase_labels(history).index(f"during {met[0].kind}") if met else 0


def _struck(history: History) -> list[Episode]:
    """The episodes that were applied, earliest first."""
    return sorted((e for e in history.episodes if e.applied_ns is not None), key=lambda e: e.applied_ns or 0)


def _window(episode: Episode, history: History) -> tuple[int, int]:
    begin = episode.applied_ns or 0
    return begin, max(begin, history.end_ns if episode.healed_ns is None else episode.healed_ns)


def _segments(windows: list[tuple[int, int]]) -> tuple[Column, list[tuple[int, int]]]:
    """Cut time at every window's ends: the starts of the segments, and for each window the range of segments that it covers."""
    windows = [(begin, max(end + 1, begin)) for begin, end in windows]
    starts = np.unique(np.array([-NEVER, *(edge for window in windows for edge in window)], np.int64))
    return starts, [(int(np.searchsorted(starts, begin)), int(np.searchsorted(starts, end))) for begin, end in windows]


def _range_maximum(values: Column, left: Column, right: Column) -> Column:
    """The greatest of ``values[left[i] : right[i] + 1]`` for each i, by a sparse table of powers of two."""
    levels = [values]
    while 2 ** len(levels) <= len(values):
        half = 2 ** (len(levels) - 1)
        levels.append(np.maximum(levels[-1][:-half], levels[-1][half:]))
    table = np.full((len(levels), len(values)), values.min())
    for level, row in enumerate(levels):
        table[level, : len(row)] = row
    power = np.frexp((right - left + 1).astype(float))[1] - 1
    found: Column = np.maximum(table[power, left], table[power, right + 1 - (1 << power)])
    return found
