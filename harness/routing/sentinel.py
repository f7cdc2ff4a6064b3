"""Redis Sentinel's clients: writes go to whoever the sentinels say is the primary.

As client libraries do it: they hear ``+switch-master`` from every sentinel that they reach, and where the primary is lost or
turns out to be none, they ask for it by name until some sentinel tells of another. Any sentinel is believed, the first one that
speaks; until then, the old primary is asked. So a client that was cut off together with the old primary and one sentinel stays
with both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import hiredis

from harness.clients import ProtocolBreach
from harness.durations import parse_duration
from harness.history import Function
from harness.routing import Redirect

ASK_EVERY_NS = parse_duration("100ms")
"""How often the sentinels are asked for the primary while it is in doubt."""

DOUBT_NS = parse_duration("1s")
"""How long a loss leaves the primary in doubt, where the sentinels hold to it."""

_LONG_LIST = re.compile(rb"[*%~>|]\d{4,}\r")
"""The head of a list that no sentinel sends; the parser would make room for it at once."""


@dataclass(frozen=True, slots=True)
class SentinelRouting:
    """A fleet with sentinels, as its clients find it.

    Attributes:
        name: what the sentinels call the primary.
        primary: the node that is it.
        sentinels: their indices.
        addresses: the nodes that may become primary, by ``host:port``.
    """

    name: str
    primary: int
    sentinels: tuple[int, ...]
    addresses: Mapping[str, int]

    def router(self) -> SentinelRouter:
        """A router that knows this much."""
        return SentinelRouter(self)


class SentinelRouter:
    """See ``harness.routing.Informed``."""

    greeting = b""

    def __init__(self, routing: SentinelRouting) -> None:
        self.sources = routing.sentinels
        self._name = routing.name
        self._addresses = routing.addresses
        self._primary = routing.primary
        self._doubted = False
        self._doubted_until_ns = 0
        self._asked_ns = -ASK_EVERY_NS
        self._readers: dict[int, Any] = {}

    @property
    def nodes(self) -> tuple[int, ...]:
        """The primary alone."""
        return (self._primary,)

    def place(self, key: bytes, function: Function, session: int, at_ns: int) -> int:  # noqa: ARG002 - there is one primary for all
        """The primary."""
        return self._primary

    def ahead(self, node: int, session: int) -> bytes:  # noqa: ARG002
        """Nothing."""
        return b""

    def redirected(self, key: bytes, answer: str, node: int) -> Redirect | None:  # noqa: ARG002 - see harness.routing.Router
        """Nobody redirects here."""
        return None

    def refused(self, node: int, error: str, at_ns: int) -> None:
        """A primary that is read-only is none any more."""
        if error.startswith(("READONLY", "LOADING", "MASTERDOWN")):
            self.lost(node, at_ns)

    def lost(self, node: int, at_ns: int) -> None:
        """Ask the sentinels, if it is the primary that was lost."""
        if node == self._primary:
            self._doubted = True
            self._doubted_until_ns = at_ns + DOUBT_NS

    def connected(self, source: int) -> bytes:
        """RESP3, which allows for questions on the connection that listens; and the question that it missed the news of."""
        self._readers[source] = hiredis.Reader()
        subscribe = command("HELLO", "3") + command("SUBSCRIBE", "+switch-master")
        return subscribe + (self._question() if self._doubted else b"")

    def told(self, source: int, data: bytes) -> str:
        """A switch counts at any time, an answer only while the primary is in doubt, and only if it tells of another."""
        reader = self._readers[source]
        if _LONG_LIST.search(data):
            raise ProtocolBreach("a list of thousands is no answer of a sentinel")
        reader.feed(data)
        strange = ""
        try:
            while (reply := reader.gets()) is not False:
                strange = strange or self._learn(reply)
        except hiredis.ProtocolError as error:
            raise ProtocolBreach(str(error)) from None
        return strange

    def asks(self, at_ns: int) -> bytes:
        """Who the primary is, every 100 ms while it is in doubt."""
        self._doubted = self._doubted and at_ns < self._doubted_until_ns
        if not self._doubted or at_ns - self._asked_ns < ASK_EVERY_NS:
            return b""
        self._asked_ns = at_ns
        return self._question()

    def _question(self) -> bytes:
        return command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._name)

    def _learn(self, reply: Any) -> str:
        """Believe what a sentinel says of the primary; what it says that makes no sense."""
        match reply:
            case hiredis.PushNotification([b"message", _, bytes(text)]):
                match text.split():
                    case [name, _, _, host, port]:
                        return self._follow(host, port) if name == self._name.encode() else ""
                    case _:
                        return f"no news of a primary: {text[:200]!r}"
            case hiredis.PushNotification():
                return ""
            case [bytes(host), bytes(port)]:
                return self._follow(host, port) if self._doubted else ""
            case hiredis.ReplyError():
                return f"refused to say who the primary is: {str(reply)[:200]}"
            case _:
                return ""

    def _follow(self, host: bytes, port: bytes) -> str:
        there = self._addresses.get(f"{host.decode(errors='replace')}:{port.decode(errors='replace')}")
        if there is None:
            return f"names a primary that is no node: {host!r}:{port!r}"
        if there != self._primary:
            self._primary = there
            self._doubted = False
        return ""


def command(*words: str) -> bytes:
    """``words`` as a server reads them."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word.encode()), word.encode()) for word in words)
