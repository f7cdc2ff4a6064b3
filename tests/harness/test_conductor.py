from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from pathlib import Path

import pytest

from harness import conductor
from harness.errors import InterruptedRunError, PlanError, StartupError, UnsupportedError
from harness.experiment import settling_ns
from harness.history import NO_WORKER
from harness.plan import parse_plan
from harness.results import Outcome
from harness.runtimes.ledger import leftovers
from harness.store import list_runs

PLAN = """\
seed = 3
name = "short"

[candidate]
kind = "redis-replication"
replicas = 1

[contract]
lost_writes = 0

[[workloads]]
kind = "register"
keys = 20
sessions = 4
rate = 500

[adequacy]
operations = 1
success_rate = 0.0
stalled = 1.0

[run]
duration = "2s"
"""


class Silent:
    """A watcher that acts on one stage."""

    def __init__(self, at="", act=lambda: None):
        self.at = at
        self.act = act

    def stage(self, words):
        if words == self.at:
            self.act()

    def counts(self, elapsed_ns, duration_ns, ok, fail, info):
        pass

    def episode(self, episode):
        pass


def soon(act, after_s):
    """Do ``act`` in a while, beside the run."""
    threading.Timer(after_s, act).start()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"redis-replication"', '"redis-replicatoin"', 'did you mean "redis-replication"'),
        ('"register"', '"registry"', 'did you mean "register"'),
        ("replicas = 1", "replica = 1", 'did you mean "replicas"'),
        ("keys = 20", "keys = 0", "greater than or equal to 1"),
        ('duration = "2s"', 'duration = "2s"\nruntime = "proces"', 'did you mean "process"'),
        ("keys = 20", "keys = 20\nwriters_per_key = 2", "several writers"),
    ],
)
def test_what_a_plan_names_is_checked_before_anything_starts(old, new, message, tmp_path):
    """A plan that cannot be carried out is refused, and leaves no run directory."""
    text = PLAN.replace(old, new)
    assert text != PLAN
    with pytest.raises(PlanError) as caught:
        conductor.run(parse_plan(text), text, tmp_path, Silent())
    assert message in str(caught.value)
    if "did you mean" in message and "process" not in message:
        assert str(caught.value).startswith("plan:")
    assert list(tmp_path.iterdir()) == []


def test_a_fault_on_clients_needs_proxies_before_clients(tmp_path):
    """What a runtime cannot do here is refused by name, with the remedy."""
    fault = '\n[[faults]]\nkind = "partition"\nbetween = ["client", "primary"]\nevery = "1s"\nlasts = "300ms"\n'
    with pytest.raises(UnsupportedError, match="client_proxies = true"):
        conductor.run(parse_plan(PLAN + fault), PLAN + fault, tmp_path, Silent())
    text = PLAN.replace("[run]", "[run]\nclient_proxies = true") + fault
    assert conductor.prepare(parse_plan(text)).planned


def test_several_writers_are_fine_where_only_linearizability_is_promised():
    """Without an order of versions a contract may still promise linearizable = true."""
    text = PLAN.replace("keys = 20", "keys = 20\nwriters_per_key = 2")
    text = text.replace("lost_writes = 0", "linearizable = true\nnode_monotonic = false")
    assert conductor.prepare(parse_plan(text))


def test_a_fleet_is_probed_past_its_bound_or_for_as_long_as_the_plan_says():
    """Only past the bound is it known that an entry is stuck; where none is promised, the plan says what is worth the wait."""
    settling = PLAN + 'settle = "2s"\n'
    assert settling_ns(parse_plan(PLAN)) == 5_000_000_000
    assert settling_ns(parse_plan(settling)) == 2_000_000_000
    assert settling_ns(parse_plan(settling.replace("lost_writes = 0", 'converges_within = "3s"'))) == 4_000_000_000


@pytest.mark.servers
def test_concurrent_writers_on_one_server_are_linearizable(tmp_path):
    """Keys with several writers, on a single real server, pass as registers."""
    text = PLAN.replace("keys = 20", "keys = 20\nwriters_per_key = 3").replace(
        "lost_writes = 0", "linearizable = true\nnode_monotonic = false"
    )
    text = text.replace('kind = "redis-replication"\nreplicas = 1', 'kind = "redis-single"')
    report = conductor.run(parse_plan(text), text, tmp_path, Silent()).report
    assert report.verdict.outcome is Outcome.PASS, report.verdict.why
    assert not report.history.ordered.any()


@pytest.mark.servers
def test_a_node_that_dies_by_itself_is_named_and_makes_the_run_inconclusive(tmp_path):
    """A crash that no fault of the plan made is an episode of its own, with the end of the node's log."""

    def crash():
        (record,) = tmp_path.glob("*/processes.jsonl")
        lines = [json.loads(line) for line in record.read_text().splitlines()]
        (pid,) = (line["pid"] for line in lines if "replica-1" in str(line))
        os.kill(pid, signal.SIGKILL)

    report = conductor.run(parse_plan(PLAN), PLAN, tmp_path, Silent("driving", lambda: soon(crash, 1.0))).report
    (episode,) = report.history.episodes
    assert (episode.kind, episode.nodes) == ("crash", ("replica-1",))
    assert report.verdict.outcome is Outcome.INCONCLUSIVE
    assert "replica-1" in report.verdict.why


@pytest.mark.servers
def test_the_first_interrupt_ends_a_run_early_and_judges_what_there_is(tmp_path):
    """Ctrl-C stops everything in order; an incomplete run cannot pass."""
    text = PLAN.replace('"2s"', '"60s"')
    interrupt = Silent("driving", lambda: soon(lambda: os.kill(os.getpid(), signal.SIGINT), 1.5))
    report = conductor.run(parse_plan(text), text, tmp_path, interrupt).report
    assert report.history.end_ns < 60_000_000_000
    assert report.verdict.outcome is Outcome.INCONCLUSIVE
    assert not report.history.complete
    assert len(report.history) > 0


@pytest.mark.servers
@pytest.mark.parametrize("stage", ["starting 2 nodes", "saving", "checking", "writing the report"])
def test_an_interrupt_before_or_after_the_sessions_says_what_there_is(stage, tmp_path):
    """Ctrl-C while nodes start or while the run is judged stops everything; what was recorded can be checked."""
    text = PLAN.replace('"2s"', '"500ms"')
    with pytest.raises(InterruptedRunError) as caught:
        conductor.run(parse_plan(text), text, tmp_path, Silent(stage, lambda: os.kill(os.getpid(), signal.SIGINT)))
    (run,) = list_runs(tmp_path)
    assert str(run.path) in str(caught.value)
    assert leftovers(run.path) == []
    if stage != "starting 2 nodes":
        assert "`anachron check`" in str(caught.value)
        assert len(conductor.evaluate(run).history) > 0


@pytest.mark.servers
def test_a_server_that_does_not_start_shows_the_end_of_its_log(tmp_path, monkeypatch):
    """A start-up failure is an error of its own, with what the server said."""
    broken = tmp_path / "redis-server"
    broken.write_text("#!/bin/sh\necho 'the moon is in the wrong phase'\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    text = PLAN.replace("replicas = 1", 'replicas = 1\nserver = "redis"')
    with pytest.raises(StartupError) as caught:
        conductor.run(parse_plan(text), text, tmp_path / "runs", Silent())
    assert "the moon is in the wrong phase" in str(caught.value)


@pytest.mark.servers
def test_a_dead_driver_is_told_and_what_it_recorded_is_judged(tmp_path):
    """The failure of a worker is the report's failure; its journal still counts."""

    kill = Silent("driving", lambda: soon(lambda: os.kill(child_that_runs("harness.driver.worker"), signal.SIGKILL), 1.0))
    report = conductor.run(parse_plan(PLAN), PLAN, tmp_path, kill).report
    assert report.answer == "error"
    assert "killed by signal 9" in report.failure
    assert len(report.history) > 0


@pytest.mark.servers
def test_a_dead_proxy_is_the_harness_failure_and_no_stale_read(tmp_path):
    """Replicas that nothing reaches any more are stale by our own fault: what was seen from then on is not judged."""
    text = PLAN.replace("lost_writes = 0", 'staleness = { steady = "500ms" }').replace('"2s"', '"4s"')
    kill = Silent("driving", lambda: soon(lambda: os.kill(child_that_runs("harness.runtimes.proxy"), signal.SIGKILL), 1.0))
    finished = conductor.run(parse_plan(text), text, tmp_path, kill)
    report = finished.report
    assert report.answer == "error", report.verdict.why
    assert "it is gone: it was killed by SIGKILL" in report.failure
    assert len(report.history) > 0
    assert not [finding for finding in report.findings if finding.name == "stale-read"]
    again = conductor.evaluate(finished.directory)
    assert (again.answer, again.verdict) == (report.answer, report.verdict)


@pytest.mark.servers
def test_a_proxy_that_stands_still_is_a_stall_of_the_harness(tmp_path):
    """A stopped proxy makes replicas stale; the time is known as our own, and nothing is held against the candidate."""
    text = PLAN.replace("lost_writes = 0", 'staleness = { steady = "200ms" }')

    def stop():
        pid = child_that_runs("harness.runtimes.proxy")
        os.kill(pid, signal.SIGSTOP)
        soon(lambda: os.kill(pid, signal.SIGCONT), 0.6)

    report = conductor.run(parse_plan(text), text, tmp_path, Silent("driving", lambda: soon(stop, 0.7))).report
    stalls = [stall for stall in report.history.stalls if stall.worker == NO_WORKER]
    assert max(stall.end_ns - stall.begin_ns for stall in stalls) > 500_000_000
    assert not [finding for finding in report.findings if finding.name == "stale-read"]
    assert report.verdict.outcome is not Outcome.VIOLATED


@pytest.mark.servers
def test_a_proxy_that_stands_still_to_the_end_is_the_harness_failure(tmp_path, monkeypatch):
    """A run does not end before the proxies have shown that they were there: what was seen past them is not judged."""
    monkeypatch.setattr("harness.runtimes.proxies._ANSWERS_WITHIN_S", 5.0)
    text = PLAN.replace("lost_writes = 0", 'staleness = { steady = "200ms" }\nconverges_within = "200ms"')
    stop = Silent("driving", lambda: soon(lambda: os.kill(child_that_runs("harness.runtimes.proxy"), signal.SIGSTOP), 1.0))
    report = conductor.run(parse_plan(text), text, tmp_path, stop).report
    assert report.answer == "error", report.verdict.why
    assert "no answer within 5 s" in report.failure
    assert not report.findings


@pytest.mark.servers
def test_a_driver_that_stands_still_is_not_waited_for_for_ever(tmp_path, monkeypatch):
    """Sessions that are not over long after their time are the harness's failure."""
    monkeypatch.setattr("harness.experiment._LATE_S", 0.5)
    monkeypatch.setattr("harness.driver.pool.CLOSE_WITHIN_S", 0.5)
    stop = Silent("driving", lambda: soon(lambda: os.kill(child_that_runs("harness.driver.worker"), signal.SIGSTOP), 1.0))
    report = conductor.run(parse_plan(PLAN), PLAN, tmp_path, stop).report
    assert report.answer == "error"
    assert "the sessions were not over" in report.failure
    assert len(report.history) > 0


@pytest.mark.servers
def test_a_candidate_that_does_not_come_up_is_not_waited_for_for_ever(tmp_path, monkeypatch):
    """A start that hangs ends as a start-up failure; the run's directory says what it was to be."""
    monkeypatch.setattr("harness.experiment._START_WITHIN_S", 0.01)
    with pytest.raises(StartupError, match="did not start within"):
        conductor.run(parse_plan(PLAN), PLAN, tmp_path, Silent())
    (run,) = list_runs(tmp_path)
    assert run.load_environment()["candidate"] == "redis-replication: Valkey"
    assert leftovers(run.path) == []


PARTITION = """
[[faults]]
kind = "partition"
between = ["primary", "replicas"]
every = "10s"
lasts = "500ms"
after = "700ms"
"""


@pytest.mark.servers
@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_redis_is_tested_as_valkey_is(tmp_path):
    """The same deployment of Redis: the fault is proven, the fleet converges, the contract of asynchronous replication holds."""
    text = PLAN.replace("replicas = 1", 'replicas = 2\nserver = "redis"') + PARTITION
    text = text.replace("lost_writes = 0", 'lost_writes = 0\nconverges_within = "3s"\nmisses = "loss"')
    report = conductor.run(parse_plan(text), text, tmp_path, Silent()).report
    assert report.verdict.outcome is Outcome.PASS, report.verdict.why
    assert report.environment["candidate"].startswith("redis-replication: Redis ")
    assert [episode.proven for episode in report.history.episodes] == [True]


KEPT = """\
seed = 3
name = "kept"
[candidate]
kind = "redis-single"
persistence = true
[contract]
linearizable = true
converges_within = "2s"
lost_writes = 0
misses = "loss"
[[workloads]]
kind = "register"
keys = 20
sessions = 8
rate = 800
[[faults]]
kind = "kill"
targets = ["primary"]
keep_data = true
every = "10s"
lasts = "400ms"
after = "700ms"
[adequacy]
operations = 1
success_rate = 0.0
stalled = 1.0
[run]
duration = "2s"
"""


@pytest.mark.servers
@pytest.mark.parametrize(("persistence", "outcome"), [("true", Outcome.PASS), ("false", Outcome.VIOLATED)])
def test_what_is_on_disk_before_it_is_acknowledged_survives_a_kill(persistence, outcome, tmp_path):
    """With ``appendfsync always`` a restart loses no acknowledged write; without it, the same run proves the loss."""
    text = KEPT.replace("persistence = true", f"persistence = {persistence}")
    report = conductor.run(parse_plan(text), text, tmp_path, Silent()).report
    assert report.verdict.outcome is outcome, report.verdict.why
    (episode,) = report.history.episodes
    assert episode.proven
    assert "primary is process" in episode.evidence[-1]
    assert episode.evidence[-1].endswith("incarnation 2")


def child_that_runs(module):
    """The process of ours that runs a module."""
    (pid,) = (pid for pid in children_of(os.getpid()) if module in Path(f"/proc/{pid}/cmdline").read_text())
    return pid


def children_of(pid):
    """The pids of a process's children."""
    return [int(word) for path in Path(f"/proc/{pid}/task").glob("*/children") for word in path.read_text().split()]
