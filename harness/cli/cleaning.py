"""``clean``: what killed runs have left is stopped and removed."""

from __future__ import annotations

import time
from pathlib import Path

from harness.cli.output import complain, say
from harness.errors import FAILURE, PASS, AnachronError, UsageError
from harness.runtimes.docker import labels
from harness.runtimes.kernel import sweeping
from harness.runtimes.ledger import is_live, sweep
from harness.store import RunDirectory, list_runs
from harness.store.logs import read_episodes

_PARTS = (".*.part", "*.partial")
"""Files that were being written (``harness.store.files``, ``reports``) when their run was killed."""

_STALE_S = 60.0
"""A file that is younger may be in the making: ``check`` writes, too, and its process is in no run's records."""


def sweep_leftovers(runs_dir: Path) -> int:
    """Stop processes, remove half-written files of the runs under ``runs_dir`` and all containers that killed runs left.

    What is done is said; a run that goes on is left alone.

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
        for words in (*sweep(run.path), *_unhealed(run)):
            say(f"{run.path.name}: {words}")
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
    for removed in (*labels.clean(), *sweeping.clean()):  # whatever directory its run was in: they belong to the engine
        say(f"removed {removed}")
        done += 1
    if not done and not failed:
        say(f"nothing was left by the {len(runs)} runs in {runs_dir}")
    return FAILURE if failed else PASS


def _unhealed(run: RunDirectory) -> list[str]:
    """What the owner's own commands did to a deployment and did not undo, because the run was killed in between.

    It is said until the run has a history, which ``check`` makes of what was recorded.
    """
    if run.finished:
        return []
    try:
        plan, episodes = run.load_plan(), read_episodes(run.episode_log)
    except AnachronError:
        return []
    struck = [e for e in episodes if e.kind == "command" and e.applied_ns is not None and e.healed_ns is None]
    return [
        f"the command on {', '.join(e.targets)} was applied and not healed; run: {plan.faults[e.fault].options['heal']}"
        for e in struck
    ]


def _half_written(run: Path) -> list[Path]:
    parts = sorted(path for pattern in _PARTS for path in run.glob(pattern))
    return [path for path in parts if time.time() - path.stat().st_mtime > _STALE_S]
