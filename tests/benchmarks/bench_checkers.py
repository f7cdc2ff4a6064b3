"""All checkers together on a million operations: milliseconds each, the total, memory, and ratios to a floor of the same run.

    python tests/benchmarks/bench_checkers.py [operations]

The history is in memory, in columns, as after a run; each checker's time includes the shared tables that it is the first to need.
The floor is one ``numpy`` argsort of as many random int64: what the machine gives at that moment. Times are CPU time of the one
thread that there is, so that other work on the machine counts little; the total is also given by the wall. Medians of three.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent / "checkers")]

from big import big_history  # noqa: E402  # the path comes first: test folders are no packages

from checkers import CHECKERS  # noqa: E402
from harness.history import Episode, History  # noqa: E402
from harness.plan import Contract, RatePromise, Sessions, StalenessPromise  # noqa: E402

ROUNDS = 3
TARGET_S = 2.0
TARGET_MB = 1024

CONTRACT = Contract(
    sessions=Sessions(read_your_writes="any-node", monotonic_reads="any-node"),
    staleness=StalenessPromise(steady="100ms", versions=50, after_heal="1s"),
    rates=(RatePromise(older_than="20ms", at_most=1e-3),),
    converges_within="3s",
    lost_writes=0,
)
"""Promises of every kind, all within reach of the history: the time of a clean run."""


def main() -> None:
    """Print the table; exit 1 if a target is missed."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    history = _history(n)
    checkers = {name: CHECKERS.load(name) for name in CHECKERS.names}
    floor, spent, wall = [], {name: [] for name in checkers}, []
    for _ in range(ROUNDS):
        values = np.random.default_rng(0).integers(0, 2**62, n)
        floor.append(_seconds(lambda values=values: np.argsort(values)))
        fresh = replace(history)  # without the tables of the round before
        began = time.perf_counter()
        for name, check in checkers.items():
            spent[name].append(_seconds(lambda check=check, fresh=fresh: check(fresh, CONTRACT)))
        wall.append(time.perf_counter() - began)
    base = statistics.median(floor)
    print(f"{'checker':24}{'ms':>9}{'x floor':>9}")
    for name, times in spent.items():
        print(f"{name:24}{1e3 * statistics.median(times):9.1f}{statistics.median(times) / base:9.2f}")
    total = statistics.median(sum(times) for times in zip(*spent.values(), strict=True))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{'all':24}{1e3 * total:9.1f}{total / base:9.2f}")
    print(f"floor (argsort) {1e3 * base:.1f} ms; all by the wall {1e3 * statistics.median(wall):.1f} ms")
    print(f"{n:,} operations, {len(history.keys):,} keys, {len(history.nodes)} nodes; peak memory {memory} MB, columns included")
    if n <= 1_000_000 and (total > TARGET_S or memory > TARGET_MB):
        sys.exit(f"missed: {TARGET_S} s and {TARGET_MB} MB for 1,000,000 operations on one core")


def _history(n: int) -> History:
    """A run with three partitions, whose last fifth is the time in which it settles."""
    history = big_history(n)
    end = history.end_ns
    episodes = tuple(
        Episode(
            fault=0,
            kind="partition",
            targets=(history.nodes[-1],),
            nodes=(history.nodes[-1],),
            intended_ns=at,
            intended_end_ns=at + end // 40,
            applied_ns=at,
            proven_ns=at,
            healed_ns=at + end // 40,
        )
        for at in (end // 10, end // 3, end // 2)
    )
    return replace(history, episodes=episodes, settled_ns=end * 4 // 5)


def _seconds(call: object) -> float:
    begin = time.process_time()
    call()  # type: ignore[operator]  # any function of no arguments
    return time.process_time() - begin


if __name__ == "__main__":
    main()
