"""Contracts as text."""

from __future__ import annotations

import tomllib

import pytest

from harness.contract.text import contract_text
from harness.explain import annotated_plan
from harness.plan import Contract, parse_plan
from harness.reference.zoo import designs
from harness.simulation.fleet import PACE

WAIVED = Contract.model_validate(
    {"waive": ({"finding": "lost-write", "during": "kill", "reason": "known"},), "ttl": {"max": "30s", "grace": "1500us"}}
)
PROMISES = [design.promise(design.settings, PACE.most_ns) for design in designs().values()]


@pytest.mark.parametrize("contract", [Contract(), WAIVED, parse_plan(annotated_plan()).contract, *PROMISES])
def test_a_contract_is_read_back_as_it_was(contract):
    """To the nanosecond, with tables, lists and bounds."""
    tables = tomllib.loads(contract_text(contract))
    assert parse_plan(_plan(contract_text(contract))).contract == contract
    assert set(tables) == {"contract"}


def _plan(contract):
    return f'[candidate]\nkind = "any"\n\n[[workloads]]\nkind = "register"\n\n{contract}\n'
