"""The connections over which a router hears of the topology: to sentinels, and to whoever else knows more than a client.

They are beside the sessions' own, are looked at on the loop's tick, and never make it wait.
"""

from __future__ import annotations

import errno
import select
from collections.abc import Callable, Sequence

from harness.clients import ProtocolBreach
from harness.driver.connection import Line
from harness.driver.opening import Opening
from harness.driver.sockets import RECEIVE_BYTES, Sockets
from harness.durations import parse_duration
from harness.routing import Informed
from harness.runtimes.base import Endpoint

AGAIN_NS = parse_duration("100ms")
"""How long after the loss of a connection the next one is tried."""

SILENT_NS = parse_duration("1s")
"""How long a source may take to connect or to answer before its connection is given up for a new one."""

Complain = Callable[[int, str], None]
"""Told of a source, and of what it said that makes no sense."""


class Following:
    """Keeps a connection to each of ``router``'s sources and tells it what comes over them."""

    def __init__(self, router: Informed, endpoints: Sequence[Endpoint], sockets: Sockets, complain: Complain) -> None:
        self._router = router
        self._sources = [_Source(router, node, endpoints[node], sockets, complain) for node in router.sources]

    def tick(self, now_ns: int) -> None:
        """Connect where that is due, and ask what the router wants to know."""
        question = self._router.asks(now_ns)
        for source in self._sources:
            source.tick(now_ns, question)

    def close(self) -> None:
        """Close all connections."""
        for source in self._sources:
            source.drop(0)


class _Source:
    """One node that is listened to."""

    def __init__(self, router: Informed, node: int, endpoint: Endpoint, sockets: Sockets, complain: Complain) -> None:
        self._router = router
        self._node = node
        self._endpoint = endpoint
        self._sockets = sockets
        self._complain = complain
        self._line: Line | None = None
        self._opening: Opening | None = None
        self._unsent = b""
        self._seen_ns = 0
        self._due_ns = 0
        self._waits_since_ns: int | None = None

    def tick(self, now_ns: int, question: bytes) -> None:
        self._seen_ns = now_ns
        if self._line is None:
            if now_ns >= self._due_ns:
                self._connect(now_ns)
            return
        if self._waits_since_ns is not None and now_ns - self._waits_since_ns > SILENT_NS:
            self.drop(now_ns)
            return
        if question and not self._unsent:
            self._unsent = question
            if self._waits_since_ns is None:
                self._waits_since_ns = now_ns
        self._send(now_ns)

    def drop(self, now_ns: int) -> None:
        """Close the connection; another is tried soon."""
        if self._line is not None:
            self._sockets.unwatch(self._line.fd)
            self._line.socket.close()
            self._line = self._opening = None
        self._due_ns = now_ns + AGAIN_NS

    def _connect(self, now_ns: int) -> None:
        self._line = self._sockets.line(self._endpoint)
        self._opening = self._sockets.way_in(self._line, self._endpoint)
        self._sockets.watch(self._line.fd, self._receive)
        self._unsent = self._router.connected(self._node)
        self._waits_since_ns = now_ns
        if self._line.socket.connect_ex(self._endpoint) not in (0, errno.EINPROGRESS):
            self.drop(now_ns)

    def _send(self, now_ns: int) -> None:
        """Send what there is to send; a connection that is still being opened takes nothing yet."""
        self._go_on_opening(now_ns)
        if not self._unsent or self._line is None or self._opening is not None:
            return
        try:
            self._unsent = self._unsent[self._line.send(self._unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self.drop(now_ns)

    def _go_on_opening(self, now_ns: int) -> None:
        """Open the connection as far as it goes now."""
        if self._opening is None or self._line is None:
            return
        writable = select.poll()
        writable.register(self._line.fd, select.POLLOUT)
        if not writable.poll(0):
            return  # it has not even connected
        try:
            next(self._opening)
        except StopIteration as end:
            self._opening = None
            if end.value:
                self.drop(now_ns)

    def _receive(self) -> None:
        if self._opening is not None:
            self._go_on_opening(self._seen_ns)
            return
        if self._line is None:
            return
        try:
            data = self._line.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        strange = ""
        if data:
            self._waits_since_ns = None
            try:
                strange = self._router.told(self._node, data)
            except ProtocolBreach as breach:
                strange, data = str(breach), b""
        if strange:
            self._complain(self._node, strange)
        if not data:
            self.drop(self._seen_ns)
