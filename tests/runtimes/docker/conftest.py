"""Containers for tests: a client of the engine, an image with a server in it, and a container with a console."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import docker
import pytest
from docker.errors import DockerException
from docker.models.containers import Container

from harness.errors import UnsupportedError
from harness.images.catalogue import choose
from harness.images.engine import references
from harness.runtimes.docker.console import first_process
from harness.runtimes.docker.labels import labels
from harness.runtimes.kernel.agent import IMAGE as AGENT


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """A client of the engine; where none answers, what needs one is skipped."""
    try:
        client = docker.from_env()
        client.ping()
    except DockerException as error:
        pytest.skip(f"no Docker engine: {error}")
    with contextlib.closing(client):
        yield client


@pytest.fixture(scope="session")
def image(engine: docker.DockerClient) -> str:
    """An image with redis-server in it."""
    try:
        return choose("redis-server", "", references(engine))
    except UnsupportedError as error:
        pytest.skip(str(error))


@pytest.fixture
def container(engine: docker.DockerClient, image: str) -> Iterator[Container]:
    """A running container whose first process is the supervisor of a node; nobody is attached to it yet."""
    supervisor = files("harness.runtimes.docker").joinpath("supervisor.sh").read_text()
    options: dict[str, Any] = dict(first_process(supervisor))
    container = engine.containers.create(image, network_mode="none", tmpfs={"/data": ""}, labels=labels("test"), **options)
    try:
        container.start()
        yield container
    finally:
        container.remove(force=True)


@pytest.fixture(scope="session")
def in_host(engine: docker.DockerClient) -> Iterator[Callable[..., str]]:
    """Run a command in the network of the engine's machine, as somebody else."""
    options: dict[str, Any] = {"network_mode": "host", "cap_drop": ["ALL"], "cap_add": ["NET_ADMIN"], "init": True}
    container = engine.containers.run(AGENT, ["sleep", "3600"], detach=True, labels={"anachron.test": "host"}, **options)

    def run(*command: str) -> str:
        status, output = container.exec_run(command)
        assert status == 0, output
        return str(output.decode())

    try:
        yield run
    finally:
        container.remove(force=True)
