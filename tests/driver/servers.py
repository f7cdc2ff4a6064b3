"""Servers for the tests of the driver: a real one, and tiny ones that misbehave in one way each."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.runtimes.base import Endpoint
from harness.runtimes.programs import find_program

Handler = Callable[[socket.socket], None]


@contextlib.contextmanager
def valkey(directory: Path) -> Iterator[tuple[Endpoint, subprocess.Popen[bytes]]]:
    """A Valkey server on a free port of loopback, and its process."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    args = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(directory)]
    with (directory / "valkey.log").open("wb") as log:
        process = subprocess.Popen([find_program("valkey-server").path, *args], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as client:
                client.sendall(b"PING\r\n")
                if client.recv(7) == b"+PONG\r\n":
                    break
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)
        yield Endpoint("127.0.0.1", port), process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def server(handle: Handler) -> Iterator[Endpoint]:
    """A server that lets ``handle`` do as it likes with each connection, in a thread of its own."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    connections: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            handle(connection)
        connection.close()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connections.append(connection)
                threads.append(threading.Thread(target=serve, args=(connection,), daemon=True))
                threads[-1].start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield Endpoint("127.0.0.1", listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


def answering(reply: bytes) -> Handler:
    """Answers every request with ``reply``."""

    def handle(connection: socket.socket) -> None:
        while connection.recv(4096):
            connection.sendall(reply)

    return handle


@contextlib.contextmanager
def black_hole() -> Iterator[Endpoint]:
    """An endpoint that takes no connection and does not say so."""
    with socket.socket() as listener, socket.socket() as fills, socket.socket() as the_queue:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for client in (fills, the_queue):
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield Endpoint(*listener.getsockname())


def refusing_endpoint() -> Endpoint:
    """An endpoint at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return Endpoint("127.0.0.1", probe.getsockname()[1])
