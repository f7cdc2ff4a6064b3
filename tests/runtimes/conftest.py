"""A pair of real servers, and a way to talk to them over plain sockets."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from harness.runtimes.base import Endpoint, Server
from harness.runtimes.process import ProcessRuntime
from harness.topology import Link, Node, Topology

PAIR = Topology(
    nodes=(Node(0, "primary", "primary"), Node(1, "replica-1", "replica")),
    links=(Link("replica-1", "primary"),),
    writable=(0,),
    readable=(0, 1),
)


class Kit:
    """What the tests of the runtime share."""

    topology = PAIR
    link = PAIR.links[0]

    @staticmethod
    @asynccontextmanager
    async def opened(
        directory: Path, *, client_proxies: bool = False, messages: bool = False, topology: Topology = PAIR
    ) -> AsyncIterator[ProcessRuntime]:
        runtime = ProcessRuntime(directory, client_proxies=client_proxies, messages=messages)
        try:
            await runtime.open(topology)
            yield runtime
        finally:
            await runtime.close()

    @staticmethod
    def server(runtime: ProcessRuntime, node: str, *more: str) -> Server:
        host, port = runtime.endpoint(node)
        return Server(node, "valkey-server", ("--bind", host, "--port", str(port), "--dir", ".", "--save", "", *more))

    @staticmethod
    def ask(endpoint: Endpoint, *words: str) -> str:
        """The answer to one command; errors and nil as they come over the wire."""
        with socket.create_connection(endpoint, timeout=10) as connection, connection.makefile("rb") as answer:
            connection.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words))
            line = answer.readline().decode().strip()
            return answer.read(int(line[1:])).decode() if line.startswith("$") and line != "$-1" else line

    @staticmethod
    async def until(seen: Callable[[], bool], within_s: float = 15) -> None:
        """Wait for what must come about; a test that waits in vain has failed."""
        deadline = time.monotonic() + within_s
        while not seen():
            assert time.monotonic() < deadline, "it did not come about in time"
            await asyncio.sleep(0.005)

    @staticmethod
    async def until_async(seen: Callable[[], Awaitable[bool]], within_s: float = 15) -> None:
        """As ``until``, for what has to be awaited to be seen."""
        async with asyncio.timeout(within_s):
            while not await seen():  # noqa: ASYNC110  # it can only be asked for
                await asyncio.sleep(0.005)

    async def serving(self, endpoint: Endpoint) -> None:
        def answers() -> bool:
            try:
                return self.ask(endpoint, "PING") == "+PONG"
            except OSError:
                return False

        await self.until(answers)

    async def replicating(self, runtime: ProcessRuntime, *more: str) -> None:
        """Start both nodes; returns when the replica follows the primary through the proxy."""
        await runtime.start(self.server(runtime, "primary", "--repl-diskless-sync-delay", "0", *more))
        await self.serving(runtime.endpoint("primary"))
        host, port = runtime.via(self.link)
        await runtime.start(self.server(runtime, "replica-1", "--replicaof", host, str(port)))
        await self.serving(runtime.endpoint("replica-1"))
        await self.until(lambda: "master_link_status:up" in self.ask(runtime.endpoint("replica-1"), "INFO", "replication"))


@pytest.fixture
def kit() -> Kit:
    return Kit()
