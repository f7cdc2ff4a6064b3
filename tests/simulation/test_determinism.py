"""The same seed gives the same history, to the byte: in one process, in another one, and on another machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from faults import FAULTS, schedule
from harness.durations import UNITS
from harness.fingerprint import fingerprint
from harness.history import History
from harness.plan import FaultSpec, WorkloadSpec
from harness.reference.places import topology_of
from harness.reference.zoo import designs
from harness.simulation.fleet import PACE
from harness.simulation.play import play

ROOT = Path(__file__).resolve().parents[2]

PINNED = {
    "ttl": "b36780a53d2884453fad33dba6c067931d540e1076f876099e70c478211c938e",
    "read-atomic": "506c2d336333f9dc85299745c29c296f6b00c9a4ede1e699d6d5e56273f6bffb",
}
"""Of ``run(name, 7)``. Whatever changes what the simulation does changes it; nothing else may, on any machine."""

WORKLOADS = (
    {"kind": "register", "keys": 10, "sessions": 5, "rate": 1000.0},
    {"kind": "cold-register", "sessions": 3, "scale": 0.05},
)
SEVERAL = {"kind": "multi-key", "sets": 5, "sessions": 5, "rate": 500.0}
"""For those who promise atomic reads."""
EPISODE = {"at_most": 1, "every": "1s", "lasts": "200ms"}
STRUCK = (
    {"kind": "drop", "between": (("client",), ("node",)), "probability": 0.3, "after": "100ms", **EPISODE},
    {"kind": "kill", "targets": ("node",), "after": "200ms", **EPISODE},
    {"kind": "pause", "targets": ("node",), "after": "300ms", **EPISODE},
)


def run(name: str, seed: int) -> History:
    """Eight hundred milliseconds of a small fleet that is struck by all sorts of faults."""
    design = designs()[name]
    atomic = design.promise(design.settings, PACE.most_ns).atomic_reads
    faults = [FAULTS.load(fault["kind"])(FaultSpec.model_validate(fault)) for fault in STRUCK]
    duration_ns = 800 * UNITS["ms"]
    return play(
        design,
        count=3,
        settings=design.settings,
        seed=seed,
        workloads=[WorkloadSpec.model_validate(workload) for workload in (*WORKLOADS, *([SEVERAL] if atomic else []))],
        duration_ns=duration_ns,
        settle_ns=500 * UNITS["ms"],
        timeout_ns=300 * UNITS["ms"],
        faults=faults,
        planned=schedule(faults, topology_of(design, 3), seed, duration_ns),
    )


def prints() -> dict[str, str]:
    """The fingerprint of a run of each design."""
    return {name: fingerprint(run(name, 7)) for name in designs()}


def test_the_same_seed_gives_the_same_history_in_another_process():
    """Nothing depends on addresses in memory, on what has run before, or on how this process hashes its strings."""
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": str(ROOT)}
    other = subprocess.run([sys.executable, __file__], env=environment, capture_output=True, check=True)
    assert prints() == json.loads(other.stdout)


@pytest.mark.parametrize("name", ["ttl", "broadcast-alo"])
def test_another_seed_gives_another_history(name: str):
    """A fingerprint that is always the same would prove nothing."""
    assert fingerprint(run(name, 7)) == fingerprint(run(name, 7)) != fingerprint(run(name, 8))


@pytest.mark.parametrize("name", PINNED)
def test_the_fingerprint_is_the_same_on_every_machine(name: str):
    """It is written down here."""
    assert fingerprint(run(name, 7)) == PINNED[name]


if __name__ == "__main__":
    print(json.dumps(prints()))
