"""What is left of containers and networks when a harness ends in a bad way: nothing."""

from __future__ import annotations

import contextlib
import os
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
from harness.runtimes import procfs
from harness.runtimes.docker import labels
from harness.runtimes.docker.labels import OWNER, RUN
from harness.runtimes.docker.network import make
from tests.runtimes.docker.fleet import interfaces, left

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("image")]

_HOME = Path(__file__).parents[3]


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that runs two containers with a cut between them, and its run's id."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.runtimes.docker.harness_to_kill", str(tmp_path / "run")],
        cwd=_HOME,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    run = process.stdout.readline().strip()
    assert run
    yield process, run
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture
def made(engine: docker.DockerClient, image: str) -> Iterator[Callable[..., Container]]:
    """Makes containers with the given labels; they are removed in the end."""
    containers = []

    def make(written: dict[str, str], *command: str) -> Container:
        containers.append(engine.containers.create(image, command, labels=written, network_mode="none"))
        return containers[-1]

    yield make
    for container in containers:
        with contextlib.suppress(docker.errors.NotFound):
            container.remove(force=True)


def test_killed_harness_leaves_nothing(engine, harness, in_host):
    """After SIGKILL the watchdog removes containers, network and bridge, and the agent its tables, within seconds."""
    process, run = harness
    assert len(left(engine, run)) >= 3
    process.kill()
    _until(lambda: left(engine, run) == [])
    assert f"ana{run}" not in interfaces()
    assert run not in in_host("nft", "list", "tables")


def test_terminated_watchdog_stays(engine, harness):
    """The signals by which people end things do not keep the watchdog from its task."""
    process, run = harness
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(_watchdog(process.pid), number)
    process.kill()
    _until(lambda: left(engine, run) == [])


def test_servers_end_with_the_harness_without_a_watchdog(engine, harness, in_host):
    """Where the watchdog is killed, too, no container runs on, and ``clean`` leaves nothing of the run."""
    process, run = harness
    os.kill(_watchdog(process.pid), signal.SIGKILL)
    process.kill()
    process.wait()
    _until(lambda: not engine.api.containers(filters={"label": f"{RUN}={run}"}))  # none runs any more
    labels.clean()
    assert left(engine, run) == []
    assert run not in in_host("nft", "list", "tables")


def test_clean_says_what_it_removes(engine, made, tmp_path, capsys):
    """Containers and networks of a dead harness are leftovers; ``clean`` removes them and says so."""
    for _ in range(5):  # a run that starts in between removes them as well
        gone = subprocess.Popen([sys.executable, "-c", ""])
        owner = procfs.identify(gone.pid)
        assert owner is not None
        gone.wait()
        run = f"{gone.pid:08x}"
        written = {RUN: run, OWNER: " ".join(map(str, owner))}
        network = make(engine, run, written)
        container = made(written)
        told = labels.leftovers()
        sweep_leftovers(tmp_path)
        said = capsys.readouterr().out
        assert left(engine, run) == []
        if f"network {network.name}" in told and f"removed network {network.name}" in said:
            break
    assert f"container {container.name}" in told
    assert f"removed container {container.name}" in said


def test_clean_leaves_the_living_alone(engine, harness):
    """Neither ``clean`` nor the start of another run touches a run whose harness lives."""
    _, run = harness
    before = left(engine, run)
    assert not any(run in words for words in labels.leftovers())
    labels.clean()
    assert left(engine, run) == before


def test_clean_leaves_alone_what_is_not_ours(engine, made, monkeypatch):
    """A container without our label stays, and so does one that runs, or may yet, and whose owner is out of sight."""
    stranger = made({"somebody": "else"})
    distant = made({RUN: "distant", OWNER: "1 1 another-boot"}, "sleep", "60")
    labels.clean()
    distant.start()
    labels.clean()
    stranger.reload()
    distant.reload()
    monkeypatch.setattr(labels, "_RUNS_WITHIN_S", 0)
    labels.clean()
    distant.reload()
    distant.stop(timeout=0)
    assert "distant" in {resource.run for resource in labels.orphans(engine)}
    labels.clean()
    with pytest.raises(docker.errors.NotFound):
        distant.reload()
    stranger.reload()


def test_nothing_to_clean_without_an_engine(tmp_path, monkeypatch):
    """Where no engine answers, there are no leftovers and nothing to clean."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    assert labels.leftovers() == labels.clean() == []


def _until(seen: Callable[[], bool], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not seen():
        assert time.monotonic() < deadline, f"not seen within {within_s} s"
        time.sleep(0.05)


def _watchdog(pid: int) -> int:
    """The process id of the watchdog of the harness ``pid``."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if b"harness.runtimes.docker.watchdog" in Path(f"/proc/{child}/cmdline").read_bytes():
            return int(child)
    raise AssertionError("there is no watchdog")
