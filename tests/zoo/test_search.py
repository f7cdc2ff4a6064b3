"""Random schedules and runs: correct designs bear them, and of a bug's failure the smallest example is left."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.reference.zoo import all_bugs, designs
from harness.simulation.fleet import PACE
from harness.simulation.script import parse_script
from harness.zoo.search import (
    Case,
    cases,
    gates,
    healed,
    play_script,
    promised,
    run_case,
    scripts,
    smallest_case,
    smallest_script,
    vocabulary,
)

BEARING = ("broadcast-alo", "broadcast-update", "lease", "replicated", "ttl-check", "two-tier", "versioned-keys")


@pytest.mark.parametrize("name", BEARING)
@settings(max_examples=60, derandomize=True)
@given(data=st.data())
def test_a_correct_design_bears_any_schedule(name: str, data: st.DataObject) -> None:
    """Whatever is held, lost, doubled, cut, paused and killed: no order is broken, nothing is lost, and the fleet converges."""
    design = designs()[name]
    lines = data.draw(scripts(design))
    assert play_script(design, promised(design), lines).broken == frozenset()


@pytest.mark.parametrize("name", ["broadcast-alo", "lease", "ttl"])
@settings(max_examples=20, derandomize=True)
@given(data=st.data())
def test_a_correct_design_keeps_its_promise_in_any_run(name: str, data: st.DataObject) -> None:
    """Whatever the seed, the size of the fleet, the workloads and the fault, its bounds on staleness included."""
    design = designs()[name]
    case = data.draw(cases(design))
    assert run_case(design, design.promise(design.settings, PACE.most_ns), case).broken == frozenset()


@pytest.mark.parametrize(
    ("bug", "about", "steps"),
    [
        (
            "blind-refill",
            "fill.before-put",
            ["hold fill.before-put at node-1", "B reads x at node-1", "A writes x at node-1"],
        ),
        (
            "no-version",
            "Update",
            [
                "A reads x at node-1",
                "hold 1 Update from bus to node-1",
                "A writes x at node-1",
                "A writes x at node-1",
            ],
        ),
        ("ptr-cached", "", ["A reads x at node-1", "A writes x at node-1", "A reads x at node-1"]),
        ("no-local", "", ["A reads x at node-1", "A reads x at node-1", "A writes x at node-1"]),
    ],
)
def test_of_a_bug_the_smallest_schedule_is_left(bug: str, about: str, steps: list[str]) -> None:
    """A search that knows nothing of the bug ends with exactly these steps; the correct design bears them."""
    found = all_bugs()[bug]
    contract = promised(found.correct)
    assert smallest_script(found.broken, contract, nodes=2, about=about) == steps
    assert play_script(found.correct, contract, steps, nodes=2).broken == frozenset()


def test_of_a_bug_the_smallest_run_is_left() -> None:
    """One node, one key and one session, no fault, a tenth of a second."""
    bug = all_bugs()["ptr-cached"]
    contract = bug.correct.promise(bug.correct.settings, PACE.most_ns)
    workload = {"kind": "register", "keys": 1, "sessions": 1, "rate": 100.0}
    assert smallest_case(bug.broken, contract, examples=10) == Case(0, 1, (workload,), (), 100)


def test_where_there_is_no_failure_none_is_found() -> None:
    """A design that caches nothing bears what is tried."""
    design = designs()["no-cache"]
    assert smallest_script(design, promised(design), nodes=2, examples=10) is None


def test_what_a_schedule_leaves_broken_is_healed() -> None:
    """Shut gates open, what was held is delivered, cuts are mended, and who was stopped goes on: then the fleet can converge."""
    lines = [
        "hold fill.before-put at node-1",
        "lose 1 Invalidate from bus to node-2",
        "cut node-1 from bus",
        "pause bus",
        "kill node-2",
    ]
    undone = [step.text for step in healed(lines) if not step.text.startswith("wait")][len(lines) :]
    assert undone == [
        "release fill.before-put at node-1",
        "deliver from bus to node-2",
        "mend node-1 and bus",
        "resume bus",
        "restart node-2",
    ]


@pytest.mark.parametrize("name", sorted(designs()))
def test_every_step_that_can_be_drawn_is_one(name: str) -> None:
    """For each design the vocabulary can be read as a schedule, and knows the gates of its places."""
    design = designs()[name]
    lines = [line for group in vocabulary(design) for line in group]
    assert len(parse_script("\n".join(lines))) == len(lines)
    assert all(f"hold {gate} at node-1" in lines for gate in gates(design, "node-1"))
