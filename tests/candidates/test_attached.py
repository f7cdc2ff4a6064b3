"""A deployment that runs already, as a candidate: real servers that the test has started, and the owner's own commands."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from harness import conductor
from harness.candidates.redis_admin import Admin
from harness.cli import dry_run
from harness.errors import PlanError, StartupError, UnsupportedError
from harness.plan import parse_plan
from harness.results import Outcome
from harness.runtimes.base import Endpoint
from tests.driver.servers import valkey
from tests.watching import Silent

PLAN = """\
seed = 3
name = "staging"

[candidate]
kind = "attached"
nodes = [ {{ name = "primary", role = "primary", address = "{address}" }} ]
load_cap = 200

[contract]
linearizable = true
lost_writes = 0

[[workloads]]
kind = "register"
keys = 10
sessions = 4
rate = 200

[adequacy]
operations = 50
success_rate = 0.5
stalled = 1.0

[run]
duration = "4s"
runtime = "attached"
"""

FAULT = """
[[faults]]
kind = "command"
targets = ["primary"]
apply = "kill -STOP {pid}"
prove = "grep -q 'State:.T' /proc/{pid}/status && echo stopped $ANACHRON_NODE at $ANACHRON_ADDRESS"
heal = "kill -CONT {pid}"
within = "400ms"
every = "10s"
after = "1s"
lasts = "1300ms"
"""


def plan_for(endpoint: Endpoint, more: str = "") -> str:
    return PLAN.format(address=f"{endpoint.host}:{endpoint.port}") + more


@pytest.mark.servers
def test_somebody_elses_server_is_tested_and_broken_by_the_owners_commands_and_keeps_its_own_keys(tmp_path: Path):
    """The run passes, its one episode is proven by the owner's command, foreign keys are as they were, and the server runs on."""
    with valkey(tmp_path) as (endpoint, process):

        async def ask(*words: str):
            admin = Admin(endpoint)
            reply = await admin.call(*words)
            admin.close()
            return reply

        asyncio.run(ask("SET", "register:0:0", "not a value of ours"))
        text = plan_for(endpoint, FAULT.format(pid=process.pid))
        finished = conductor.run(parse_plan(text), text, tmp_path / "runs", Silent())
        (episode,) = finished.report.history.episodes
        assert episode.proven
        assert any(f"stopped primary at {endpoint.host}:{endpoint.port}" in words for words in episode.evidence)
        assert finished.report.verdict.outcome is Outcome.PASS
        assert len(finished.report.history) <= 200 * 5 + 200
        assert asyncio.run(ask("GET", "register:0:0")) == "not a value of ours"
        assert asyncio.run(ask("TTL", "register:0:0")) == -1
        info = asyncio.run(ask("INFO", "keyspace"))
        assert "keys=11,expires=10" in info
        assert process.poll() is None


def test_a_dry_run_says_where_it_would_go_and_goes_nowhere():
    """The rehearsal names the address, the load and the episodes, although nobody is there."""
    text = plan_for(Endpoint("127.0.0.1", 1), FAULT.format(pid=1))
    told = dry_run.tell(conductor.prepare(parse_plan(text)))
    assert "127.0.0.1:1, runs already" in told
    assert "200 operations a second together" in told
    assert "command" in told


def test_a_dry_run_of_clients_that_find_their_way_says_so():
    """No node of a cluster is called unread because clients choose it by themselves."""
    text = 'candidate = { kind = "redis-cluster" }\nworkloads = [ { kind = "register", sessions = 2 } ]'
    told = dry_run.tell(conductor.prepare(parse_plan(text)))
    assert "clients find their way among these by themselves" in told
    assert "up to 12 connections" in told
    assert "by clients" not in told


def test_a_workload_without_a_rate_is_refused():
    """Production is not driven at full speed."""
    with pytest.raises(PlanError, match="as fast as it is answered"):
        conductor.prepare(parse_plan(plan_for(Endpoint("127.0.0.1", 1)).replace("rate = 200", "")))


def test_rates_beyond_the_cap_are_refused():
    """All rates together must keep to the cap."""
    with pytest.raises(PlanError, match="allows 100"):
        conductor.prepare(parse_plan(plan_for(Endpoint("127.0.0.1", 1)).replace("load_cap = 200", "load_cap = 100")))


def test_a_fault_that_needs_nodes_of_ours_is_refused_with_the_way_out():
    """Nobody else's process is killed."""
    fault = '\n[[faults]]\nkind = "kill"\ntargets = ["primary"]\nevery = "2s"\nlasts = "1s"\n'
    with pytest.raises(UnsupportedError, match="your own apply and heal commands"):
        conductor.prepare(parse_plan(plan_for(Endpoint("127.0.0.1", 1), fault)))


def test_nobody_at_the_address_is_said_with_the_address(tmp_path: Path):
    """The error names node and address."""
    text = plan_for(Endpoint("127.0.0.1", 1))
    with pytest.raises(StartupError, match="primary does not answer"):
        conductor.run(parse_plan(text), text, tmp_path, Silent())


def test_an_address_without_a_port_is_refused_where_it_stands():
    """The message shows how an address is written."""
    with pytest.raises(PlanError, match="write host:port"):
        conductor.prepare(parse_plan(PLAN.format(address="localhost")))


def test_started_candidates_and_the_attached_runtime_do_not_go_together(tmp_path: Path):
    """The attached runtime starts nothing, and says who could."""
    text = (
        plan_for(Endpoint("127.0.0.1", 1))
        .replace('kind = "attached"\nnodes', 'kind = "redis-single"\n# nodes')
        .replace("load_cap", "# load_cap")
    )
    with pytest.raises(UnsupportedError, match="nobody says where primary can be reached"):
        conductor.run(parse_plan(text), text, tmp_path, Silent())
