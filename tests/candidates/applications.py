"""Runs of candidates made of application nodes, on processes and in containers."""

from __future__ import annotations

import tomllib
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException

from harness import conductor
from harness.candidates import CANDIDATES, Cluster
from harness.candidates.redis_admin import Admin
from harness.conductor import Finished
from harness.plan import CandidateSpec, parse_plan
from harness.results import Outcome
from harness.runtimes import RUNTIMES
from tests.candidates.starting import started
from tests.watching import Silent

S = 1_000_000_000
MS = 1_000_000

PLAN = """\
seed = 7
name = "applications"

[candidate]
{candidate}

[contract]
{contract}

{rest}

[adequacy]
operations = 300
success_rate = 0.5
coverage = 0.5
stalled = 1.0

[run]
duration = "{duration}"
runtime = "{runtime}"
"""


def run(directory: Path, *, candidate: str, contract: str, rest: str, duration: str = "4s", runtime: str = "process") -> Finished:
    """A finished run; all that was struck was proven to be."""
    text = PLAN.format(candidate=candidate, contract=contract, rest=rest, duration=duration, runtime=runtime)
    finished = conductor.run(parse_plan(text, "applications"), text, directory, Silent())
    assert not finished.report.failure, finished.report.failure
    for episode in finished.report.history.episodes:
        assert episode.proven, episode
    return finished


def names(finished: Finished) -> set[str]:
    """The kinds of findings that break the contract."""
    return {name for clause in finished.report.verdict.clauses if clause.outcome is Outcome.VIOLATED for name in clause.findings}


def running(directory: Path, candidate: str, runtime: str = "process") -> AbstractAsyncContextManager[Cluster]:
    """A started candidate."""
    spec = CandidateSpec.model_validate(tomllib.loads(candidate))
    made = CANDIDATES.load(spec.kind)(spec)
    return started(made, RUNTIMES.load(runtime)(directory, client_proxies=False, node_proxies=True))


async def ask(cluster: Cluster, node: str, *words: str) -> object:
    """The answer of a node to a command."""
    admin = Admin(cluster.runtime.endpoint(node))
    try:
        return await admin.call(*words, within_ns=5 * S)
    finally:
        admin.close()


def need_engine() -> None:
    """Skip the test where no Docker engine answers."""
    try:
        client = docker.from_env()
        client.ping()
        client.close()
    except DockerException as error:
        pytest.skip(f"no Docker engine: {error}")
