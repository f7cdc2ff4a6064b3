"""What goes wrong, on whom, when, and the proof that it did: one fault a file, on the runtimes' means."""

from __future__ import annotations

from faults.base import Fault, refuse_direct, refuse_impossible
from faults.episode import run_schedule
from faults.schedule import PlannedEpisode, schedule
from harness.registry import Registry

FAULTS: Registry[type[Fault]] = Registry(
    "fault",
    {
        "command": "faults.command:Command",
        "partition": "faults.partition:Partition",
        "delay": "faults.delay:Delay",
        "pause": "faults.pause:Pause",
        "kill": "faults.kill:Kill",
        "drop": "faults.drop:Drop",
        "duplicate": "faults.duplicate:Duplicate",
        "reorder": "faults.reorder:Reorder",
        "throttle": "faults.throttle:Throttle",
        "reset": "faults.reset:Reset",
        "reshard": "faults.reshard:Reshard",
        "limit": "faults.limit:Limit",
        "disk-full": "faults.disk_full:DiskFull",
        "clock": "faults.clock:Clock",
        "flush": "faults.flush:Flush",
        "expire-all": "faults.expire_all:ExpireAll",
        "evict": "faults.evict:Evict",
        "client-kill": "faults.client_kill:ClientKill",
        "client-pause": "faults.client_pause:ClientPause",
        "cancel": "faults.cancel:Cancel",
        "membership": "faults.membership:Membership",
        "message": "faults.message:MessageFault",
        "output-buffer": "faults.output_buffer:OutputBuffer",
        "fail-over": "faults.fail_over:FailOver",
        "rolling-restart": "faults.rolling_restart:RollingRestart",
    },
)

__all__ = ["FAULTS", "Fault", "PlannedEpisode", "refuse_direct", "refuse_impossible", "run_schedule", "schedule"]
