"""What a promise in time owes to clocks: it holds as far as the clocks that count it are right."""

from __future__ import annotations

from typing import Any

from harness.plan import Contract
from harness.reference.design import FAULTS, bounded

SLOWEST_CLOCK = 0.8
"""A monotonic clock is trusted to count at least so many seconds in one; far less than any real one loses."""


def by_the_clock(steady_ns: int, bound_ns: int, *, pause_stretches: bool = False, **promises: Any) -> Contract:
    """The contract of a design whose entries die at a moment on their node's monotonic clock, whatever else happens.

    No cut, loss or delay makes a read staler than ``bound_ns``, however long it lasts; a clock that runs slow does, by its rate.

    Args:
        steady_ns: how stale a read may be while nothing is broken, in ns.
        bound_ns: how stale it may be whatever happens, in ns; after that the fleet has converged.
        pause_stretches: whether a pause counts on top.
        promises: the contract's other keys.
    """
    during = dict.fromkeys(FAULTS, f"{bound_ns}ns") | {"clock": f"{round(bound_ns / SLOWEST_CLOCK)}ns"}
    if pause_stretches:
        during["pause"] = f"fault + {bound_ns}ns"
    return bounded(steady_ns, bound_ns, during=during, **promises)
