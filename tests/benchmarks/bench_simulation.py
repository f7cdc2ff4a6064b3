"""How many events a second the simulation does on one core, for fleets of 3 to 10,000 nodes that broadcast at least once.

    python tests/benchmarks/bench_simulation.py [rounds]

A run is everything from the empty fleet to its history: sessions, beats of the bus, and at the end the convergence probes of
every key at every node. Up to 1,000 nodes clients keep every node busy; 10,000 nodes see a few writes of a few keys, and all else
is the bus. The floor is a loop over a heap as wide as the run's at its widest, in which as many events do nothing but plan the
next one. Times are CPU time of the one thread that there is; medians of the rounds, floor and run in turn.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from harness.durations import UNITS
from harness.plan import WorkloadSpec
from harness.reference.zoo import designs
from harness.simulation.fleet import Fleet
from harness.simulation.play import play

TARGET = 100_000
DESIGN = "broadcast-alo"

RUNS: dict[int, tuple[float, dict[str, Any]]] = {
    3: (6.0, {"kind": "register", "keys": 200, "sessions": 30}),
    100: (1.0, {"kind": "register", "keys": 200, "sessions": 200}),
    1_000: (0.4, {"kind": "register", "keys": 100, "sessions": 200, "reads": 0.98, "rate": 50_000.0}),
    10_000: (0.5, {"kind": "register", "keys": 5, "sessions": 5, "reads": 0.8, "rate": 100.0}),
}
"""By the number of nodes: how many virtual seconds clients drive the fleet, and with what."""


def main() -> None:
    """Print the table; exit 1 if a fleet is slower than the target."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    slow = False
    print(f"{'nodes':>7}{'events':>11}{'operations':>12}{'events/s':>11}{'floor/s':>11}{'x floor':>9}")
    for nodes in RUNS:
        taken = []
        for _ in range(rounds):
            gc.collect()
            began = time.process_time()
            events, operations, width = simulate(nodes)
            run_s = time.process_time() - began
            gc.collect()
            began = time.process_time()
            floor(events, width)
            taken.append((run_s, time.process_time() - began))
        run_s, floor_s = (statistics.median(times) for times in zip(*taken, strict=True))
        rate, most, ratio = events / run_s, events / floor_s, run_s / floor_s
        slow = slow or rate < TARGET
        print(f"{nodes:>7,}{events:>11,}{operations:>12,}{rate:>11,.0f}{most:>11,.0f}{ratio:>9.1f}")
    print(f"target: {TARGET:,} events/s")
    sys.exit(slow)


def simulate(nodes: int) -> tuple[int, int, int]:
    """How many events a run of so many nodes has, how many operations, and how many events were planned at once."""
    design = designs()[DESIGN]
    seconds, workload = RUNS[nodes]
    seen: dict[int, Fleet] = {}
    width = 0

    def look(fleet: Fleet, _: object) -> None:
        nonlocal width
        seen[0] = fleet
        width = max(width, fleet.engine.ahead)

    history = play(
        design,
        count=nodes,
        settings=design.settings,
        seed=1,
        workloads=[WorkloadSpec.model_validate(workload)],
        duration_ns=round(seconds * UNITS["s"]),
        settle_ns=1 * UNITS["s"],
        timeout_ns=1 * UNITS["s"],
        look=look,
    )
    return seen[0].engine.events, len(history), width


def floor(events: int, width: int) -> None:
    """As many ``events`` that do nothing, each planned by the one before."""
    heap = [(place, place, _nothing, None) for place in range(max(width, 1))]
    for number in range(events):
        time_ns, _, act, argument = heappop(heap)
        act(argument)
        heappush(heap, (time_ns + width, number, act, argument))


def _nothing(_: Any) -> None:
    """Do nothing."""


if __name__ == "__main__":
    main()
