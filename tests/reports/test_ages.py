"""The ages that charts and rows are drawn from."""

from dataclasses import replace

import numpy as np

from harness.history import Function, Seen
from reports.ages import ages
from tests.reports.synthetic import history, plan


def test_ages_agree_with_the_definition_read_literally() -> None:
    """A read's certain and possible age are what DEFINITIONS says, computed pair by pair, where the harness never stood still."""
    run = history(operations=1_500, keys=5)
    run = run.select(run.return_ns < run.stalls[0].begin_ns)
    found = ages(run, plan().contract)
    writes = [row for row in range(len(run)) if run.function[row] == Function.WRITE and run.status[row] != 1]
    seen = 0
    for row in np.flatnonzero(run.seen == Seen.HIT):
        newer = [w for w in writes if run.key[w] == run.key[row] and run.sent_version[w] > run.seen_version[row]]
        lo = max([0, *(run.call_ns[row] - run.return_ns[w] for w in newer if run.status[w] == 0)])
        hi = max([0, *(run.return_ns[row] - run.call_ns[w] for w in newer)])
        assert (found.known[row], found.lo_ns[row], found.hi_ns[row]) == (True, lo, hi)
        seen += lo > 0
    assert seen > 50


def test_time_in_which_the_harness_stood_still_is_taken_off() -> None:
    """A read's age never counts a stall."""
    run = history()
    with_stall = ages(run, plan().contract)
    without = ages(replace(run, stalls=()), plan().contract)
    assert (with_stall.lo_ns <= without.lo_ns).all()
    assert with_stall.lo_ns.sum() < without.lo_ns.sum()
