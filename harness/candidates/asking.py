"""The harness's own connections to servers that answer one request after the other: a few a second, past the timed path.

A server under test may be paused, cut off, killed, or talk nonsense. Each of these ends in an ``OSError`` within the time-out.
A time-out does not close the connection: what becomes of an *existing* connection during a fault is the very thing to observe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from harness.clients import ProtocolBreach
from harness.clients.access import OPEN, Access
from harness.runtimes.base import Endpoint

TIMEOUT_NS = 500_000_000
"""How long a server may take to answer the harness before it counts as silent."""

_CHUNK = 65_536

A_co = TypeVar("A_co", covariant=True)
A = TypeVar("A")


class UnusableAnswerError(OSError):
    """The server answered with an error, or with something that is no answer to the question."""


class Parser(Protocol[A_co]):
    """Cuts a stream of bytes into answers."""

    def feed(self, data: bytes) -> None:
        """Take in bytes. Raises ``ProtocolBreach``."""

    def next(self) -> A_co | None:
        """The next answer; None while it is not whole. Raises ``ProtocolBreach``."""


@dataclass(frozen=True, slots=True)
class Greeting(Generic[A]):
    """What is said first on a new connection.

    Attributes:
        request: the bytes.
        refusal: tells of the answer what is wrong with it; empty if nothing.
    """

    request: bytes
    refusal: Callable[[A], str]


class Connection(Generic[A]):
    """One connection: requests go out, answers come back in the same order.

    Args:
        endpoint: to whom.
        parser: makes the parser of a new connection.
        access: how one is let in.
        greeting: how one says so, in a protocol in which that comes first; None where there is nothing to say.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        parser: Callable[[], Parser[A]],
        *,
        access: Access = OPEN,
        greeting: Greeting[A] | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.access = access
        self._greeting = greeting
        self._new_parser = parser
        self._parser = parser()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def is_open(self) -> bool:
        """Whether the connection is there, as far as this side knows."""
        return self._streams is not None and not self._streams[0].at_eof() and self._streams[0].exception() is None

    async def open(self) -> None:
        """Connect anew and be let in; raises ``OSError``."""
        self.close()
        tls = self.access.tls.context() if self.access.tls else None
        self._streams, self._parser = await asyncio.open_connection(*self.endpoint, ssl=tls), self._new_parser()
        if self._greeting is None:
            return
        try:
            self.send(self._greeting.request)
            refusal = self._greeting.refusal(await self.receive())
        except BaseException:
            self.close()  # its late answer would pass for the next one
            raise
        if refusal:
            self.close()
            raise UnusableAnswerError(f"{self} does not let the harness in: {self.access.hide(refusal):.120}")

    def send(self, request: bytes) -> None:
        """Hand a request to the connection."""
        if self._streams is None:
            raise ConnectionResetError(f"the connection to {self} is closed")
        self._streams[1].write(request)

    async def receive(self) -> A:
        """The next answer. Raises ``OSError`` if the connection ends, or the bytes are not of the protocol."""
        while True:
            try:
                answer = self._parser.next()
                if answer is not None:
                    return answer
                data = await self._streams[0].read(_CHUNK) if self._streams else b""
                if not data:
                    self.close()
                    raise ConnectionResetError(f"{self} closed the connection")
                self._parser.feed(data)
            except ProtocolBreach as breach:
                self.close()
                raise UnusableAnswerError(f"{self} answered garbage: {breach}") from None

    def close(self) -> None:
        """Give the socket back; the connection can be opened again."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    def __str__(self) -> str:
        return f"{self.endpoint.host}:{self.endpoint.port}"


class Asking(Generic[A]):
    """Questions over one kept connection, one at a time, each with a time-out; it is opened when it has to be.

    Args:
        connection: to whom.
        last: tells of an answer whether the server closes the connection after it.
    """

    def __init__(self, connection: Connection[A], last: Callable[[A], bool] = lambda _: False) -> None:
        self._connection = connection
        self._last = last
        self._turn = asyncio.Lock()
        self._owed = 0  # answers to questions that nobody waits for any more; they come first

    async def ask(self, request: bytes, what: str, within_ns: int = TIMEOUT_NS) -> A:
        """The answer to ``request``, which messages call ``what``; raises ``OSError`` if there is none in time."""
        try:
            async with asyncio.timeout(within_ns / 1e9), self._turn:
                return await self._exchange(request)
        except TimeoutError:
            raise TimeoutError(f"{self} did not answer {what} within {within_ns / 1e6:.0f}ms") from None

    async def _exchange(self, request: bytes) -> A:
        if not self._connection.is_open:
            await self._connection.open()
            self._owed = 0
        self._connection.send(request)
        self._owed += 1
        while True:
            answer = await self._connection.receive()
            self._owed -= 1
            if self._last(answer):
                self.close()
            if self._owed == 0:
                return answer

    def close(self) -> None:
        """Give the socket back; the next question opens it again."""
        self._connection.close()

    def __str__(self) -> str:
        return str(self._connection)
