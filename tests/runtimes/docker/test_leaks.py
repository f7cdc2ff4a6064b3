"""Whole runs that end in every way: what is left of them is nothing, at once or after ``clean``, and others lose nothing.

The moments are random, with a fixed seed: a run is stopped while it starts, drives and heals, and killed at any time.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from harness.cli.cleaning import sweep_leftovers
from harness.errors import FAILURE, INCONCLUSIVE, PASS
from harness.runtimes import procfs
from harness.runtimes.docker.labels import OWNER, RUN
from harness.runtimes.kernel.container import TABLE
from harness.runtimes.kernel.rules import table
from harness.runtimes.procfs import Identity

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("image")]

_HOME = Path(__file__).parents[3]
_WORD = "a-word-that-nobody-may-read"
_PLAN = """
seed = 3

[candidate]
kind = "redis-replication"
server = "redis"
replicas = 1
read_from = "any"
password_env = "LEAKS_PASSWORD"

[contract]
node_monotonic = true
converges_within = "1s"

[[workloads]]
kind = "register"
keys = 10
sessions = 4
rate = 100

[[faults]]
kind = "partition"
between = ["primary", "replicas"]
after = "500ms"
every = "10s"
lasts = "800ms"

[run]
duration = "2s"
runtime = "docker"
"""
_CHANCE = random.Random(7)
_INTERRUPTIONS = [
    pytest.param(number, stage, _CHANCE.uniform(0, within_s), id=f"{number.name}-{stage}")
    for number, stage, within_s in (
        (signal.SIGINT, "starting", 2),
        (signal.SIGINT, "driving", 2),
        (signal.SIGINT, "healing", 0.1),
        (signal.SIGTERM, "driving", 2),
    )
]
_KILLS = [round(_CHANCE.uniform(*within_s), 2) for within_s in ((0, 1), (1, 5), (1, 5))]
"""Seconds after the start of the nodes has begun: while they start, and while they are driven."""


class Run:
    """``anachron run`` as a process of its own, and what it has made."""

    def __init__(self, engine: docker.DockerClient, directory: Path) -> None:
        self.directory = directory
        self._engine = engine
        self._said = directory / "stderr"
        plan = directory / "plan.toml"
        plan.write_text(_PLAN)
        with self._said.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "harness.cli", "run", str(plan), "--runs-dir", str(directory / "runs")],
                cwd=_HOME,
                env={**os.environ, "LEAKS_PASSWORD": _WORD},
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
        self._runs: set[str] = set()

    @property
    def said(self) -> str:
        return self._said.read_text()

    def reach(self, stage: str) -> None:
        _until(lambda: stage in self.said or self.process.poll() is not None, within_s=60)
        assert self.process.poll() is None, self.said

    def ends(self) -> int:
        return self.process.wait(timeout=60)

    def left(self) -> list[str]:
        """The names of what the engine has of it: containers, networks, volumes."""
        api = self._engine.api
        everything = [
            *api.containers(all=True, filters={"label": RUN}),
            *api.networks(filters={"label": RUN}),
            *(api.volumes(filters={"label": RUN})["Volumes"] or ()),
        ]
        own = [one for one in everything if one["Labels"].get(OWNER, "").startswith(f"{self.process.pid} ")]
        self._runs |= {one["Labels"][RUN] for one in own}
        return [one.get("Name") or one["Names"][0] for one in own]

    def tables(self, in_host: Callable[..., str]) -> set[str]:
        """Its tables of rules on the engine's machine, as far as ``left`` has seen of which runs those may be."""
        return {table(run) for run in self._runs} & set(in_host("nft", "list", "tables").split())

    def container(self, label: str) -> Container:
        """One of its containers: that with this label, or with this end of its name."""
        for one in self._engine.api.containers(filters={"label": RUN}):
            written = one["Labels"]
            if written[OWNER].startswith(f"{self.process.pid} ") and (label in written or one["Names"][0].endswith(label)):
                return self._engine.containers.get(one["Id"])
        raise AssertionError(f"the run has no container {label}")

    def family(self) -> list[Identity]:
        """The processes that it has started, and itself."""
        found, parents = [self.process.pid], [self.process.pid]
        while parents:
            with contextlib.suppress(OSError):
                children = Path(f"/proc/{parents.pop()}/task").glob("*/children")
                new = [int(pid) for path in children for pid in path.read_text().split()]
                found += new
                parents += new
        return [who for pid in found if (who := procfs.identify(pid))]

    def answer(self) -> str:
        """The verdict of its report."""
        (results,) = self.directory.glob("runs/*/results.json")
        return str(json.loads(results.read_text())["verdict"]["answer"])


@pytest.fixture
def run(engine: docker.DockerClient, tmp_path: Path) -> Iterator[Run]:
    """A run that has just begun."""
    begun = Run(engine, tmp_path)
    yield begun
    begun.process.kill()
    begun.process.wait()
    sweep_leftovers(tmp_path / "runs")


def test_whole_run_leaves_nothing(run, in_host):
    """A run that ends in order has removed everything before its process ends; its password is in no file."""
    run.reach("driving")
    assert len(run.left()) == 4  # two nodes, the agent, the network
    assert len(run.tables(in_host)) == 1  # one name, in two families
    family = run.family()
    assert run.ends() in (PASS, INCONCLUSIVE), run.said
    _assert_nothing(run, in_host, family)


@pytest.mark.parametrize(("number", "stage", "later_s"), _INTERRUPTIONS)
def test_interrupted_run_leaves_nothing(run, in_host, number, stage, later_s):
    """Ctrl-C and SIGTERM end a run at any time, and it has removed everything before its process ends."""
    run.reach(stage)
    time.sleep(later_s)
    family = run.family()
    run.left()
    run.process.send_signal(number)
    run.ends()
    assert "unforeseen" not in run.said
    _assert_nothing(run, in_host, family)


def test_run_that_is_interrupted_twice_leaves_nothing(run, in_host):
    """Who does not wait for the verdict leaves nothing either: what the harness does not remove its watchdog does."""
    run.reach("driving")
    family = run.family()
    run.left()
    run.process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    run.process.send_signal(signal.SIGINT)
    assert run.ends() == FAILURE, run.said
    assert "unforeseen" not in run.said
    _until(lambda: not run.left() and not any(who.alive for who in family))
    _assert_nothing(run, in_host, family)


@pytest.mark.parametrize("after_s", _KILLS[:2])
def test_killed_run_leaves_nothing(run, in_host, after_s):
    """Whenever a harness is killed, its watchdog removes what it had, and ``clean`` what came late."""
    run.reach("starting")
    time.sleep(after_s)
    family = run.family()
    run.left()
    run.process.kill()
    run.process.wait()
    _until(lambda: not run.left() and not any(who.alive for who in family))
    _clean(run)
    _assert_nothing(run, in_host, family)


@pytest.mark.parametrize("after_s", _KILLS[2:])
def test_killed_run_without_a_watchdog_is_cleaned(run, in_host, after_s):
    """Where the watchdog is killed with it, ``clean`` removes what is left, in whatever state it is."""
    run.reach("starting")
    time.sleep(after_s)
    run.left()
    family = run.family()
    for who in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(who.pid, signal.SIGKILL)
    run.process.wait()
    _until(lambda: not any(who.alive for who in family))
    _clean(run)
    _until(lambda: not _late(run))
    _assert_nothing(run, in_host, family)


def test_run_whose_agent_is_removed_is_a_failure(run, in_host):
    """Without its agent a run fails, by no fault of the candidate; ``clean`` removes the rules that the agent left."""
    run.reach("driving")
    family = run.family()
    run.left()
    run.container(TABLE).remove(force=True)
    assert run.ends() == FAILURE, run.said
    assert run.answer() != "violated"
    assert run.left() == []
    _clean(run)
    _assert_nothing(run, in_host, family)


def test_run_whose_node_is_removed_is_a_failure(run, in_host):
    """A node's container that somebody removes is no crash of the server, and no stale read."""
    run.reach("driving")
    family = run.family()
    run.left()
    run.container("-replica-1").remove(force=True)
    assert run.ends() == FAILURE, run.said
    assert run.answer() != "violated"
    _assert_nothing(run, in_host, family)


def test_server_that_dies_in_its_container_is_a_crash(run, in_host):
    """A server that dies by itself is told as a crash; its container stays and goes with the run."""
    run.reach("driving")
    family = run.family()
    run.left()
    run.container("-replica-1").exec_run(["sh", "-c", "kill -9 -1"])
    assert run.ends() == INCONCLUSIVE, run.said
    (log,) = run.directory.glob("runs/*/episodes.jsonl")
    assert '"crash"' in log.read_text()
    _assert_nothing(run, in_host, family)


def test_others_lose_nothing(run, engine, image, in_host):
    """What only looks like ours outlasts a killed run and ``clean``: containers, networks, tables."""
    container = engine.containers.create(image, name="anachron-00000000-primary", labels={"anachron.running": "x"})
    network = engine.networks.create("anachron-00000000", internal=True, labels={"anachron": "x"})
    other = "anachron_00000000"
    in_host("nft", f"add table ip {other} {{ chain bends {{ ip saddr 198.51.100.1 drop; }}; }}")
    try:
        run.reach("driving")
        run.left()
        run.process.kill()
        run.process.wait()
        _until(lambda: not run.left())
        _clean(run)
        container.reload()
        network.reload()
        assert "198.51.100.1" in in_host("nft", "list", "table", "ip", other)
    finally:
        in_host("nft", f"delete table ip {other}")
        network.remove()
        container.remove(force=True)


def _assert_nothing(run: Run, in_host: Callable[..., str], family: list[Identity]) -> None:
    assert run.left() == []
    assert run.tables(in_host) == set()
    assert not [who for who in family if who.alive]
    written = [path for path in run.directory.rglob("*") if path.is_file() and _WORD.encode() in path.read_bytes()]
    assert not written


def _clean(run: Run) -> None:
    runs = run.directory / "runs"
    runs.mkdir(exist_ok=True)  # a run that was killed at once has made nothing
    sweep_leftovers(runs)


def _late(run: Run) -> bool:
    """Whether something of the run came up after ``clean``: the engine was making it as the harness died. It is cleaned, too."""
    if run.left():
        _clean(run)
    return bool(run.left())


def _until(seen: Callable[[], bool], within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not seen():
        assert time.monotonic() < deadline, f"not seen within {within_s} s"
        time.sleep(0.05)
