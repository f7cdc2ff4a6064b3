"""The facts about the machine and the software that a report prints beside its verdict."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path


def machine_facts() -> Mapping[str, str]:
    """What this process can say of where it runs; never the host's name or the user's paths."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "anachron": version("anachron"),
        "source": _source_revision(),
        "python": sys.version.split()[0],
        "system": f"{platform.system()} {platform.release()}",
        "processor": f"{os.cpu_count()} x {_processor()}",
        "memory": _memory(),
        "load average at the start": load_average(),
        "clock": f"one monotonic clock, resolution {time.get_clock_info('monotonic').resolution:g}s",
    }


def wall_clock(in_ns: int) -> str:
    """What this machine's wall clock will tell in ``in_ns``, with its zone: nodes stamp their logs by it."""
    return datetime.fromtimestamp((time.time_ns() + in_ns) / 1e9).astimezone().isoformat(" ", "microseconds")


def load_average() -> str:
    """How many processes wanted a processor, on average over the last 1, 5 and 15 minutes."""
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def _source_revision() -> str:
    """The commit of a source checkout, marked where it has local changes; ``installed`` for a package."""
    checkout = Path(__file__).resolve().parent.parent
    if not (checkout / ".git").exists():
        return "installed"
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=checkout,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return described.stdout.strip() or "unknown"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB"
    except (ValueError, OSError):
        return "unknown"
