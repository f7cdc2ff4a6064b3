"""Schedules as diagrams."""

from __future__ import annotations

import pytest

from harness.reference.zoo import all_bugs
from harness.zoo.diagram import diagram
from harness.zoo.worked import worked

_RACE = """
    A writes x at node-1
    hold fill.before-put at node-2
    B reads x at node-2              # has read version 1
    wait 20ms
    release fill.before-put at node-2
    B is answered
"""


def lines(schedule, outcomes=None):
    """The lines of a diagram, without what stands below the names."""
    return diagram(schedule, outcomes).splitlines()


def test_a_race_is_drawn_as_lanes_with_the_steps_beside_them():
    """Operations are arrows to their node and back, a gate is shut until it is opened, comments stand below their step."""
    assert lines(_RACE, {0: "version 1", 5: "version 1"}) == [
        "    A   B   node-1 node-2",
        " 1  ├──────────▶      │    A writes x at node-1: version 1",
        " 2  │   │      │      ■    hold fill.before-put at node-2",
        " 3  │   ├─────────────▶    B reads x at node-2",
        "    │   │      │      ┃    (has read version 1)",
        " 4  ⋮   ⋮      ⋮      ⋮    wait 20ms",
        " 5  │   │      │      □    release fill.before-put at node-2",
        " 6  │   ◀─────────────┤    B is answered: version 1",
    ]


def test_a_request_of_several_keys_tells_what_came_of_each():
    """In the order of the step."""
    drawn = worked(all_bugs()["fractured"]).diagram
    assert "A writes x and y at node-1: version 2 and version 2" in drawn
    assert "B reads x and y at node-2: version 2 and version 1" in drawn


def test_messages_cuts_and_processes_have_signs_of_their_own():
    """Lost and held messages end before their target, a cut has a cross, and a dead process has no lane."""
    drawn = lines(
        """
        lose 1 Invalidate from bus to node-1
        hold 1 Invalidate from bus to node-1
        double 1 Invalidate from bus to node-1
        deliver from bus to node-1
        cut node-1 from bus
        mend node-1 and bus
        kill node-1
        wait 1s
        restart node-1
        pause node-1
        clock of node-1 jumps by -2s
        """
    )
    assert [line[7:13] for line in drawn[1:]] == [
        "\u2573────┤",
        "▌────┤",
        "◀════┤",
        "◀────┤",
        "├─\u2573──┤",
        "├────┤",
        "●    │",
        "     ⋮",
        "●    │",
        "●    │",
        "◷    │",
    ]


@pytest.mark.parametrize("name", all_bugs())
def test_every_bug_has_a_diagram_under_a_hundred_columns(name):
    """Each with as many numbered lines as its schedule has steps, and with what its operations came to."""
    example = worked(all_bugs()[name])
    drawn = example.diagram.splitlines()
    assert max(map(len, drawn)) < 100
    steps = sum(1 for line in all_bugs()[name].schedule.splitlines() if line.partition("#")[0].strip())
    assert sum(line[:2].strip().isdigit() for line in drawn) == steps
    assert ": version " in example.diagram
    assert example.findings
