"""Whole runs by command, against real servers: verdict, exit status, reports, and the same verdict again."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.cli.runs import gravest
from harness.runtimes.ledger import leftovers
from harness.store import RunDirectory, list_runs

pytestmark = pytest.mark.servers

STALE = """\
# A replica that is cut off and a promise that it is never stale: violated, on a busy machine, too.
[candidate]
kind = "redis-replication"
replicas = 1
[contract]
sessions = { monotonic_reads = "any-node" }
staleness = { steady = "0ms" }
converges_within = "100ms"
[[workloads]]
kind = "register"
keys = 5
sessions = 4
reads = 0.5
rate = 1000
[[faults]]
kind = "partition"
between = ["primary", "replicas"]
every = "5s"
lasts = "700ms"
after = "300ms"
[run]
duration = "1500ms"
"""

HONEST = """\
# One server and no fault, but more evidence asked for than a run can give: inconclusive.
[candidate]
kind = "redis-single"
[contract]
converges_within = "100ms"
[[workloads]]
kind = "register"
keys = 5
sessions = 4
rate = 1000
[adequacy]
operations = 1_000_000
[run]
duration = "500ms"
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A run that is violated and then one that is inconclusive, and how their command ended."""
    home = tmp_path_factory.mktemp("home")
    (home / "stale.toml").write_text(STALE)
    (home / "honest.toml").write_text(HONEST)
    for name in ("harness", "reports", "workloads"):  # as the user's own repository may have
        (home / name).mkdir()
        (home / name / "__init__.py").write_text("raise ImportError('not this one')")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "harness.cli", "run", "stale.toml", "honest.toml", "--seed", "11"],
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return home, done


def test_run_shows_the_verdict_and_the_path_of_the_report(finished):
    """Exit status, verdict and path agree with what was written."""
    home, done = finished
    assert done.returncode == 1, done.stdout + done.stderr
    assert "violated" in done.stdout.splitlines()[0]
    report = home / done.stdout.splitlines()[-2].split()[-1]
    assert report.name == "report.html"
    assert report.is_file()
    results = json.loads((report.parent / "results.json").read_text())
    assert results["verdict"]["answer"] == "violated"
    assert results["findings"][0]["name"] in ("stale-read", "monotonic-reads")
    assert results["findings"][0]["name"] in done.stdout
    assert results["plan"]["seed"] == 11
    assert "Traceback" not in done.stderr
    assert "driving" in done.stderr


def test_check_repeats_the_verdict_and_writes_the_reports_again(finished, shell, tmp_path):
    """`check RUN` gives the run's verdict and status, and puts a lost report back."""
    run = _copy(finished, tmp_path)
    (run / "report.html").unlink()
    answer = shell("check", run)
    assert answer.status == 1
    assert "violated" in answer.out.splitlines()[0]
    assert (run / "report.html").is_file()


def test_check_with_another_plan_leaves_the_runs_own_results_alone(finished, shell, tmp_path):
    """Another contract is judged by itself; the run's results still tell of its own."""
    run = _copy(finished, tmp_path)
    before = (run / "results.json").read_bytes()
    (tmp_path / "honest.toml").write_text(HONEST)
    answer = shell("check", run, "--plan", "honest.toml", "--report", "other.html")
    assert answer.status == 2
    assert "1,000,000" in answer.out
    assert (tmp_path / "other.html").is_file()
    assert (run / "results.json").read_bytes() == before


def test_report_writes_all_of_them_again(finished, shell, tmp_path):
    """`report RUN` names the files that it wrote."""
    run = _copy(finished, tmp_path)
    for name in ("report.html", "results.json", "junit.xml", "summary.md"):
        (run / name).unlink()
    answer = shell("report", run)
    assert answer.status == 0
    assert all(Path(line).is_file() for line in answer.out.splitlines())
    assert len(answer.out.splitlines()) == 4


def test_replay_runs_the_same_plan_and_says_how_often_it_ended_so(finished, shell, tmp_path):
    """Two replays: two new runs of the same plan hash, and a rate with an interval."""
    run = _copy(finished, tmp_path)
    answer = shell("replay", run, "--times", "2", "--quiet")
    assert answer.status == 1, answer
    assert re.search(r"\* verdict violated +2/2 +100% +\[34%, 100%\]", answer.out)
    assert answer.err == ""
    plans = {RunDirectory.open(each.path).load_plan().hash for each in list_runs(run.parent)}
    assert len(list_runs(run.parent)) == 3
    assert len(plans) == 1


def test_folders_of_our_names_where_the_user_stands_are_not_taken_for_ours(finished):
    """Drivers and proxies find the right `harness`, whatever the user's repository calls its own packages."""
    home, done = finished
    assert (home / "harness" / "__init__.py").is_file()
    assert "not this one" not in done.stderr
    assert len(list_runs(home / "runs")) == 2


def test_two_plans_end_with_the_gravest(finished):
    """A violation before an inconclusive run is not hidden by it, and both are listed."""
    done = finished[1]
    assert done.returncode == 1
    tail = done.stdout.splitlines()[-2:]
    assert tail[0].split()[:2] == ["violated", "stale.toml"]
    assert tail[1].split()[:2] == ["inconclusive", "honest.toml"]


def test_ctrl_c_stops_everything_and_judges_what_there_is(tmp_path):
    """An interrupted run is saved, judged inconclusive, and leaves no process."""
    (tmp_path / "long.toml").write_text(HONEST.replace('"500ms"', '"60s"'))
    with _start(tmp_path) as process:
        run = _driving(tmp_path, process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 2, out + err
    assert "inconclusive" in out
    assert (tmp_path / out.splitlines()[-1]).samefile(run / "report.html")
    assert leftovers(run) == []
    assert "Traceback" not in err


def test_a_run_that_was_killed_can_be_checked_and_cleaned(shell, tmp_path):
    """After kill -9 `check` judges what was journalled, and `clean` finds nothing that still runs."""
    (tmp_path / "long.toml").write_text(HONEST.replace('"500ms"', '"60s"'))
    with _start(tmp_path) as process:
        run = _driving(tmp_path, process)
        time.sleep(0.5)
        process.kill()
        process.wait()
    answer = shell("check", run)
    assert answer.status == 2, answer
    assert "cut off" in answer.out
    assert "redis-single: Valkey 8." in answer.out
    assert shell("clean").status == 0
    assert leftovers(run) == []


def test_the_gravest_status_hides_no_violation():
    """1 before 255 before 254 before 2 before 0."""
    assert gravest([0, 2, 254, 255, 1]) == 1
    assert gravest([0, 2, 254, 255]) == 255
    assert gravest([0, 2]) == 2
    assert gravest([0, 0]) == 0


def _copy(finished: tuple[Path, subprocess.CompletedProcess[str]], to: Path) -> Path:
    """A copy of the finished run's directory, under runs/."""
    original = list_runs(finished[0] / "runs")[0].path
    return Path(shutil.copytree(original, to / "runs" / original.name))


def _start(home: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "harness.cli", "run", "long.toml"]
    return subprocess.Popen(
        command, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )


def _driving(home: Path, process: subprocess.Popen[str]) -> Path:
    """Wait until sessions drive; the run's directory."""
    assert process.stderr is not None
    for line in process.stderr:
        if " of 60.0s: " in line:
            break
    return list_runs(home / "runs")[0].path
