"""A disk that is full when a run begins, and one that fills while it goes on: told, judged as far as it came, nothing left."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.runtimes.ledger import leftovers
from harness.store import list_runs

pytestmark = pytest.mark.servers

PLAN = """\
[candidate]
kind = "redis-single"
[contract]
converges_within = "100ms"
[[workloads]]
kind = "register"
keys = 5
sessions = 16
[run]
duration = "60s"
"""


def run_with_room(home: Path, megabytes: int) -> subprocess.CompletedProcess[str]:
    """The command on a machine where no file can be larger: writing past it fails as on a full disk."""
    (home / "plan.toml").write_text(PLAN)
    blocks = megabytes * 2048  # a shell counts in blocks of 512 bytes
    return subprocess.run(
        ["sh", "-c", f'ulimit -f {blocks}; exec "$@"', "sh", sys.executable, "-m", "harness.cli", "run", "plan.toml", "--quiet"],
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_no_room_for_a_journal_is_an_error_before_the_run(shell, tmp_path):
    """Nothing is driven, nothing is left running, and `check` says that there is nothing to judge."""
    done = run_with_room(tmp_path, 3)
    assert done.returncode == 255, done.stdout + done.stderr
    assert "the history could not be journalled" in done.stderr
    assert "free some space" in done.stderr
    assert "Traceback" not in done.stderr
    (run,) = list_runs(tmp_path / "runs")
    assert leftovers(run.path) == []
    assert shell("check", run.path).status == 2


def test_a_disk_that_fills_ends_the_run_and_what_was_recorded_is_judged(shell, tmp_path):
    """The run stops at once, its report says why, and `check` repeats it."""
    done = run_with_room(tmp_path, 10)
    assert done.returncode == 255, done.stdout + done.stderr
    assert "the history could not be" in done.stdout
    assert "Traceback" not in done.stderr
    (run,) = list_runs(tmp_path / "runs")
    assert len(run.load_history()) > 10_000
    assert (run.path / "report.html").is_file()
    assert leftovers(run.path) == []
    again = shell("check", run.path)
    assert again.status == 255
    assert "the history could not be" in again.out
