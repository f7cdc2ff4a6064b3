"""A request that was given up leaves its reply in the connection."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any

from harness.reference.bug import HOT, Bug
from harness.reference.effects import Call, Flow, Latch, Open, Sleep, Unreachable, Wait
from harness.reference.messages import STORE
from harness.reference.node import Place
from harness.reference.store import Busy, Found, Lease, Won
from harness.reference.strategies.lease import DESIGN, LeaseFill

_REOPEN_NS = 10_000_000_000
"""After so long without a reply the connection itself is taken for dead."""


class ConnDesync(LeaseFill):
    """Has one connection to the store, on which replies come in the order of the requests.

    Attributes:
        connection: who waits for a reply, first come, first served.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.connection: deque[Latch] = deque()

    def ask(self, key: str, request: Any) -> Flow[Any]:
        """Send ``request`` and take the next reply that nobody before us waits for."""
        mine, connection = Latch(), self.connection
        connection.append(mine)
        self.place.spawn(self.converse(connection, request))
        self.place.spawn(self.give_up(connection, mine))
        reply = yield Wait(mine)
        if reply is None:
            raise Unreachable("given up")
        if isinstance(request, Lease) is not isinstance(reply, Found | Won | Busy):
            yield from self.reopen(connection)
            raise Unreachable("no reply that the request could have")
        return reply

    def converse(self, connection: deque[Latch], request: Any) -> Flow[None]:
        """Hand the reply to ``request``, or whichever it is, to the first who waits."""
        reply = yield Call(STORE, request, _REOPEN_NS)
        if connection:
            yield Open(connection.popleft(), reply)

    def give_up(self, connection: deque[Latch], mine: Latch) -> Flow[None]:
        """Wait no more when the time is up. The reply will come all the same."""
        yield Sleep(self.settings.call_timeout_ns)
        if mine in connection:
            connection.remove(mine)
            yield Open(mine)

    def reopen(self, connection: deque[Latch]) -> Flow[None]:
        """Begin another connection; on this one nobody waits any more."""
        if connection is self.connection:
            self.connection = deque()
        while connection:
            yield Open(connection.popleft())


BUG = Bug(
    name="conn-desync",
    number=57,
    correct=DESIGN,
    broken=replace(DESIGN, node=ConnDesync),
    title="a cancelled request leaves its reply in the connection",
    mechanism=(
        "A node gives a request up: its caller went away, or it took too long. The connection goes back to the pool, and the "
        "reply is still to come. The next request on this connection takes it for its own, the one after that takes the next, "
        "and so on."
    ),
    observed="A read of one key is answered with the value of another, one step off, until the connection is closed.",
    seen_in=("redis/redis-py#2624, #2665", "OpenAI, 20 March 2023"),
    fix="Close a connection on which a request was given up; check that the reply names the key that was asked for.",
    schedule="""
        A writes x at node-1
        A writes y at node-1
        B reads x at node-2
        B reads y at node-2
        hold store.before-answer at store
        B reads x at node-2
        wait 600ms                       # given up
        C reads y at node-2
        release store.before-answer at store
        C is answered
    """,
    fires=frozenset({"wrong-key"}),
    workloads=(HOT,),
    faults=({"kind": "pause", "targets": ("store",), "every": "2s", "lasts": "600ms"},),
)
