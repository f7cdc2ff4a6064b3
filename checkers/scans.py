"""Running extremes within groups: the one computation behind most order checks, in columns.

Everything here is one pass over sorted integers. Groups are contiguous stretches of a column of group numbers.
"""

from __future__ import annotations

import numpy as np

from harness.history import Column

NONE = -1
"""Instead of an index: there is no such element."""


def greatest_so_far(value: Column, group: Column) -> Column:
    """For each element the index of the first greatest value of its group, up to and including the element itself."""
    if len(value) == 0:
        return np.zeros(0, np.int64)
    starts = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    number = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(value))))
    low, high = int(value.min()), int(value.max())
    if (high - low + 1) * len(starts) < 2**62:
        height, span = value - low, high - low + 1
    else:
        ticks = distinct(value)
        height, span = np.searchsorted(ticks, value), len(ticks)
    # A later group's values lie above all values of an earlier one, so one running maximum serves them all.
    height = height + number * span
    greatest = np.maximum.accumulate(height)
    record = np.append(True, height[1:] > greatest[:-1])
    return np.maximum.accumulate(np.where(record, np.arange(len(value)), 0))


def greatest_before(value: Column, group: Column) -> Column:
    """As ``greatest_so_far``, without the element itself; ``NONE`` for the first of a group."""
    if len(value) == 0:
        return np.zeros(0, np.int64)
    before = np.append(NONE, greatest_so_far(value, group)[:-1])
    before[np.append(True, group[1:] != group[:-1])] = NONE
    return before


def least_after(value: Column, group: Column) -> Column:
    """For each element the index of the last least value among the later elements of its group; ``NONE`` for the last one."""
    before = greatest_before(-value[::-1], group[::-1])[::-1]
    return np.where(before == NONE, NONE, len(value) - 1 - before)


def greatest_until(group: Column, time: Column, value: Column, at_group: Column, at_time: Column, *, strictly: bool) -> Column:
    """For each asked (group, time) the index of the greatest value of that group up to that time; ``NONE`` if there is none.

    ``strictly``: before that time, not at it. The arguments may be in any order.
    """
    if len(group) == 0:
        return np.full(len(at_group), NONE)
    order = np.argsort(time, kind="stable")
    sorted_time = time[order]
    new = np.append(True, sorted_time[1:] != sorted_time[:-1])
    ticks, tick = sorted_time[new], np.cumsum(new) - 1
    by_group = stable_order(group[order])
    order = order[by_group]
    axis = group[order] * len(ticks) + tick[by_group]
    rank = np.searchsorted(ticks, at_time, side="left" if strictly else "right")
    at = np.searchsorted(axis, at_group * len(ticks) + rank, side="left") - 1
    found = order[greatest_so_far(value[order], group[order])[at]]
    return np.where((at >= 0) & (group[found] == at_group), found, NONE)


def distinct(values: Column) -> Column:
    """The distinct values, sorted; faster than ``numpy.unique`` where they are many."""
    ordered = np.sort(values)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def stable_order(group: Column) -> Column:
    """The stable sorting permutation of non-negative integers; linear, where ``argsort`` is not."""
    top = int(group.max(initial=0))
    order = np.argsort((group & 0xFFFF).astype(np.uint16), kind="stable")
    for shift in range(16, top.bit_length(), 16):
        digit = ((group >> shift) & 0xFFFF).astype(np.uint16)
        order = order[np.argsort(digit[order], kind="stable")]
    return order


def broken_floors(group: Column, raises: Column, needs: Column, call_ns: Column, return_ns: Column) -> tuple[Column, Column]:
    """Where an operation falls below what an earlier one of its group had already reached.

    An element with ``raises >= 0`` raises its group's floor to that value when it returns; one with ``needs >= 0`` must find the
    floor, as it stands at its call, no higher than that. All columns are in call order.

    Returns:
        The offending elements, and for each the element that raised the floor highest and returned before the offender's call.
    """
    kept = np.flatnonzero(_in_groups_of(group, needs >= 0))
    order = kept[stable_order(group[kept])]
    grouped, height, need = group[order], raises[order], needs[order]
    # What was called before is a superset of what returned before: it clears nearly everything in one pass.
    before = greatest_before(height, grouped)
    suspect = (before != NONE) & (need >= 0) & (need < height[before])
    if not suspect.any():
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    number = np.cumsum(np.append(False, grouped[1:] != grouped[:-1]))
    hot = np.zeros(number[-1] + 1, bool)
    hot[number[suspect]] = True
    raisers = order[hot[number] & (height >= 0)]
    offenders = order[suspect]
    floor = greatest_until(
        group[raisers], return_ns[raisers], raises[raisers], group[offenders], call_ns[offenders], strictly=True
    )
    broken = (floor != NONE) & (raises[raisers[floor]] > needs[offenders])
    offenders, floors = offenders[broken], raisers[floor[broken]]
    order = np.argsort(offenders, kind="stable")
    return offenders[order], floors[order]


def _in_groups_of(group: Column, chosen: Column) -> Column:
    """Mask of the elements whose group has a chosen element."""
    top = int(group.max(initial=0))
    if top > 8 * len(group) + 1024:
        return np.isin(group, group[chosen])
    wanted = np.zeros(top + 1, bool)
    wanted[group[chosen]] = True
    return wanted[group]
