"""A user's compose file as a candidate: what a plan may say of it, and whole runs on real services."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from harness import conductor
from harness.candidates import CANDIDATES, Candidate
from harness.candidates.abilities import Administered, Guarded
from harness.errors import PlanError, UnsupportedError
from harness.images.catalogue import choose
from harness.images.engine import connect, references
from harness.plan import CandidateSpec, Plan, parse_plan
from harness.results import Outcome
from harness.runtimes.base import Capability
from harness.runtimes.docker.compose import ComposeRuntime
from harness.topology import Link
from tests.watching import Silent

FILE = """\
services:
  redis-primary:
    image: {image}
    command: redis-server --protected-mode no --save "" --repl-diskless-sync-delay 0 --repl-ping-replica-period 1 --repl-timeout 5
    ports: ["6379:6379"]
  redis-replica-1: &replica
    image: {image}
    command: redis-server --protected-mode no --save "" --replicaof redis-primary 6379 --repl-timeout 5
    depends_on: [redis-primary]
  redis-replica-2: *replica
  app:
    image: {image}
    command: sh -c 'while sleep 0.1; do redis-cli -h redis-primary incr visits; done'
"""

CANDIDATE = """\
seed = 7
[candidate]
kind = "compose"
nodes = [
  { service = "redis-primary", role = "primary" },
  { service = "redis-replica-1", role = "replica" },
  { service = "redis-replica-2", role = "replica" },
]
"""

RUN = """
[[workloads]]
kind = "register"
keys = 30
reads = 0.8
sessions = 8
rate = 400

[[faults]]
kind = "partition"
between = ["primary", "replicas"]
after = "2500ms"
every = "60s"
lasts = "2s"

[[faults]]
kind = "pause"
targets = ["redis-replica-1"]
after = "6s"
every = "60s"
lasts = "1s"

[[faults]]
kind = "kill"
what = "host"
targets = ["redis-replica-2"]
after = "8500ms"
every = "60s"
lasts = "2s"

[adequacy]
operations = 100
success_rate = 0.3
coverage = 0.5
resolution = "10s"
stalled = 1.0

[run]
duration = "12s"
runtime = "compose"
"""

HONEST = """
[contract]
converges_within = "10s"
[contract.staleness]
steady = "1500ms"
during = { partition = "fault + 8s", pause = "fault + 8s", kill = "fault + 8s" }
after_heal = "8s"
"""

FRESH = """
[contract]
[contract.staleness]
steady = "5s"
during = { partition = "5s" }
after_heal = "0s"
"""


@pytest.fixture
def composed(tmp_path: Path):
    """Writes a compose file whose image has ``program``, and reads a plan beside it; skips where it cannot be run."""
    if lacks := ComposeRuntime(tmp_path, client_proxies=True).refusal(Capability.CUT):
        pytest.skip(lacks)

    def write(file: str, plan: str, program: str = "redis-server") -> Plan:
        try:
            image = choose(program, "", references(connect()))
        except UnsupportedError as error:
            pytest.skip(str(error))
        (tmp_path / "docker-compose.yml").write_text(file.format(image=image))
        return parse_plan(plan, str(tmp_path / "plan.toml"))

    return write


def candidate(directory: Path, **options: object) -> Candidate:
    """Of a file that is there; nobody reads it before the runtime does."""
    (directory / "docker-compose.yml").touch()
    options = {"nodes": ({"service": "a", "role": "primary"}, {"service": "b", "role": "replica"}), **options}
    spec = CandidateSpec.model_validate({"kind": "compose", "file": str(directory / "docker-compose.yml"), **options})
    return CANDIDATES.load("compose")(spec)


@pytest.mark.docker
def test_an_honest_contract_holds_through_three_faults_on_a_users_services(tmp_path, composed):
    """A partition, a pause and a dead host strike a compose file; every episode is proven, and the verdict is pass."""
    text = CANDIDATE + HONEST + RUN
    finished = conductor.run(composed(FILE, text), text, tmp_path / "runs", Silent())
    episodes = finished.report.history.episodes
    assert [episode.kind for episode in episodes] == ["partition", "pause", "kill"]
    for episode in episodes:
        assert episode.proven, episode.evidence
        assert not any("unproven" in words for words in episode.evidence), episode.evidence
    assert finished.report.verdict.outcome is Outcome.PASS, str(finished.report.verdict)
    assert finished.report.environment["candidate"].startswith("compose: ")
    assert {"app", "redis-primary", "redis-replica-2"} <= finished.report.logs.keys()


@pytest.mark.docker
def test_replicas_that_promise_to_be_fresh_are_found_out(tmp_path, composed):
    """No replica of the file can keep a bound that is shorter than the cut."""
    run = RUN.replace('lasts = "2s"', 'lasts = "6s"', 1).split('\n[[faults]]\nkind = "pause"')[0]
    run += '\n[adequacy]\noperations = 100\nsuccess_rate = 0.3\nstalled = 1.0\n[run]\nduration = "9s"\nruntime = "compose"\n'
    text = CANDIDATE + FRESH + run
    finished = conductor.run(composed(FILE, text), text, tmp_path / "runs", Silent())
    assert finished.report.verdict.outcome is Outcome.VIOLATED


@pytest.mark.docker
@pytest.mark.parametrize(
    ("protocol", "program", "command", "says"),
    [
        ("memcached", "memcached", "memcached -u root -U 0", "memcached 1."),
        ("http", "python3", "python3 -m http.server 80", "an HTTP service"),
    ],
)
def test_services_of_other_protocols_serve_die_and_come_back(tmp_path, composed, protocol, program, command, says):  # noqa: PLR0917
    """They are somebody, a client's question reaches them, silence is told from death, and a restart is somebody else."""
    file = f"services: {{{{cache: {{{{image: {{image}}, command: {command}}}}}}}}}"
    text = (
        f'[candidate]\nkind = "compose"\nprotocol = "{protocol}"\nnodes = [ {{ service = "cache" }} ]\n'
        '[[workloads]]\nkind = "register"\n'
    )
    plan = composed(file, text, program)
    built = CANDIDATES.load("compose")(plan.candidate)
    runtime = ComposeRuntime(tmp_path / "run", client_proxies=True)
    link = Link("client", "cache")

    async def scenario():
        await runtime.open(built.topology)
        try:
            await built.start(runtime)
            assert built.product.startswith(says)
            before = await built.identity("cache")
            probe = await built.probe(link)
            assert await probe.carry(2_000_000_000) is not None
            await runtime.cut([link])
            assert await probe.carry(300_000_000) is None
            await runtime.mend([link])
            await runtime.kill_host("cache")
            with pytest.raises(OSError):  # noqa: PT011 - how it is silent is the kernel's choice
                await probe.carry(300_000_000)
            await probe.close()
            await runtime.restart("cache", keep_data=True)
            await built.ready("cache")
            assert await built.identity("cache") != before
        finally:
            await built.close()
            await runtime.close()

    asyncio.run(scenario())


def test_nodes_and_links_are_what_the_plan_says(tmp_path):
    """Replicas follow the primary unless links say otherwise; clients write to the primary and read everywhere."""
    topology = candidate(tmp_path).topology
    assert topology.links == (Link("b", "a"), Link("client", "a"), Link("client", "b"))
    assert (topology.writable, topology.readable) == ((0,), (0, 1))
    assert topology.deployment == str(tmp_path / "docker-compose.yml")
    assert [node.port for node in topology.nodes] == [6379, 6379]
    assert candidate(tmp_path, links=(("a", "b"),)).topology.links[0] == Link("a", "b")
    assert candidate(tmp_path, write_to=("b",), read_from=("replicas",)).topology.writable == (1,)


def test_only_redis_like_services_are_administered(tmp_path):
    """Faults that speak to a server's administrator find one only where there is RESP."""
    assert isinstance(candidate(tmp_path), Administered)
    assert isinstance(candidate(tmp_path), Guarded)
    assert not isinstance(candidate(tmp_path, protocol="memcached"), Administered)
    assert candidate(tmp_path, protocol="memcached").topology.links == (Link("client", "a"), Link("client", "b"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"file": "nowhere.yml"}, "there is no compose file"),
        ({"nodes": ({"service": "a"}, {"service": "a"})}, "a service is a node twice"),
        ({"links": (("b", "c"),)}, 'no node is called "c"'),
        ({"links": (("b", "a"), ("b", "a"))}, "follows one other node"),
        ({"links": (("b", "a"),), "protocol": "http"}, "cannot be seen into"),
        ({"ttl": "1s", "protocol": "memcached"}, "ttl is for protocol"),
        ({"health": "/up"}, "health is for protocol"),
        ({"read_from": ("replika",)}, 'no node is called "replika"'),
        ({"nodes": ({"service": "a", "port": 0},)}, "0 should be greater"),
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused(tmp_path, options, words):
    """Before anything starts, with the key in question."""
    with pytest.raises(PlanError, match=words):
        candidate(tmp_path, **options)


def test_a_file_is_looked_for_beside_the_plan(tmp_path):
    """A plan may be run from anywhere."""
    (tmp_path / "docker-compose.yml").touch()
    text = CANDIDATE + '[[workloads]]\nkind = "register"\n[run]\nruntime = "compose"\n'
    plan = parse_plan(text, str(tmp_path / "plan.toml"))
    built = CANDIDATES.load("compose")(plan.candidate)
    assert built.topology.deployment == str(tmp_path / "docker-compose.yml")
    with pytest.raises(PlanError, match="there is no compose file"):
        CANDIDATES.load("compose")(parse_plan(text, str(tmp_path / "elsewhere" / "plan.toml")).candidate)


@pytest.mark.parametrize("runtime", ["process", "docker"])
def test_other_runtimes_do_not_start_a_compose_file(tmp_path, runtime):
    """They say which one does."""
    text = CANDIDATE + f'[[workloads]]\nkind = "register"\nrate = 1.0\n[run]\nruntime = "{runtime}"\n'
    (tmp_path / "docker-compose.yml").touch()
    plan = parse_plan(text, str(tmp_path / "plan.toml"))
    with pytest.raises(UnsupportedError, match=r'set run\.runtime = "compose"'):
        conductor.run(plan, text, tmp_path / "runs", Silent())
