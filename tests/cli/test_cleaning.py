"""``anachron clean``: what killed runs left, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.plan import parse_plan
from harness.runtimes.ledger import Ledger
from harness.runtimes.procfs import Identity, identify
from harness.shipped import find_plan
from harness.store import EpisodeLog, RunDirectory
from tests.checkers.histories import episode

_GONE = Identity(pid=1, started=1, boot="another boot")
"""A harness that was killed."""


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for a server."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory under runs/."""
    return RunDirectory.create(tmp_path / "runs", *find_plan("too-short")).path


def test_a_server_of_a_killed_run_is_stopped_and_told(anachron, run, sleeper):
    """The process whose harness is gone is stopped, by its id and start time."""
    _record(run, harness=_GONE, primary=_who(sleeper))
    assert f"process {sleeper.pid}" in anachron("doctor").out
    answer = anachron("clean")
    assert answer.status == 0
    assert f"stopped primary (process {sleeper.pid})" in answer.out
    assert sleeper.wait(10) == -9
    assert "nothing was left" in anachron("clean").out


def test_a_live_run_is_left_alone(anachron, run, sleeper):
    """While its harness lives (this process, here), nothing of a run is touched."""
    ledger = Ledger(run)
    ledger.add("primary", sleeper.pid)  # as the runtime does
    part = _old(run / ".history.parquet.1.part")
    answer = anachron("clean")
    assert answer.status == 0
    assert "goes on" in answer.out
    assert sleeper.poll() is None
    assert part.exists()
    ledger.close()


def test_a_process_that_only_has_the_number_now_is_left_alone(anachron, run, sleeper):
    """A recorded number with another start time is somebody else."""
    _record(run, harness=_GONE, primary=_who(sleeper)._replace(started=1))
    assert "stopped" not in anachron("clean").out
    assert sleeper.poll() is None


def test_half_written_files_are_removed_and_finished_ones_kept(anachron, run):
    """Old parts go; what a run has saved stays; a part that may be in the making stays, too."""
    old = [_old(run / ".history.parquet.123.part"), _old(run / "report.html.partial")]
    young = run / ".results.json.9.part"
    young.write_text("")
    (run / "history.parquet").write_text("kept")
    answer = anachron("clean")
    assert answer.status == 0
    assert not any(path.exists() for path in old)
    assert young.exists()
    assert (run / "history.parquet").read_text() == "kept"
    assert (run / "plan.toml").exists()


def test_a_directory_that_is_not_there_is_said(anachron):
    """A mistyped directory must not look clean."""
    assert anachron("clean", "rusn").status == 254


def _old(path: Path) -> Path:
    path.write_text("half")
    os.utime(path, (time.time() - 3600, time.time() - 3600))
    return path


def _who(process: subprocess.Popen[bytes]) -> Identity:
    who = identify(process.pid)
    assert who is not None
    return who


def _record(run: Path, **processes: Identity) -> None:
    """The ledger that a killed run leaves."""
    lines = [json.dumps({"name": name, **who._asdict()}) for name, who in processes.items()]
    (run / "processes.jsonl").write_text("\n".join(lines) + "\n")


def test_a_command_that_was_applied_and_not_healed_is_told_with_the_one_that_heals(anachron, tmp_path):
    """A killed harness leaves somebody else's deployment broken: ``clean`` says how it is mended."""
    text = """
    [candidate]
    kind = "attached"
    nodes = [ { name = "primary", address = "127.0.0.1:1" } ]
    [[workloads]]
    kind = "register"
    rate = 10
    [[faults]]
    kind = "command"
    targets = "primary"
    apply = "iptables -A INPUT -j DROP"
    prove = "true"
    heal = "iptables -D INPUT -j DROP"
    every = "30s"
    lasts = "10s"
    [run]
    runtime = "attached"
    """
    run = RunDirectory.create(tmp_path / "runs", parse_plan(text), text)
    with EpisodeLog(run.episode_log) as log:
        log.append(episode("command", 10, None, "primary"))
    told = anachron("clean").out
    assert "the command on primary was applied and not healed; run: iptables -D INPUT -j DROP" in told
