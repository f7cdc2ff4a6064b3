"""Correct designs keep their promise under faults: a fixed sample here, all of them in `anachron zoo`."""

from __future__ import annotations

import pytest

from harness.reference.zoo import designs
from harness.zoo.jobs import Endured, do
from harness.zoo.scenarios import scenarios

_EVERY = 6


SAMPLE = [
    (name, scenario)
    for number, (name, design) in enumerate(sorted(designs().items()))
    for scenario in list(scenarios(design))[number % _EVERY :: _EVERY]
]
"""Every so many-th scenario of each design, another one first for each."""


@pytest.mark.parametrize(("name", "scenario"), SAMPLE)
def test_a_correct_design_keeps_its_promise(name, scenario):
    """No finding breaks the contract that theory gives."""
    answer = do(Endured(name, scenario, seed=0))
    assert (answer.error, answer.broken) == ("", frozenset()), answer.claim


def test_every_design_has_scenarios_for_each_of_its_places():
    """What a design has, faults strike: nodes, clients' links, origin, and where there are any, bus and store."""
    for design in designs().values():
        names = scenarios(design)
        assert "no fault" in names
        assert ("node-origin cut" in names) == (design.origin is not None)
        assert ("node-bus cut" in names) == (design.bus is not None)
        assert ("node-store cut" in names) == (design.store is not None)
        assert ("node-node cut" in names) == design.talks
