"""Requests of several keys are refused, before anything starts, where clients cannot make them."""

from __future__ import annotations

from typing import Any

import pytest

from harness import conductor
from harness.errors import PlanError
from harness.plan import parse_plan

PLAN = """
[candidate]
{candidate}

[[workloads]]
kind = "multi-key"
keys = 5

[run]
runtime = "{runtime}"
"""


def prepared(candidate: str, runtime: str = "process") -> Any:
    """The experiment of a plan with the workload ``multi-key``."""
    text = PLAN.format(candidate=candidate, runtime=runtime)
    return conductor.prepare(parse_plan(text, "several.toml"))


@pytest.mark.parametrize(
    ("candidate", "why", "fix"),
    [
        ("memcached-pool", "look for the node of each key", "redis-replication"),
        ("redis-cluster", "look for the node of each key", "redis-replication"),
        ("redis-sentinel", "look for the node of each key", "redis-replication"),
        ("cache-aside", "one key at a time", "redis-replication"),
        ("client-side-cache", "one key at a time", "redis-replication"),
        ("invalidation-bus", "one key at a time", "redis-replication"),
        ("http-caches", "the protocol http", "redis-replication"),
        ('redis-single"\nttl = "5s', "MSET gives values no time to live", 'ttl = "0s"'),
    ],
)
def test_who_takes_one_key_at_a_time_is_refused(candidate: str, why: str, fix: str) -> None:
    """The message says what, where, why, and what to do instead."""
    with pytest.raises(PlanError) as refused:
        prepared(f'kind = "{candidate}"')
    error = refused.value
    assert "5 keys in one request" in error.what
    assert "several.toml" in error.where
    assert why in error.why
    assert fix in error.fix


@pytest.mark.parametrize(
    ("candidate", "runtime"),
    [
        ('kind = "redis-single"', "process"),
        ('kind = "redis-replication"', "process"),
        ('kind = "redis-replication"\nwait = 1', "process"),
        ('kind = "reference"\nstrategy = "read-atomic"', "process"),
        ('kind = "reference"\nstrategy = "read-atomic"', "simulated"),
        ('kind = "reference"\nstrategy = "ttl"', "simulated"),
    ],
)
def test_who_has_all_keys_in_one_place_takes_several(candidate: str, runtime: str) -> None:
    """One server that has them, or an application that answers for them."""
    assert prepared(candidate, runtime).plan.workloads[0].kind == "multi-key"
