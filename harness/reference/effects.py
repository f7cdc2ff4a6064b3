"""What a node's flow can wait for. A flow is a generator: it yields an effect and is sent the result.

So the code of a strategy reads from top to bottom like a thread, and yet does no I/O, reads no clock and never blocks: whoever
runs it decides what an effect means. The simulation gives it virtual time and a virtual network, a server gives it sockets.

    record = yield Call(ORIGIN, Fetch(key))        a request and its reply
    replies = yield Calls(tuple(...))              several at once; None for those without a reply
    yield Sleep(node.settings.heartbeat_ns)        time on the node's own monotonic clock
    yield Gate("fill.before-put", key)             a point where a schedule may hold the flow
    yield Wait(latch)                              what another flow of this node will find out
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class Unreachable(Exception):  # noqa: N818 - a state of the network, as the flow sees it
    """No reply came in time, or none can come: nobody knows whether the request was carried out."""


class Refused(Exception):  # noqa: N818 - an answer, as the flow sees it
    """The request was certainly not carried out; the message says why."""


class Call(NamedTuple):
    """A request to another place; the flow is sent its reply.

    Raises ``Unreachable`` into the flow if none comes within ``within_ns`` (0: within the fleet's time-out), and ``Refused`` if
    the other side refused.
    """

    to: str
    request: Any
    within_ns: int = 0


class Calls(NamedTuple):
    """Several requests at once; the flow is sent the replies in this order, ``None`` for each that got none."""

    calls: tuple[Call, ...]


class Sleep(NamedTuple):
    """Time that passes on the node's own monotonic clock."""

    ns: int


class Gate(NamedTuple):
    """A named point of a flow. Schedules hold flows there to force a race; otherwise nothing happens."""

    name: str
    key: str = ""


class Latch:
    """A result that several flows of one node wait for. Set once."""

    __slots__ = ("result", "set_", "waiting")

    def __init__(self) -> None:
        self.set_ = False
        self.result: Any = None
        self.waiting: list[Any] = []
        """Whoever runs the flows keeps those here that wait."""


class Wait(NamedTuple):
    """Wait until ``latch`` is set; the flow is sent its result."""

    latch: Latch


class Open(NamedTuple):
    """Set ``latch`` to ``result``: every flow that waits for it goes on."""

    latch: Latch
    result: Any = None


Effect = Call | Calls | Sleep | Gate | Wait | Open

Flow = Generator[Effect, Any, T]
