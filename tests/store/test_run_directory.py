"""Run directories: made apart from each other, filled whole or not at all, read again after anything."""

from __future__ import annotations

import json
import resource
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from harness.errors import HistoryError, PlanError, StorageError
from harness.history import COLUMNS, NEVER, NO_WORKER, Episode, Epoch, History, Stall
from harness.plan import Plan, parse_plan
from harness.store import (
    EpisodeLog,
    EpochLog,
    RunDirectory,
    Sample,
    StallLog,
    list_runs,
    read_episodes,
    read_history,
    read_samples,
    read_stalls,
    write_history,
)

TEXT = """# about this plan
seed = 7  # any number
name = "my plan / 2"

[candidate]
kind = "redis-single"

[[workloads]]
kind = "register"
seed = 3
"""

EPISODE = Episode(
    fault=0,
    kind="partition",
    targets=("a->b",),
    nodes=("a", "b"),
    intended_ns=5,
    intended_end_ns=9,
    applied_ns=6,
    evidence=("a canary did not arrive",),
    means="proxy",
)


def some_history(rows: int = 100) -> History:
    rng = np.random.default_rng(1)
    columns = {name: rng.integers(-1, 1, rows).astype(dtype) for name, dtype in COLUMNS.items()}
    columns["op"] = np.arange(rows)
    columns["call_ns"] = np.sort(rng.integers(0, 10**9, rows))
    columns["return_ns"] = np.where(rng.random(rows) < 0.1, NEVER, columns["call_ns"] + 5)
    return History(
        columns=columns,
        keys=("x", "ключ"),
        nodes=("a",),
        ordered=np.array([True, False]),
        workloads=("register",),
        errors=("timed out",),
        episodes=(EPISODE,),
        epochs=(Epoch(0, "a", 3, "run 1"),),
        stalls=(Stall(4, 5, 0),),
        end_ns=10**9,
        settled_ns=None,
        complete=False,
        routed=True,
    )


def assert_same(left: History, right: History) -> None:
    for name in COLUMNS:
        np.testing.assert_array_equal(left.columns[name], right.columns[name])
        assert left.columns[name].dtype == right.columns[name].dtype == COLUMNS[name]
    np.testing.assert_array_equal(left.ordered, right.ordered)
    for name in (
        "keys",
        "nodes",
        "workloads",
        "errors",
        "episodes",
        "epochs",
        "stalls",
        "end_ns",
        "settled_ns",
        "complete",
        "routed",
    ):
        assert getattr(left, name) == getattr(right, name), name


def plan_of(text: str = TEXT, seed: int | None = None) -> Plan:
    plan = parse_plan(text)
    return plan if seed is None else plan.model_copy(update={"seed": seed})


@pytest.mark.parametrize("rows", [0, 1, 100])
def test_a_history_comes_back_as_it_was_saved(tmp_path: Path, rows: int) -> None:
    """Columns, their types, dictionaries, episodes, epochs, stalls and marks survive the file."""
    write_history(some_history(rows), tmp_path / "h.parquet")
    assert_same(read_history(tmp_path / "h.parquet"), some_history(rows))


def test_a_truncated_history_is_refused_at_every_length(tmp_path: Path) -> None:
    """However a file was cut off, it is refused with its name, and never read as a shorter history."""
    file = tmp_path / "h.parquet"
    write_history(some_history(), file)
    content = file.read_bytes()
    for length in range(0, len(content), 97):
        file.write_bytes(content[:length])
        with pytest.raises(HistoryError, match=r"h\.parquet"):
            read_history(file)


def test_a_newer_schema_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file from a later version says so, it is not guessed at."""
    monkeypatch.setattr("harness.store.parquet.SCHEMA_VERSION", 99)
    write_history(some_history(), tmp_path / "h.parquet")
    monkeypatch.undo()
    with pytest.raises(HistoryError, match="schema version 99"):
        read_history(tmp_path / "h.parquet")


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("node", 1, 'column "node" points outside'),
        ("call_ns", [9, 8], "order of their calls"),
        ("seen_key", 7, '"seen_key" points'),
    ],
)
def test_a_history_that_checkers_cannot_rely_on_is_refused(tmp_path: Path, column: str, values: object, message: str) -> None:
    """Rows out of order and indexes that point nowhere are found when the file is read."""
    history = some_history(2)
    history.columns[column][:] = values
    write_history(history, tmp_path / "h.parquet")
    with pytest.raises(HistoryError, match=message):
        read_history(tmp_path / "h.parquet")


def test_a_run_directory_repeats_its_plan_with_the_seed_that_was_used(tmp_path: Path) -> None:
    """The plan comes back equal, the text keeps its comments, and only the plan's own seed is changed."""
    plan = plan_of(seed=99)
    run = RunDirectory.create(tmp_path / "runs", plan, TEXT)
    assert run.load_plan().hash == plan.hash
    assert "# about this plan" in run.plan_file.read_text()
    assert "seed = 3" in run.plan_file.read_text()
    assert run.path.name.endswith("-my-plan-2-99")
    assert list_runs(tmp_path / "runs")[0].path == run.path


def test_a_plan_without_a_seed_gets_one(tmp_path: Path) -> None:
    """A seed that was not in the file stands in the frozen plan."""
    text = TEXT.replace("seed = 7  # any number\n", "")
    run = RunDirectory.create(tmp_path, plan_of(text, seed=5), text)
    assert run.load_plan().seed == 5


def test_a_text_that_is_another_plan_is_refused(tmp_path: Path) -> None:
    """A run that could not be repeated from its directory does not begin."""
    with pytest.raises(PlanError, match="not the plan"):
        RunDirectory.create(tmp_path, plan_of(TEXT.replace("redis-single", "redis-replication")), TEXT)
    assert list_runs(tmp_path) == ()


def create_one(root: str) -> str:
    return str(RunDirectory.create(Path(root), plan_of(), TEXT).path)


def test_parallel_runs_get_directories_of_their_own(tmp_path: Path) -> None:
    """Eight runs of one plan that begin together share nothing."""
    with get_context("spawn").Pool(2) as pool:
        paths = pool.map(create_one, [str(tmp_path / "runs")] * 8)
    assert len(set(paths)) == 8
    assert {str(run.path) for run in list_runs(tmp_path / "runs")} == set(paths)


def test_a_directory_that_is_no_run_says_so(tmp_path: Path) -> None:
    """Neither a missing directory nor any other one passes for a run."""
    with pytest.raises(HistoryError, match="no run"):
        RunDirectory.open(tmp_path)
    with pytest.raises(HistoryError, match="no such run"):
        RunDirectory.open(tmp_path / "nothing")
    assert list_runs(tmp_path / "nothing") == ()


def test_a_full_disk_leaves_what_was_there_and_says_how_much_is_needed(tmp_path: Path) -> None:
    """When there is no room for a history, the old file stays whole, no half file is left, and the message names sizes."""
    run = RunDirectory.create(tmp_path, plan_of(), TEXT)
    run.save_history(some_history(10))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(StorageError, match=r"no room for history.parquet(.|\n)*needs about 9\.\d MB"):
            run.save_history(some_history(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_same(run.load_history(), some_history(10))
    assert not list(run.path.glob(".*"))


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """A run cannot be put where a file stands."""
    (tmp_path / "runs").write_text("")
    with pytest.raises(StorageError, match="runs"):
        RunDirectory.create(tmp_path / "runs", plan_of(), TEXT)


def test_the_environment_comes_back(tmp_path: Path) -> None:
    """Facts about the run are kept as they were put down, the earlier ones beside the later ones."""
    run = RunDirectory.create(tmp_path, plan_of(), TEXT)
    assert run.load_environment() == {}
    run.add_environment({"candidate": "Valkey", "means": "proxy"})
    run.add_environment({"candidate": "Valkey 8.1"})
    assert run.load_environment() == {"candidate": "Valkey 8.1", "means": "proxy"}


def test_the_last_word_on_each_episode_counts(tmp_path: Path) -> None:
    """An episode is written down as it goes on; the latest line about it is what is known of it."""
    other = replace(EPISODE, intended_ns=2)
    with EpisodeLog(tmp_path / "e") as log:
        for episode in (EPISODE, other, replace(EPISODE, proven_ns=7), replace(EPISODE, proven_ns=7, healed_ns=9)):
            log.append(episode)
    assert read_episodes(tmp_path / "e") == (other, replace(EPISODE, proven_ns=7, healed_ns=9))


def test_logs_of_a_killed_run_lose_at_most_their_last_line(tmp_path: Path) -> None:
    """Cut off at any byte, a log gives all the lines that were whole."""
    samples = (
        Sample("a", 1, 1, "one"),
        Sample("b", 1, 1, "β"),
        Sample("a", 2, 2, "one"),
        Sample("a", 3, 3, "two"),
        Sample("b", 4, 4, "β"),
    )
    with EpochLog(tmp_path / "e") as log:
        for sample in samples:
            log.append(*sample)
    content = (tmp_path / "e").read_bytes()
    for length in range(len(content) + 1):
        (tmp_path / "e").write_bytes(content[:length])
        assert read_samples(tmp_path / "e") == samples[: content[:length].count(b"\n")]


@pytest.mark.parametrize("line", ["{}", "[1]", "nonsense", "null", '["a", 1, 1]', '["z", "b", "c", "d"]'])
def test_a_damaged_log_names_the_line(tmp_path: Path, line: str) -> None:
    """What is no sample and no episode is not passed over."""
    good = json.dumps(["a", 1, 1, "one"])
    unknown = line.replace('"a"', '"z"')
    (tmp_path / "e").write_text(f"{good}\n{unknown}\n")
    with pytest.raises(HistoryError, match=":2: "):
        read_samples(tmp_path / "e")
    (tmp_path / "e").write_text(line + "\n")
    with pytest.raises(HistoryError, match=":1: "):
        read_episodes(tmp_path / "e")


def test_a_full_disk_leaves_no_half_line_in_a_log(tmp_path: Path) -> None:
    """A line of which only a part found room is taken back, so that the next one that does is not taken for its end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with EpochLog(tmp_path / "e") as log:
        log.append("a", 1, 1, "one")
        resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "e").stat().st_size + 5, hard))
        try:
            for time_ns in (2, 3):
                with pytest.raises(StorageError, match="no room for e"):
                    log.append("b", time_ns, time_ns, "two")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        log.append("a", 4, 4, "one")
    assert read_samples(tmp_path / "e") == (Sample("a", 1, 1, "one"), Sample("a", 4, 4, "one"))


def test_stalls_of_the_runtime_come_back(tmp_path: Path) -> None:
    """Windows in which the proxies stood still are kept as they were written down; anything else in their log is named."""
    stalls = (Stall(1, 2, NO_WORKER), Stall(5, 9, NO_WORKER))
    with StallLog(tmp_path / "s") as log:
        for stall in stalls:
            log.append(stall)
    assert read_stalls(tmp_path / "s") == stalls
    (tmp_path / "s").write_text("[1, 2]\n")
    with pytest.raises(HistoryError, match="s:1: this line is no stall"):
        read_stalls(tmp_path / "s")


def test_no_log_is_no_episode(tmp_path: Path) -> None:
    """A run without faults leaves no log, and that is no error."""
    assert read_episodes(tmp_path / "none") == ()
    assert read_samples(tmp_path / "none") == ()
