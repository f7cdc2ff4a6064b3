"""Plans reduced to the smallest that still fail."""

from __future__ import annotations

import tomllib
from typing import Any

from harness.durations import parse_duration
from harness.plan import parse_plan
from harness.shrink.plans import Tables, reduce_plan, smaller_plans
from harness.shrink.toml import toml_text

PLAN: Tables = tomllib.loads("""
seed = 41
[candidate]
kind = "reference"
strategy = "broadcast-alo"
nodes = 12
[[workloads]]
kind = "register"
keys = 30
rate = 1200.0
reads = 0.9
[[workloads]]
kind = "cold-register"
sessions = 6
[[faults]]
kind = "partition"
between = [["node"], ["bus"]]
every = "4s"
lasts = "1500ms"
[[faults]]
kind = "pause"
targets = ["node"]
every = "3s"
lasts = "500ms"
[run]
duration = "8s"
runtime = "simulated"
""")


def test_what_the_failure_does_not_need_goes() -> None:
    """A failure that needs a pause of 100 ms and two sessions keeps just these."""

    def fails(tables: Tables) -> bool:
        pauses = [fault for fault in tables.get("faults", []) if fault["kind"] == "pause"]
        return any(parse_duration(fault["lasts"]) >= 10**8 for fault in pauses) and any(
            workload.get("sessions", 10) >= 2 for workload in tables["workloads"]
        )

    left = reduce_plan(PLAN, fails)
    assert left.minimal
    assert left.tables["candidate"]["nodes"] == 3
    assert [workload["sessions"] for workload in left.tables["workloads"]] == [2]
    assert [(fault["kind"], fault["at_most"]) for fault in left.tables["faults"]] == [("pause", 1)]
    assert 100 <= parse_duration(left.tables["faults"][0]["lasts"]) // 10**6 < 112
    assert left.tables["run"]["duration"] in {"10ms", "11ms"}


def test_a_smaller_plan_may_need_another_seed() -> None:
    """A plan that fails with one seed only is kept with that seed."""

    def fails(tables: Tables) -> bool:
        return len(tables["workloads"]) == 2 if tables["seed"] != 2 else len(tables["workloads"]) == 1

    left = reduce_plan(PLAN, fails)
    assert left.tables["seed"] == 2
    assert len(left.tables["workloads"]) == 1


def test_the_bounds_are_kept() -> None:
    """After so many runs the plan is left as it is, and the outcome says so."""
    left = reduce_plan(PLAN, lambda _: True, most=5)
    assert left.runs == 5
    assert not left.minimal


def test_every_smaller_plan_differs_in_one_thing_and_is_a_plan() -> None:
    """The plan itself stays as it was, and what is tried can be read."""
    before = toml_text(PLAN)
    seen: list[Any] = list(smaller_plans(PLAN))
    assert toml_text(PLAN) == before
    assert all(parse_plan(toml_text(tables)).hash != parse_plan(before).hash for tables in seen)
    assert all(tables["workloads"] for tables in seen)
