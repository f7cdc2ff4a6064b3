"""The plan that a history of unknown origin is judged by."""

from __future__ import annotations

from harness.plan import Plan, parse_plan

REGISTER_PLAN = """\
# Nothing is known of where this history comes from, so it is held to what a register promises: linearizability.
name = "history"

[candidate]
kind = "unknown"

[contract]
linearizable = true

[[workloads]]
kind = "history"

# What cannot be known of it is not demanded: which faults there were, how much should have succeeded, what could have been read.
[adequacy]
operations = 1
success_rate = 0.0
episodes = 0
coverage = 0.0

[run]
runtime = "unknown"
"""


def register_plan() -> Plan:
    """``REGISTER_PLAN`` as a plan."""
    return parse_plan(REGISTER_PLAN, "the plan for histories of unknown origin")
