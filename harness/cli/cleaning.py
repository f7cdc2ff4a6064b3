"""``clean``: what killed runs have left is stopped and removed."""

from __future__ import annotations

import time
from pathlib import Path

from harness.cli.output import complain, say
from harness.errors import FAILURE, PASS, UsageError
from harness.runtimes.ledger import is_live, sweep
from harness.store import list_runs

_PARTS = (".*.part", "*.partial")
"""Files that were being written (``harness.store.files``, ``reports``) when their run was killed."""

_STALE_S = 60.0
"""A file that is younger may be in the making: ``check`` writes, too, and its process is in no run's records."""


def sweep_leftovers(runs_dir: Path) -> int:
    """Stop processes and remove half-written files of the runs under ``runs_dir``, and say so; a run that goes on is left alone.

    Raises ``UsageError`` if there is no such directory.
    """
    if not runs_dir.is_dir():
        raise UsageError(
            "there is no such directory", where=str(runs_dir), fix="name the directory that holds the run directories"
        )
    runs = list_runs(runs_dir)
    done, failed = 0, 0
    for run in runs:
        if is_live(run.path):
            say(f"{run.path.name}: goes on; left alone")
            continue
        for stopped in sweep(run.path):
            say(f"{run.path.name}: stopped {stopped}")
            done += 1
        for part in _half_written(run.path):
            try:
                part.unlink()
            except OSError as error:
                complain(f"{part} cannot be removed: {error.strerror}")
                failed += 1
            else:
                say(f"{run.path.name}: removed {part.name}")
                done += 1
    if not done and not failed:
        say(f"nothing was left by the {len(runs)} runs in {runs_dir}")
    return FAILURE if failed else PASS


def _half_written(run: Path) -> list[Path]:
    parts = sorted(path for pattern in _PARTS for path in run.glob(pattern))
    return [path for path in parts if time.time() - path.stat().st_mtime > _STALE_S]
