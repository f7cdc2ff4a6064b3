"""An engine that is reached over TCP, as a remote one is: the same run, by the same means."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import docker
import pytest

from harness.runtimes.docker.runtime import DockerRuntime
from tests.runtimes.docker.fleet import LINK, call, left, running, until

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("image")]


class Forwarder(socketserver.BaseRequestHandler):
    """Carries one connection to the local engine's socket; each end hears when the other one stops writing."""

    path = "/var/run/docker.sock"

    def handle(self) -> None:
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(self.path)
            there = threading.Thread(target=_carry, args=(self.request, engine))
            there.start()
            _carry(engine, self.request)
            there.join()


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a forwarder to the local engine; it is where ``DOCKER_HOST`` points."""
    at = urlsplit(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"))
    if at.scheme != "unix":
        pytest.skip("the engine is reached over TCP already")
    with Server(("127.0.0.1", 0), type("Local", (Forwarder,), {"path": at.path})) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"tcp://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setenv("DOCKER_HOST", address)
        yield address
        server.shutdown()


def test_run_over_tcp(remote: str, engine: docker.DockerClient, tmp_path: Path) -> None:
    """Nodes start, a cut holds and heals, and nothing is left, with every word to the engine going over TCP."""

    async def scenario() -> str:
        async with running(tmp_path, nodes=2) as runtime:
            assert remote in runtime.facts()["engine"]
            await runtime.cut([LINK])
            await call(runtime.endpoint("primary"), "SET", "k", "v")
            await asyncio.sleep(0.3)
            assert await call(runtime.endpoint("replica-1"), "GET", "k") is None
            await runtime.mend([LINK])
            await until(lambda: _has(runtime))
            return runtime._run

    assert left(engine, asyncio.run(scenario())) == []


async def _has(runtime: DockerRuntime) -> bool:
    return await call(runtime.endpoint("replica-1"), "GET", "k") is not None


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(1 << 16):
            target.sendall(chunk)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
