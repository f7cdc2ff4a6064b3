"""Three containers that talk to each other on a network of their own, and an agent that bends what they say."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import ClassVar

import docker
import pytest
from docker.errors import DockerException, NotFound
from docker.types import EndpointConfig, IPAMConfig, IPAMPool

from harness.runtimes.kernel.agent import IMAGE, Agent

_SUBNET = "172.28.241.0/24"
_GATEWAY = "172.28.241.1"
_LABEL = "anachron.test"
_PEER = (Path(__file__).parent / "peer.py").read_text()


class Peer:
    """A container that echoes, and speaks for the test."""

    def __init__(self, address: str) -> None:
        self.address = address

    def talk_to(self, other: Peer) -> Line:
        """A connection from this peer to the other one, held by the test."""
        line = Line(socket.create_connection((self.address, 7002), timeout=5))
        line.send(f"tcp {other.address}\n".encode())
        answer = line.receive()
        if answer != b"connected\n":
            raise ConnectionError(answer.decode())
        return line

    def call(self) -> Line:
        """A connection from the test to this peer."""
        return Line(socket.create_connection((self.address, 7000), timeout=1))

    def datagrams_to(self, other: Peer, count: int, pause_us: int = 500) -> list[int]:
        """The numbers of the datagrams that came back from the other peer's echo, in their order."""
        return [int(number) for number in self._ask(f"udp {other.address} {count} {pause_us}").split()]

    def heard(self) -> int:
        """How many datagrams have reached this peer's echo."""
        return int(self._ask("heard here"))

    def _ask(self, question: str) -> bytes:
        with socket.create_connection((self.address, 7002), timeout=10) as report:
            report.sendall(f"{question}\n".encode())
            chunks = []
            while chunk := report.recv(1 << 16):
                chunks.append(chunk)
        return b"".join(chunks)


class Line:
    """A connection that echoes what is sent over it; closed at the end of its test."""

    lines: ClassVar[list[Line]] = []

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.lines.append(self)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, content: bytes) -> None:
        self._connection.sendall(content)

    def receive(self, within_s: float = 3.0) -> bytes:
        self._connection.settimeout(within_s)
        return self._connection.recv(1 << 16)

    def echoes(self, content: bytes = b"hello", within_s: float = 3.0) -> float:
        """Send ``content`` and wait for the whole of it; returns the seconds that it took. Raises ``OSError``."""
        begin = time.monotonic()
        self.send(content)
        missing = len(content)
        while missing:
            chunk = self.receive(within_s)
            if not chunk:
                raise ConnectionError("the other end has closed")
            missing -= len(chunk)
        return time.monotonic() - begin

    def silent(self, for_s: float = 0.4) -> bool:
        """Whether nothing comes for a while after something was sent; it may come later."""
        self.send(b"?")
        try:
            self.receive(for_s)
        except TimeoutError:
            return True
        return False

    def is_reset(self, within_s: float = 3.0) -> bool:
        """Whether the connection ends by a reset, without anything being sent on it."""
        try:
            self.receive(within_s)
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
        return False

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The connections of one test send nothing during the next: some count packets."""
    yield
    for line in Line.lines:
        line.close()
    if Line.lines:
        time.sleep(0.05)
    Line.lines.clear()


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """A client of the engine; where none answers, or without the agent's image, what needs one is skipped."""
    try:
        client = docker.from_env()
        client.ping()
    except DockerException as error:
        pytest.skip(f"no Docker engine: {error}")
    with contextlib.closing(client):
        if not client.images.list(IMAGE):
            pytest.skip("no image of the agent; `anachron images build` makes one")
        yield client


@pytest.fixture(scope="module")
def peers(engine: docker.DockerClient) -> Iterator[tuple[Peer, Peer, Peer]]:
    """Three peers on one bridge."""
    _sweep(engine)
    labels = {_LABEL: "kernel"}
    name = f"anachron-test-{secrets.token_hex(4)}"
    try:
        pool = IPAMPool(subnet=_SUBNET, gateway=_GATEWAY)
        engine.networks.create(name, internal=True, labels=labels, ipam=IPAMConfig(pool_configs=[pool]))
        peers = tuple(Peer(f"172.28.241.{11 + index}") for index in range(3))
        for peer in peers:
            container = engine.containers.create(
                IMAGE,
                ["python3", "-c", _PEER],
                labels=labels,
                network=name,
                networking_config={name: EndpointConfig("1.41", ipv4_address=peer.address)},
                init=True,
            )
            container.start()
        for peer in peers:
            _until_up(peer)
        yield peers[0], peers[1], peers[2]
    finally:
        _sweep(engine)


@pytest.fixture
def bending(engine: docker.DockerClient) -> Callable[[Callable[[Agent], Awaitable[None]]], None]:
    """Run a scenario with an agent of its own."""

    def bend(scenario: Callable[[Agent], Awaitable[None]]) -> None:
        async def whole() -> None:
            agent = await Agent.start(engine, run=f"test-{secrets.token_hex(4)}", labels={_LABEL: "agent"})
            try:
                await scenario(agent)
            finally:
                await agent.close()

        asyncio.run(whole())

    return bend


def _until_up(peer: Peer) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            peer.call().close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _sweep(engine: docker.DockerClient) -> None:
    for container in engine.containers.list(all=True, filters={"label": f"{_LABEL}=kernel"}):
        with contextlib.suppress(NotFound):
            container.remove(force=True)
    for network in engine.networks.list(filters={"label": f"{_LABEL}=kernel"}):
        network.reload()
        for endpoint in network.attrs["Containers"]:  # a busy engine may not have let go of them yet
            network.disconnect(endpoint, force=True)
        network.remove()
