"""Connections to a server behind an application: a pool for commands, and one connection apart for marks.

A connection on which anything went wrong is closed, never used again: the answer that it still owes would pass for another's.
What was sent on it may arrive all the same, at any later time.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple


class Connection(NamedTuple):
    """A stream to a server and back."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def usable(self) -> bool:
        """Whether it is there, as far as this side knows."""
        return not self.reader.at_eof() and self.reader.exception() is None

    def close(self) -> None:
        """Close it without waiting for anybody."""
        self.writer.close()


@dataclass(frozen=True, slots=True)
class Peer:
    """A server: where it is, and how it is spoken to first.

    Attributes:
        tls: what connections are made with; None for plain ones.
        introduce: says who we are on a new connection, and raises ``OSError`` where that is not good enough; None where nobody
            is asked.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    introduce: Callable[[Connection], Awaitable[None]] | None = None

    async def connect(self) -> Connection:
        """A new connection that has been let in; raises ``OSError``."""
        connection = Connection(*await asyncio.open_connection(self.host, self.port, ssl=self.tls))
        if self.introduce is not None:
            try:
                await self.introduce(connection)
            except BaseException:
                connection.close()
                raise
        return connection


class UnreachableError(OSError):
    """There is no connection, so nothing was sent."""


class OpenEndedError(OSError):
    """A server did not confirm what it was asked, and may carry it out at any later time, until ``session`` has ended there.

    Attributes:
        session: the server's name for the session in which it was asked.
        cause: what went wrong.
    """

    def __init__(self, session: str, cause: OSError) -> None:
        super().__init__(f"{type(cause).__name__} in session {session}")
        self.session = session
        self.cause = cause


class Pool:
    """Connections to ``peer``, made as they are needed and kept.

    Args:
        timeout_s: how long it may take to connect, and how long an exchange.
    """

    def __init__(self, peer: Peer, timeout_s: float) -> None:
        self._peer = peer
        self._timeout_s = timeout_s
        self._idle: list[Connection] = []

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Connection]:
        """A connection for one exchange.

        Raises ``UnreachableError`` if there is none, and lets ``OSError`` (``TimeoutError`` is one) of the exchange through.
        """
        connection = await self._take()
        try:
            async with asyncio.timeout(self._timeout_s):
                yield connection
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)

    async def _take(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            connection.close()
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._peer.connect()
        except OSError as error:
            raise UnreachableError(f"no connection: {type(error).__name__}") from None


class MarkedConnection:
    """One connection that is kept through thick and thin, so that marks cross what existed before a fault.

    Args:
        exchange: sends a mark over a connection; returns the mark of the next answer, whichever it is.
    """

    def __init__(self, peer: Peer, exchange: Callable[[Connection, bytes | None], Awaitable[bytes]]) -> None:
        self._peer = peer
        self._exchange = exchange
        self._connection: Connection | None = None

    async def carry(self, mark: bytes) -> None:
        """Send ``mark``, return when it is answered; raises ``OSError``. Who gives up waiting leaves the connection as it is."""
        if self._connection is None or not self._connection.usable:
            self._connection = await self._peer.connect()
        try:
            answered = await self._exchange(self._connection, mark)
            while answered != mark:  # an answer to an earlier mark, late
                answered = await self._exchange(self._connection, None)
        except OSError:
            self._connection.close()
            self._connection = None
            raise
