"""The shared cache tier: one server that all nodes ask, like memcached. It forgets everything when it is restarted.

Whoever finds nothing with ``Lease`` may win the right to fill: a token, for a while. ``SetIf`` stores only for whoever has the
newest token of the key. A delete, an expiry, a value that is stored and a restart each make older tokens worthless, so a fill
that began before any of them comes to nothing. These are the leases of Facebook (NSDI 2013), and in memcached's meta commands
``mg`` with the flag ``N`` and ``ms`` with the flag ``C``.

An entry lives on the server's monotonic clock: nobody can set it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from harness.reference.effects import Flow, Gate
from harness.reference.node import Actor, Place


class Get(NamedTuple):
    """What is stored under ``key``: ``Found``, or None."""

    key: str


class Lease(NamedTuple):
    """What is stored under ``key``, or else the right to fill it for ``lease_ns``: ``Found``, ``Won`` or ``Busy``."""

    key: str
    lease_ns: int


class Set(NamedTuple):
    """Store ``content`` under ``key`` for ``ttl_ns``, whatever is there; the reply is True."""

    key: str
    content: Any
    ttl_ns: int


class SetIf(NamedTuple):
    """Store ``content`` under ``key`` for ``ttl_ns`` if ``token`` still is its newest; the reply tells whether it was."""

    key: str
    content: Any
    ttl_ns: int
    token: int


class Delete(NamedTuple):
    """Store nothing under ``key`` and let nobody fill it who has begun; the reply tells whether anything was there."""

    key: str


class Clear(NamedTuple):
    """Delete everything; the reply is True."""


class Ping(NamedTuple):
    """Are you there? The reply is True."""


class Found(NamedTuple):
    """What is stored, and its token: for who wants to replace it."""

    content: Any
    token: int


class Won(NamedTuple):
    """Nothing is stored; fill it with this token."""

    token: int


class Busy(NamedTuple):
    """Nothing is stored, and somebody else fills it."""


class Item(NamedTuple):
    """What the store has under a key.

    Attributes:
        content: the value; None while it is only leased.
        token: its newest.
        until_ns: when it is gone, on the store's monotonic clock.
    """

    content: Any
    token: int
    until_ns: int


class Store(Actor):
    """The server.

    Attributes:
        items: what it has, by key.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.items: dict[str, Item] = {}
        # Tokens of an earlier life of this server must not fit again, as they would if the count began at 1.
        self._token = place.random.getrandbits(48)

    def serve(self, source: str, request: Any) -> Flow[Any]:
        """Each request takes effect at one moment."""
        yield Gate("store.before-answer")
        match request:
            case Get(key):
                item = self.live(key)
                return None if item is None or item.content is None else Found(item.content, item.token)
            case Lease(key, lease_ns):
                return self.lease(key, lease_ns)
            case Set(key, content, ttl_ns):
                self.put(key, content, ttl_ns)
                return True
            case SetIf(key, content, ttl_ns, token):
                return self.put_if(key, content, ttl_ns, token)
            case Delete(key):
                return self.items.pop(key, None) is not None
            case Clear():
                self.items.clear()
                return True
            case Ping():
                return True
        return (yield from super().serve(source, request))

    def live(self, key: str) -> Item | None:
        """What is under ``key`` and not over."""
        item = self.items.get(key)
        if item is not None and item.until_ns <= self.place.monotonic_ns():
            del self.items[key]
            return None
        return item

    def lease(self, key: str, lease_ns: int) -> Found | Won | Busy:
        """The value, or the right to fill it if nobody has that."""
        item = self.live(key)
        if item is None:
            return Won(self.put(key, None, lease_ns))
        return self.taken(item) if item.content is None else Found(item.content, item.token)

    def taken(self, item: Item) -> Won | Busy:  # noqa: ARG002 - for those who answer otherwise
        """What is told to whoever finds that somebody else has the right to fill ``item``."""
        return Busy()

    def put(self, key: str, content: Any, ttl_ns: int) -> int:
        """Store it with a new token; the token."""
        self._token += 1
        self.items[key] = Item(content, self._token, self.place.monotonic_ns() + ttl_ns)
        return self._token

    def put_if(self, key: str, content: Any, ttl_ns: int, token: int) -> bool:
        """Store it if ``token`` is the newest."""
        item = self.live(key)
        if item is None or item.token != token:
            return False
        self.put(key, content, ttl_ns)
        return True
