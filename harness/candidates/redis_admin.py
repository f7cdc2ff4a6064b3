"""The harness's own connections to Redis-like servers: a handful of commands a second, past the path that is timed.

A server under test may be paused, cut off, killed, or talk nonsense. Each of these ends in an ``OSError`` within the time-out.
A time-out does not close the connection: what becomes of an *existing* connection during a fault is the very thing to observe.
"""

from __future__ import annotations

import asyncio
from typing import Any

import hiredis

from harness.clients.resp import LISTS
from harness.runtimes.base import Endpoint

TIMEOUT_NS = 500_000_000
"""How long a server may take to answer the harness before it counts as silent."""

_CHUNK = 65_536


class UnusableAnswerError(OSError):
    """The server answered with an error, or with something that is no answer to the question."""


class Connection:
    """One RESP connection: commands go out, replies come back in the same order."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._parser = hiredis.Reader(encoding="utf-8", errors="replace")

    @property
    def is_open(self) -> bool:
        """Whether the connection is there, as far as this side knows."""
        return self._streams is not None and not self._streams[0].at_eof() and self._streams[0].exception() is None

    async def open(self) -> None:
        """Connect anew; raises ``OSError``."""
        self.close()
        self._streams = await asyncio.open_connection(*self.endpoint)
        self._parser = hiredis.Reader(encoding="utf-8", errors="replace")

    def send(self, *words: str) -> None:
        """Hand a command to the connection."""
        if self._streams is None:
            raise ConnectionResetError(f"the connection to {self} is closed")
        self._streams[1].write(hiredis.pack_command(words))  # type: ignore[arg-type]  # its stub says a tuple of one word

    async def receive(self) -> Any:
        """The next reply; an error reply is a value, too. Raises ``OSError`` if the connection ends or the bytes are no RESP."""
        while True:
            try:
                reply = self._parser.gets()
            except hiredis.ProtocolError as error:
                self.close()
                raise UnusableAnswerError(f"{self} answered garbage: {error}") from None
            if reply is not False:
                return reply
            data = await self._streams[0].read(_CHUNK) if self._streams else b""
            if not data:
                self.close()
                raise ConnectionResetError(f"{self} closed the connection")
            if data.startswith(LISTS) and not self._parser.has_data():
                self.close()
                raise UnusableAnswerError(f"{self} answered garbage: a list")
            self._parser.feed(data)

    def close(self) -> None:
        """Give the socket back; the connection can be opened again."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    def __str__(self) -> str:
        return f"{self.endpoint.host}:{self.endpoint.port}"


class Admin:
    """Commands to one server over one kept connection, one at a time, each with a time-out; reconnects when it has to."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._connection = Connection(endpoint)
        self._turn = asyncio.Lock()
        self._owed = 0  # replies to commands that nobody waits for any more; they come first

    @property
    def endpoint(self) -> Endpoint:
        """Whose connection it is."""
        return self._connection.endpoint

    async def call(self, *words: str, within_ns: int = TIMEOUT_NS) -> Any:
        """The reply to a command; raises ``OSError`` if there is none in time, or an error for a reply."""
        try:
            async with asyncio.timeout(within_ns / 1e9), self._turn:
                reply = await self._exchange(words)
        except TimeoutError:
            raise TimeoutError(f"{self._connection} did not answer {words[0]} within {within_ns / 1e6:.0f}ms") from None
        if isinstance(reply, hiredis.ReplyError):
            raise UnusableAnswerError(f"{self._connection} answered {words[0]} with {reply}")
        return reply

    async def _exchange(self, words: tuple[str, ...]) -> Any:
        if not self._connection.is_open:
            await self._connection.open()
            self._owed = 0
        self._connection.send(*words)
        self._owed += 1
        while True:
            reply = await self._connection.receive()
            self._owed -= 1
            if self._owed == 0:
                return reply

    async def info(self, section: str) -> dict[str, str]:
        """The fields of one section of INFO; raises ``OSError``."""
        text = await self.call("INFO", section)
        if not isinstance(text, str):
            raise UnusableAnswerError(f"{self._connection} answered INFO with {text!r:.80}")
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    async def info_number(self, section: str, field: str) -> int:
        """One field of INFO that is a whole number; raises ``OSError``."""
        text = (await self.info(section)).get(field, "")
        if not text.isdecimal():
            raise UnusableAnswerError(f"{self._connection} says {text!r:.80} for {field}")
        return int(text)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
