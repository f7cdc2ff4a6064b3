"""Compose files for tests: a primary, replicas and an application; and a harness that runs one and waits to be killed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from harness.runtimes.docker.compose import ComposeRuntime
from harness.topology import Link, Node, Topology
from tests.runtimes.docker.fleet import info, until

NODES = ("redis-primary", "redis-replica-1", "redis-replica-2")
LINK = Link("redis-replica-1", "redis-primary")

FILE = """\
version: "3.7"
services:
  redis-primary:
    image: {image}
    container_name: the-only-one
    command: redis-server --protected-mode no --save "" --appendonly yes --repl-diskless-sync-delay 0 --repl-timeout 5
    ports: ["6379:6379"]
    volumes: [data:/data]
    networks: [back]
    restart: always
  redis-replica-1: &replica
    image: {image}
    command: redis-server --protected-mode no --save "" --replicaof redis-primary 6379 --repl-timeout 5
    networks: [back]
    depends_on: [redis-primary]
  redis-replica-2: *replica
  app:
    image: {image}
    command: sh -c 'while sleep 0.1; do redis-cli -h redis-primary incr visits; done'
    networks: [back, front]
networks: {{back: {{}}, front: {{}}}}
volumes: {{data: {{name: somebodys-own}}}}
"""

PAIR = """\
services:
  redis-primary:
    image: {image}
    command: redis-server --protected-mode no --save "" --appendonly yes --repl-diskless-sync-delay 0 --repl-timeout 5
    volumes: [data:/data]
  redis-replica-1:
    image: {image}
    command: redis-server --protected-mode no --save "" --replicaof redis-primary 6379 --repl-timeout 5
    depends_on: [redis-primary]
volumes: {{data: {{}}}}
"""


def written(directory: Path, image: str, text: str = FILE) -> Path:
    """A compose file in ``directory``, made if it is not there."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "docker-compose.yml"
    path.write_text(text.format(image=image))
    return path


def topology(file: Path, *nodes: str) -> Topology:
    names = nodes or NODES
    return Topology(
        tuple(Node(index, name, "primary" if index == 0 else "replica") for index, name in enumerate(names)),
        tuple(Link(name, names[0]) for name in names[1:]),
        (0,),
        tuple(range(len(names))),
        deployment=str(file),
    )


@asynccontextmanager
async def running(directory: Path, file: Path, *nodes: str, **options: bool) -> AsyncIterator[ComposeRuntime]:
    """A runtime whose nodes serve, with replicas in step."""
    runtime = ComposeRuntime(directory / "run", **options)
    described = topology(file, *nodes)
    await runtime.open(described)
    try:
        for node in described.nodes:
            await until(lambda name=node.name: serves(runtime, name))  # type: ignore[misc]
        yield runtime
    finally:
        await runtime.close()


async def serves(runtime: ComposeRuntime, node: str) -> bool:
    return (await info(runtime, node, "replication")).get("master_link_status", "up") == "up"  # type: ignore[arg-type]


async def main(directory: Path, image: str) -> None:
    async with running(directory, written(directory / "project", image)) as runtime:
        await runtime.cut([LINK])
        print(runtime._run, flush=True)
        await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
