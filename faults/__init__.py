"""What goes wrong, on whom, when, and the proof that it did: one fault a file, on the runtimes' means."""

from __future__ import annotations

from faults.base import Fault, refuse_impossible
from faults.episode import run_schedule
from faults.schedule import PlannedEpisode, schedule
from harness.registry import Registry

FAULTS: Registry[type[Fault]] = Registry(
    "fault",
    {
        "partition": "faults.partition:Partition",
        "delay": "faults.delay:Delay",
        "pause": "faults.pause:Pause",
        "kill": "faults.kill:Kill",
    },
)

__all__ = ["FAULTS", "Fault", "PlannedEpisode", "refuse_impossible", "run_schedule", "schedule"]
