"""The harness's own connections to Redis-like servers."""

from __future__ import annotations

import re
from typing import Any

import hiredis

from harness.candidates.asking import TIMEOUT_NS, Asking, Connection, Greeting, UnusableAnswerError
from harness.clients import ProtocolBreach
from harness.clients.access import OPEN, Access
from harness.runtimes.base import Endpoint

_LONG_LIST = re.compile(rb"(?:\A|\n)[*%~>|]\d{4,}\r")
"""The head of a list that is no answer to an administrator; the parser would make room for it at once."""

Replied = tuple[Any]
"""One reply; in a tuple, for it may be nothing. An error reply is a value, too."""


class Replies:
    """Cuts a stream into replies."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader(encoding="utf-8", errors="replace")

    def feed(self, data: bytes) -> None:
        """Take in bytes. Raises ``ProtocolBreach``."""
        if _LONG_LIST.search(data):
            raise ProtocolBreach("a list of thousands")
        self._reader.feed(data)

    def next(self) -> Replied | None:
        """The next reply; None while it is not whole. Raises ``ProtocolBreach``."""
        try:
            reply = self._reader.gets()
        except hiredis.ProtocolError as error:
            raise ProtocolBreach(str(error)) from None
        return None if reply is False else (reply,)


class RespConnection(Connection[Replied]):
    """One RESP connection."""

    def __init__(self, endpoint: Endpoint, access: Access = OPEN) -> None:
        super().__init__(endpoint, Replies, access=access, greeting=_greeting(access))

    def command(self, *words: str) -> None:
        """Hand a command to the connection."""
        self.send(_packed(words))

    async def reply(self) -> Any:
        """The next reply; raises ``OSError``."""
        return (await self.receive())[0]


class Admin:
    """Commands to one server over one kept connection, one at a time, each with a time-out; reconnects when it has to."""

    def __init__(self, endpoint: Endpoint, access: Access = OPEN) -> None:
        self.endpoint = endpoint
        self.access = access
        self._asking = Asking(RespConnection(endpoint, access))

    async def call(self, *words: str, within_ns: int = TIMEOUT_NS) -> Any:
        """The reply to a command; raises ``OSError`` if there is none in time, or an error for a reply."""
        (reply,) = await self._asking.ask(_packed(words), words[0], within_ns)
        if isinstance(reply, hiredis.ReplyError):
            raise UnusableAnswerError(f"{self._asking} answered {words[0]} with {reply}")
        return reply

    async def info(self, section: str) -> dict[str, str]:
        """The fields of one section of INFO; raises ``OSError``."""
        text = await self.call("INFO", section)
        if not isinstance(text, str):
            raise UnusableAnswerError(f"{self._asking} answered INFO with {text!r:.80}")
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    async def info_number(self, section: str, field: str) -> int:
        """One field of INFO that is a whole number; raises ``OSError``."""
        text = (await self.info(section)).get(field, "")
        if not text.isdecimal():
            raise UnusableAnswerError(f"{self._asking} says {text!r:.80} for {field}")
        return int(text)

    def close(self) -> None:
        """Close the connection."""
        self._asking.close()


def _greeting(access: Access) -> Greeting[Replied] | None:
    if not access.password:
        return None
    who = (access.username, access.password) if access.username else (access.password,)
    return Greeting(_packed(("AUTH", *who)), lambda answer: "" if answer == ("OK",) else str(answer[0]))


def _packed(words: tuple[str, ...]) -> bytes:
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # its stub says a tuple of one word
    return packed
