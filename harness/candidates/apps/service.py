"""A real server in the place of an actor of the reference fleet: what places ask of the actor, it is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

Hear = Callable[[Any], None]
"""Told a message of the service, as if its actor had sent it."""


class Service(Protocol):
    """A server that plays a part. All methods raise ``OSError`` where it does not answer."""

    async def open(self, hear: Hear) -> None:
        """Reach it, and begin to listen to it."""

    async def ask(self, request: Any) -> Any:
        """The reply to a request. Raises ``Refused`` where it was certainly not carried out."""

    async def tell(self, message: Any) -> None:
        """Say a message that wants no reply."""

    async def probe(self, mark: bytes) -> None:
        """Send a mark over a connection of its own, return when it is answered."""
