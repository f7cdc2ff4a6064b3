"""``anachron shrink``: from a violated run to its few operations, and from a simulated one to its smallest plan."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

HEAD = "process,key,op,value,call_ns,return_ns\n"
FRESH = HEAD + "0,x,w,1,0,10\n1,x,r,1,20,30\n2,y,w,1,20,30\n0,x,w,2,40,50\n1,x,r,2,60,70\n"
STALE = FRESH + "1,x,r,1,80,90\n"
PLAN = """\
seed = 1

[candidate]
kind = "reference"
strategy = "broadcast-alo+blind-refill"
nodes = 4

[[workloads]]
kind = "register"
keys = 6
sessions = 6
rate = 600.0

[[faults]]
kind = "pause"
targets = ["node"]
every = "250ms"
lasts = "100ms"

[run]
duration = "600ms"
runtime = "simulated"
"""


def test_a_history_is_shrunk_to_what_proves_its_finding(anachron, tmp_path):
    """The few operations are drawn and written as a run that `check` judges in the same way."""
    (tmp_path / "stale.csv").write_text(STALE)
    answer = anachron("shrink", "stale.csv")
    assert answer.status == 0
    assert "3 of 6 operations; no operation can be spared" in answer.out
    assert "r#5 → version 1" in answer.out
    written = tmp_path / "stale-shrunk" / "not-linearizable"
    assert answer.out.splitlines()[-1] == "stale-shrunk/not-linearizable/report.html"
    again = anachron("check", written)
    assert again.status == 1
    found = json.loads((written / "results.json").read_text())["findings"]
    assert [finding["name"] for finding in found] == ["not-linearizable"]


def test_the_smallest_plan_of_a_simulated_run_leads_to_the_same(anachron, tmp_path):
    """The plan is much smaller, says where it comes from, and is violated by the same finding when it is run."""
    (tmp_path / "bug.toml").write_text(PLAN)
    assert anachron("run", "bug.toml", "--quiet").status == 1
    (run,) = (tmp_path / "runs").iterdir()
    answer = anachron("shrink", run, "--finding", "stuck", "--to", "small", "--quiet")
    assert answer.status == 0
    text = Path(tmp_path / "small" / "stuck.toml").read_text()
    assert text in answer.out
    assert f"From {run}" in text
    assert "[[faults]]" not in text
    assert anachron("run", "small/stuck.toml", "--quiet", "--runs-dir", "again").status == 1
    (again,) = (tmp_path / "again").iterdir()
    results = json.loads((again / "results.json").read_text())
    assert "stuck" in {finding["name"] for finding in results["findings"]}
    assert results["history"]["operations"] < 40
    assert anachron("check", "small/stuck").status == 1


@pytest.mark.parametrize(
    ("content", "arguments", "said"),
    [
        (FRESH, (), "there is nothing to shrink"),
        (STALE, ("--finding", "stuck"), 'this run has no finding "stuck"'),
        (STALE, ("--finding", "not-linearisable"), 'did you mean "not-linearizable"?'),
    ],
)
def test_what_cannot_be_shrunk_is_said(anachron, tmp_path, content, arguments, said):
    """A run without findings, or without the one that is asked for, ends with 254 and says what there is."""
    (tmp_path / "history.csv").write_text(content)
    answer = anachron("shrink", "history.csv", *arguments)
    assert answer.status == 254
    assert said in answer.err
    assert not (tmp_path / "history-shrunk").exists()


def test_a_place_that_cannot_be_written_to_is_said(anachron, tmp_path):
    """The operations are shown all the same; the status tells of the failure."""
    (tmp_path / "stale.csv").write_text(STALE)
    (tmp_path / "file").write_text("")
    answer = anachron("shrink", "stale.csv", "--to", "file")
    assert answer.status == 255
    assert "3 of 6 operations" in answer.out
