"""The command `zoo`: what it ends with, says and writes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from harness.reference.zoo import all_bugs
from harness.zoo import jobs
from harness.zoo.crew import work
from harness.zoo.jobs import Answer, Forced, do

_ROOT = Path(__file__).parents[2]
BUG = "swr-unbounded"


@pytest.fixture(autouse=True)
def short_runs(monkeypatch):
    """Random runs of a moment: what they find is not the point here."""
    monkeypatch.setattr(jobs, "DRAWN_NS", 200_000_000)


def test_a_bug_is_run_and_its_matrix_shown_and_written(anachron, tmp_path):
    """Status 0, the bug's line, the path of the page last; page and document are there."""
    answer = anachron("zoo", "--bug", BUG, "--jobs", "1", "--quiet")
    assert answer.status == 0, answer.out
    assert "1 of 1 bug caught" in answer.out
    assert answer.out.splitlines()[-1] == "runs/zoo/report.html"
    assert answer.err == ""
    document = json.loads((tmp_path / "runs/zoo/results.json").read_text())
    assert document["holds"] is True
    assert [bug["name"] for bug in document["bugs"]] == [BUG]
    assert document["facts"]["runs"] == str(2 + (10 + 1) * len(all_bugs()[BUG].workloads))
    assert (tmp_path / "runs/zoo/report.html").read_text().startswith("<!DOCTYPE html>")
    assert f"`{BUG}`: " in (tmp_path / "runs/zoo/matrix.md").read_text()


def test_a_bug_may_be_named_with_its_strategy(anachron):
    """As a plan names it."""
    assert anachron("zoo", "--bug", all_bugs()[BUG].full_name, "--jobs", "1", "--out", "elsewhere").status == 0


def test_an_unknown_bug_is_refused_with_the_near_one(anachron):
    """A typo is met with what was meant."""
    answer = anachron("zoo", "--bug", "blind-refil")
    assert answer.status == 254
    assert 'did you mean "blind-refill"?' in answer.err


def test_a_bug_that_is_missed_ends_with_one(anachron, monkeypatch):
    """What must fire and does not is a violation of the zoo's own contract."""
    tame = replace(all_bugs()[BUG], broken=all_bugs()[BUG].correct)
    for place in ("harness.cli.zoo", "harness.zoo.jobs"):
        monkeypatch.setattr(f"{place}.all_bugs", lambda: {BUG: tame})
    answer = anachron("zoo", "--bug", BUG, "--jobs", "1", "--quiet")
    assert answer.status == 1
    assert "missed: its schedule did not bring out stale-read" in answer.out


def test_a_run_that_cannot_be_made_ends_with_255(anachron, monkeypatch):
    """A failure of the harness is neither a miss nor a pass."""
    monkeypatch.setattr("harness.zoo.crew.do", lambda job: Answer(job, error="it broke"))
    answer = anachron("zoo", "--bug", BUG, "--jobs", "1", "--quiet")
    assert answer.status == 255
    assert "it broke" in answer.out


def test_processes_answer_as_one_does():
    """Where a run is made does not change it."""
    asked = [Forced(name, correct) for name in (BUG, "blind-refill") for correct in (False, True)]
    assert set(work(asked, 2)) == set(map(do, asked))


def test_ctrl_c_ends_it_with_no_process_left(tmp_path):
    """Interrupted in the middle, the command says so and takes its processes with it."""
    running = subprocess.Popen(
        [sys.executable, "-m", "harness.cli", "zoo", "--jobs", "2"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert running.stderr is not None
    assert "runs" in running.stderr.readline()  # the first progress: processes are at work
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait(60) == 130
    assert "interrupted" in running.stderr.read()
    deadline = time.monotonic() + 30
    while (group := subprocess.run(["pgrep", "-g", str(running.pid)], capture_output=True, check=False).stdout) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.1)
    assert group == b""
    assert not (tmp_path / "runs").exists()
