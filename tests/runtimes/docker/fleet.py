"""A fleet of Redis containers for tests: one primary, and replicas that follow it."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import docker
from docker.models.containers import Container

from harness.candidates.redis_admin import Admin
from harness.runtimes.base import Endpoint, File, Server
from harness.runtimes.docker.labels import RUN
from harness.runtimes.docker.runtime import DockerRuntime
from harness.topology import Link, Node, Topology

LINK = Link("replica-1", "primary")


def topology(nodes: int) -> Topology:
    names = ["primary", *(f"replica-{index}" for index in range(1, nodes))]
    return Topology(
        tuple(Node(index, name, name.partition("-")[0]) for index, name in enumerate(names)),
        tuple(Link(name, "primary") for name in names[1:]),
        (0,),
        tuple(range(nodes)),
    )


def server(runtime: DockerRuntime, node: str = "primary", *extra: str, files: tuple[File, ...] = ()) -> Server:
    args = ["--port", "6379", "--protected-mode", "no", "--save", "", "--repl-diskless-sync-delay", "0", *extra]
    if node != "primary":
        upstream = runtime.via(Link(node, "primary"))
        args += ["--replicaof", upstream.host, str(upstream.port), "--repl-timeout", "5"]
    return Server(node, "redis-server", tuple(args), files=files)


@asynccontextmanager
async def opened(directory: Path, nodes: int = 1, **options: bool) -> AsyncIterator[DockerRuntime]:
    """An open runtime, in which nothing has been started."""
    runtime = DockerRuntime(directory, **options)
    await runtime.open(topology(nodes))
    try:
        yield runtime
    finally:
        await runtime.close()


@asynccontextmanager
async def running(directory: Path, *extra: str, nodes: int = 1, **options: bool) -> AsyncIterator[DockerRuntime]:
    """A runtime whose nodes serve; replicas are in step."""
    async with opened(directory, nodes, **options) as runtime:
        await runtime.start(server(runtime, "primary", *extra))
        names = [f"replica-{index}" for index in range(1, nodes)]
        await asyncio.gather(*(runtime.start(server(runtime, name, *extra)) for name in names))
        for name in ("primary", *names):
            await until(lambda name=name: serves(runtime, name))  # type: ignore[misc]
        yield runtime


async def serves(runtime: DockerRuntime, node: str) -> bool:
    fields = await info(runtime, node, "replication")
    return fields.get("master_link_status", "up") == "up"


async def info(runtime: DockerRuntime, node: str, section: str) -> dict[str, str]:
    admin = Admin(runtime.endpoint(node))
    try:
        return await admin.info(section)
    finally:
        admin.close()


async def call(endpoint: Endpoint, *words: str) -> object:
    """A command over a connection of its own; raises ``OSError`` if nobody answers within a second."""
    admin = Admin(endpoint)
    try:
        return await admin.call(*words)
    finally:
        admin.close()


async def until(seen: Callable[[], Awaitable[bool]], within_s: float = 15.0) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            if await seen():
                return
        except OSError:
            pass
        await asyncio.sleep(0.02)
    raise AssertionError(f"not seen within {within_s} s")


def containers(engine: docker.DockerClient, runtime: DockerRuntime) -> list[Container]:
    """The containers of a run, as the engine sees them now."""
    return engine.containers.list(filters={"label": f"{RUN}={runtime._run}"})


def left(engine: docker.DockerClient, run: str) -> list[str]:
    """The names of what the engine has of a run: containers, networks."""
    filters = {"label": f"{RUN}={run}"}
    containers = [one["Names"][0] for one in engine.api.containers(all=True, filters=filters)]
    return containers + [one["Name"] for one in engine.api.networks(filters=filters)]


def interfaces() -> str:
    return subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
