"""Routing without sockets: where a client that follows a topology by itself sends an operation, and what it learns on the way.

A *router* is what a client library knows: which node it takes for the owner of a key. It does no I/O and reads no clock; the
driver asks it where to send, tells it what came back, and carries its questions to whoever knows better. Each worker of the
driver has one router, so what one session learns helps the others, as in one application process.

A router is made from a *routing*: a frozen record with all that the candidate knows when the sessions begin.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple, Protocol, runtime_checkable

from harness.history import Function


class Redirect(NamedTuple):
    """Where to ask instead.

    Attributes:
        node: its index.
        ahead: a command to send ahead of the operation, whose answer does not matter; empty for none.
    """

    node: int
    ahead: bytes = b""


class Router(Protocol):
    """What the clients of one worker know of the topology. Nodes are indices.

    Attributes:
        greeting: a command to send ahead of the first operation on a connection, whose answer does not matter; empty for none.
    """

    greeting: bytes

    @property
    def nodes(self) -> tuple[int, ...]:
        """Where operations may be sent as things stand: connections to these are opened before the run."""

    def place(self, key: bytes, function: Function, session: int, at_ns: int) -> int:
        """Where ``session`` sends ``function`` on ``key`` at the time ``at_ns``."""

    def ahead(self, node: int, session: int) -> bytes:
        """What ``session`` sends ahead of the operation that it was told to send to ``node``; empty for nothing, as a rule."""

    def redirected(self, key: bytes, answer: str, node: int) -> Redirect | None:
        """Where to go on, after ``node`` sent the client elsewhere with ``answer``; None if that leads to no known node."""

    def refused(self, node: int, error: str, at_ns: int) -> None:
        """``node`` refused an operation with ``error`` and did not say where to go instead."""

    def lost(self, node: int, at_ns: int) -> None:
        """``node`` refused a connection, did not answer in time, or a connection to it broke."""


@runtime_checkable
class Informed(Router, Protocol):
    """A router that listens to nodes which know the topology, over connections of its own.

    Attributes:
        sources: the nodes to listen to.
    """

    sources: tuple[int, ...]

    def connected(self, source: int) -> bytes:
        """What to say on a new connection to ``source``."""

    def told(self, source: int, data: bytes) -> str:
        """Take in what ``source`` said; what of it made no sense, in words. Raises ``ProtocolBreach``."""

    def asks(self, at_ns: int) -> bytes:
        """What to ask every source now; empty for nothing."""


@runtime_checkable
class Pooled(Router, Protocol):
    """A router whose clients decide by themselves who is in the pool.

    Attributes:
        diverted: how many operations went elsewhere so far because their node had been left out by ``leave_out``.
    """

    diverted: int

    def leave_out(self, nodes: Collection[int], *, every: bool) -> None:
        """From now on, take ``nodes`` for no members; every session, or every other one. Nobody is left out of no nodes."""


class Routing(Protocol):
    """What routers begin with: frozen, and sent to every worker."""

    def router(self) -> Router:
        """A router that knows this much."""
