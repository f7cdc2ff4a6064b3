"""One session, and its connections: the two records that the loop works on."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Generator

from harness.clients import Codec
from harness.history import Function
from harness.operations import Operation, Session
from harness.runtimes.base import Endpoint

IDLE = -1
"""The op id of a client that has nothing in flight."""

WAITING = -2
"""The op id of a client whose operation waits for its connection to open: not called, and not in the journal yet."""


class Client:
    """A session as the driver plays it.

    Attributes:
        steps: the workload's generator.
        session, process, workload: as in the history.
        connections: by node; None where there is none at the moment.
        operation: what the session wants next or has in flight.
        op: id of the operation in flight, ``IDLE`` or ``WAITING``.
        beside: ids of its further keys' rows, if it is called and for several.
        call_ns: when that one was sent, or began to wait.
        node: where the operation goes or is: what it names, or what the routing made of that.
        hops: how often a node sent it on to another.
        sending_on: its bytes, while it was sent on and waits for the connection to that other node.
    """

    __slots__ = (
        "beside",
        "call_ns",
        "connections",
        "hops",
        "node",
        "op",
        "operation",
        "process",
        "sending_on",
        "session",
        "steps",
        "workload",
    )

    def __init__(self, steps: Session, session: int, workload: int, nodes: int) -> None:
        self.steps = steps
        self.session = session
        self.process = session
        self.workload = workload
        self.connections: list[Connection | None] = [None] * nodes
        self.operation = Operation(Function.READ, -1, -1)
        self.op = IDLE
        self.beside: list[int] = []
        self.call_ns = 0
        self.node = -1
        self.hops = 0
        self.sending_on = b""


class Line:
    """A non-blocking TCP connection to a node.

    Attributes:
        codec: what is spoken on it.
        recv, send: as of a socket, whatever lies between.
    """

    __slots__ = ("codec", "fd", "recv", "send", "socket")

    def __init__(self, endpoint: Endpoint, codec: Codec) -> None:
        family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.codec = codec
        self.fd = self.socket.fileno()
        self.recv: Callable[[int], bytes] = self.socket.recv
        self.send: Callable[[bytes], int] = self.socket.send

    def refusal(self) -> str:
        """Why the attempt to connect failed; empty if it succeeded."""
        code = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        try:
            # On loopback the kernel may pick the dead server's own port for us and connect the socket to itself.
            if code == 0 and self.socket.getsockname() == self.socket.getpeername():
                code = errno.ECONNREFUSED
        except OSError as error:
            code = error.errno or errno.ECONNRESET
        return f"connect: {error_text(code)}" if code else ""


class Connection(Line):
    """A line of one client.

    Attributes:
        open: False while it is being opened.
        opening: what is left to do until it is open, and what that waits for; None where that has ended.
        ahead: commands to send ahead of the next operation, whose answers do not matter.
        unsent: the rest of a request that the kernel did not take at once.
    """

    __slots__ = ("ahead", "client", "node", "open", "opening", "unsent")

    def __init__(self, client: Client, node: int, endpoint: Endpoint, codec: Codec) -> None:
        super().__init__(endpoint, codec)
        self.client = client
        self.node = node
        self.open = False
        self.opening: Generator[int, None, str] | None = None
        self.ahead: tuple[bytes, ...] = ()
        self.unsent = b""


def error_text(code: int | None) -> str:
    """What the operating system calls an error, in lower case."""
    return os.strerror(code or 0).lower()
