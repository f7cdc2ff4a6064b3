"""Convergence probes on a virtual fleet: what ``workloads.settle`` reads once nothing is written or broken any more."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from harness.simulation.clients import Client
from harness.simulation.fleet import Fleet
from workloads.base import Shard
from workloads.settle import Settle

_LOOK_NS = 10_000_000
_SLACK_NS = 2_000_000_000
"""How long the last probes may take."""


def settle(fleet: Fleet, limit_ns: int, first_session: int, workload: int) -> tuple[Sequence[Client], int]:
    """Probe until every node has the final versions, at most for ``limit_ns``; the probing sessions, and when they began."""
    begin_ns = fleet.engine.now_ns
    probes = Settle(fleet.finals(), range(len(fleet.names)), begin_ns, limit_ns)
    sessions = range(first_session, first_session + probes.sessions_wanted)
    shard = Shard("settle", sessions, 0, fleet.keyspace, count(1_000_000_000))
    clients = [Client(steps, workload, session) for steps, session in zip(probes.sessions(shard), sessions, strict=True)]
    until_ns = begin_ns + limit_ns
    fleet.clients.play(clients, begin_ns, until_ns + _SLACK_NS)
    while fleet.engine.now_ns < until_ns + _SLACK_NS and any(client.operation is not None for client in clients):
        fleet.engine.run(fleet.engine.now_ns + _LOOK_NS)
    return clients, begin_ns
