"""What people give that cannot be used: one clear message on standard error, the right exit status, nothing started."""

from __future__ import annotations

import numpy as np
import pytest

from harness.history import COLUMNS, History
from harness.store import write_history

GOOD = """\
seed = 7
[candidate]
kind = "redis-single"
[contract]
node_monotonic = true
[contract.staleness]
steady = "100ms"
[[workloads]]
kind = "register"
[[faults]]
kind = "pause"
targets = ["primary"]
every = "5s"
lasts = "1s"
[run]
duration = "10s"
"""

BAD_PLANS = {
    "unknown key": (
        ('steady = "100ms"', 'stedy = "100ms"'),
        ["plan.toml:7: contract.staleness.stedy", "unknown key", '"steady"'],
    ),
    "unknown table": (("[run]", "[runn]"), ["plan.toml:15: runn", '"run"']),
    "wrong type": (("seed = 7", 'seed = "lucky"'), ["plan.toml:1: seed", "lucky", "integer"]),
    "duration without unit": (('"10s"', "10"), ["plan.toml:16: run.duration", "no unit", '"10s"']),
    "unknown unit": (('"10s"', '"10 fortnights"'), ["plan.toml:16: run.duration", "fortnights"]),
    "impossible schedule": (('lasts = "1s"', 'lasts = "5s"'), ["plan.toml:10: faults[0]", "overlap"]),
    "unknown target": (('["primary"]', '["primry"]'), ["plan.toml:", "primry", "primary"]),
    "unknown option": (("targets =", "target ="), ["plan.toml:", "target", '"targets"']),
    "unknown fault": (('kind = "pause"', 'kind = "pose"'), ['there is no fault "pose"', '"pause"']),
    "unknown workload": (('kind = "register"', 'kind = "registr"'), ['there is no workload "registr"', '"register"']),
    "unknown candidate": (
        ('kind = "redis-single"', 'kind = "redis-sngle"'),
        ['there is no candidate "redis-sngle"', '"redis-single"'],
    ),
    "unknown runtime": (("[run]", '[run]\nruntime = "proces"'), ['there is no runtime "proces"', '"process"']),
    "contradiction": (("node_monotonic = true", "linearizable = true"), ["plan.toml:4: contract", "contradicts itself"]),
    "no toml": (("[candidate]", "[candidate"), ["plan.toml", "not TOML"]),
    "impossible fault": (
        ('kind = "pause"\ntargets = ["primary"]', 'kind = "partition"\nbetween = ["client", "primary"]'),
        ["plan.toml:10: faults[0]", "client", "client_proxies = true"],
    ),
}


@pytest.mark.parametrize("case", BAD_PLANS)
def test_a_plan_that_cannot_be_used_is_refused_before_anything_starts(anachron, tmp_path, case):
    """The message names file, line and key, and what to do; no run directory is made."""
    (old, new), said = BAD_PLANS[case]
    assert old in GOOD
    (tmp_path / "plan.toml").write_text(GOOD.replace(old, new))
    answer = anachron("run", "plan.toml")
    assert answer.status == 254
    assert answer.err.startswith("anachron: ")
    for words in said:
        assert words in answer.err
    assert answer.out == ""
    assert not (tmp_path / "runs").exists()


def test_the_real_command_says_the_same(shell, tmp_path):
    """In a process of its own, too, a bad plan is one message and 254."""
    (tmp_path / "plan.toml").write_text(GOOD.replace("steady", "stedy"))
    answer = shell("run", "plan.toml")
    assert (answer.status, answer.out) == (254, "")
    assert answer.err == ('anachron: plan.toml:7: contract.staleness.stedy: unknown key "stedy"\n  do:  did you mean "steady"?\n')


def test_a_plan_that_is_not_there_is_met_with_the_near_one(anachron):
    """Neither a file nor a shipped plan."""
    answer = anachron("run", "replicaton")
    assert answer.status == 254
    assert '"replication"' in answer.err


@pytest.mark.parametrize("content", [bytes(range(256)), b"\x00" * 100, b""])
def test_binary_garbage_is_no_plan(anachron, tmp_path, content):
    """Bytes that are no text, or no plan, are said to be none."""
    (tmp_path / "plan.toml").write_bytes(content)
    answer = anachron("run", "plan.toml")
    assert answer.status == 254
    assert "plan.toml" in answer.err


def test_of_several_plans_none_runs_when_one_cannot(anachron, tmp_path):
    """All plans are read before the first one starts."""
    (tmp_path / "good.toml").write_text(GOOD)
    assert anachron("run", "good.toml", "nowhere.toml").status == 254
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("duration", ["5", "soon", "0s"])
def test_a_duration_on_the_command_line_needs_a_unit_and_a_length(anachron, duration):
    """The option is held to the same rule as the key, and named."""
    answer = anachron("run", "--duration", duration)
    assert answer.status == 254
    assert "--duration" in answer.err


def test_runs_that_cannot_be_written_are_said_before_a_server_starts(anachron, tmp_path):
    """A runs directory under a file is a failure of the surroundings: 255, with the path."""
    (tmp_path / "file").write_text("")
    answer = anachron("run", "too-short", "--runs-dir", "file/runs")
    assert answer.status == 255
    assert "file" in answer.err
    assert "starting" not in answer.err


ROWS = "process,key,op,value,call_ns,return_ns\n0,x,w,1,0,10\n"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("history.parquet", b"PAR1" + bytes(200), "history.parquet"),
        ("history.parquet", b"", "empty"),
        ("history.csv", bytes(range(256)), "history.csv"),
        ("history.csv", b"colour,smell\nred,rose\n", "process"),
        ("history.csv", f"{ROWS}0,x,w,2,5,20\n".encode(), "overlap"),
        ("history.csv", f"{ROWS}0,x,w,2,30,20\n".encode(), "return"),
        ("history.csv", f"{ROWS}0,x,fly,2,30,40\n".encode(), "fly"),
        ("history.jsonl", b'{"process": 0, "key": "x", "op": "w", "va', "history.jsonl"),
        ("history.edn", b'{:process 0 :type :invoke :f :write :value "', "history.edn"),
        ("history.txt", b"w 1", ".csv"),
    ],
)
def test_a_history_that_cannot_be_read_is_refused(anachron, tmp_path, name, content, said):
    """Garbage, half files and impossible histories are said to be that, with 254, and never judged."""
    (tmp_path / name).write_bytes(content)
    answer = anachron("check", name)
    assert answer.status == 254, answer
    assert said in answer.err
    assert answer.out == ""


def test_a_truncated_history_of_a_run_is_refused(anachron, tmp_path):
    """Half a Parquet file is no shorter history."""
    n = 500
    columns = {name: np.zeros(n, dtype) for name, dtype in COLUMNS.items()}
    columns |= {"op": np.arange(n), "call_ns": np.arange(n) * 10, "return_ns": np.arange(n) * 10 + 5, "due_ns": np.arange(n) * 10}
    history = History(columns=columns, keys=("x",), nodes=("n",), ordered=np.array([True]), end_ns=n * 10)
    write_history(history, tmp_path / "whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()
    (tmp_path / "half.parquet").write_bytes(whole[: len(whole) // 2])
    answer = anachron("check", "half.parquet")
    assert answer.status == 254
    assert "half.parquet" in answer.err


def test_what_is_not_there_and_what_is_no_run_cannot_be_checked(anachron, tmp_path):
    """A path that leads nowhere, and a directory without a plan."""
    (tmp_path / "empty").mkdir()
    assert anachron("check", "nowhere").status == 254
    assert anachron("check", "empty").status == 254
    assert anachron("report", "empty").status == 254
