"""A run that was killed: its history comes from journals and logs, with epochs and episodes, and is not complete."""

from __future__ import annotations

import os
import signal
import time
from multiprocessing import get_context
from pathlib import Path

import pytest

from checkers import check
from harness.contract import judge
from harness.errors import HistoryError
from harness.history import Episode, Function, Seen, Status
from harness.imports import read_history
from harness.journal import Journal
from harness.plan import parse_plan
from harness.results import Outcome
from harness.store import EpisodeLog, EpochLog, RunDirectory

TEXT = """
[candidate]
kind = "redis-single"
[[workloads]]
kind = "register"
[adequacy]
operations = 1
success_rate = 0.0
coverage = 0.0
"""

EPISODE = Episode(0, "pause", ("a",), ("a",), 100, 200, applied_ns=110)


def record(path: str) -> None:
    """A run that writes down what happens and never ends by itself: two writes, a step backwards, an unanswered read."""
    run = RunDirectory(Path(path))
    journal = Journal(run.journals, 0, 1, ("a", "b"), ("register",))
    journal.note(key="x", ordered=True)
    epochs, episodes = EpochLog(run.epoch_log), EpisodeLog(run.episode_log)
    for moment in range(0, 1000, 50):
        epochs.append("b", moment, moment, "one")
    for version, call in ((1, 0), (2, 20)):
        op = journal.begin(call, call, version, -1, 0, 0, 0, 0, 0, Function.WRITE)
        journal.end(op, call + 10, Status.OK)
    for version, call in ((2, 40), (1, 60)):
        op = journal.begin(call, call, -1, -1, 1, 1, 0, 1, 0, Function.READ)
        journal.end(op, call + 10, Status.OK, Seen.HIT, 0, version, version - 1)
    journal.begin(80, 80, -1, -1, 1, 1, 0, 1, 0, Function.READ)
    episodes.append(EPISODE)
    (run.path / "recorded").touch()
    time.sleep(60)


@pytest.fixture
def killed(tmp_path: Path) -> RunDirectory:
    """A run directory whose process was killed with SIGKILL."""
    run = RunDirectory.create(tmp_path, parse_plan(TEXT), TEXT)
    process = get_context("spawn").Process(target=record, args=(str(run.path),))
    process.start()
    try:
        deadline = time.monotonic() + 60
        while not (run.path / "recorded").exists() and process.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
    return run


def test_a_killed_run_can_be_judged(killed: RunDirectory) -> None:
    """Every operation, the epochs and the episode are there; a violation is proven, and what is missing is named."""
    history = read_history(killed.path)
    assert not killed.finished
    assert (history.complete, history.settled_ns, history.episodes) == (False, None, (EPISODE,))
    assert history.status.tolist() == [Status.OK] * 4 + [Status.INFO]
    assert history.epoch.tolist() == [-1, -1, 0, 0, -1]
    plan = killed.load_plan()
    verdict = judge(plan, history, check(history, plan.contract))
    assert verdict.outcome is Outcome.VIOLATED
    assert [clause.name for clause in verdict.clauses if clause.outcome is Outcome.VIOLATED] == ["node_monotonic"]
    assert [item.name for item in verdict.adequacy if not item.enough] == ["complete"]


def test_a_saved_history_is_read_in_place_of_the_journals(killed: RunDirectory) -> None:
    """Once saved, the history does not need its journals any more."""
    history = killed.load_history()
    killed.save_history(history)
    for file in killed.journals.iterdir():
        file.unlink()
    assert killed.finished
    assert killed.load_history().epoch.tolist() == history.epoch.tolist()


def test_a_run_that_recorded_nothing_says_so(tmp_path: Path) -> None:
    """Killed before its first operation, a run has no history."""
    run = RunDirectory.create(tmp_path, parse_plan(TEXT), TEXT)
    with pytest.raises(HistoryError, match="recorded nothing"):
        run.load_history()
