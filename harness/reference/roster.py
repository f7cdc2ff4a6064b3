"""The roster: the one place that decides which members of a pool of stores are in use, and tells everybody.

It asks each member all the time whether it is there. Who does not answer is out. Who answers again is cleared before it is in
again: while it was out it was told of no write. A roster that was restarted trusts nobody and clears everybody.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from harness.reference.bus import Broadcast
from harness.reference.effects import Call, Flow, Gate, Sleep, Unreachable
from harness.reference.node import Place
from harness.reference.store import Clear, Ping

POOL = ("store-1", "store-2", "store-3")
"""The members of the pool, in use or not."""


class View(NamedTuple):
    """Which members are in use. Of two views, the one with the higher number is the later one."""

    number: int
    members: tuple[str, ...]


class AskView(NamedTuple):
    """To the roster: the present view."""


class Roster(Broadcast):
    """It sits where the bus is, for it also tells all nodes.

    Attributes:
        view: the present one.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.view = View(0, ())

    def start(self) -> None:
        """Watch every member, and repeat the view for those who missed it."""
        for member in POOL:
            self.place.spawn(self.watch(member))
        self.place.spawn(self.repeat())

    def serve(self, source: str, request: Any) -> Flow[Any]:
        """Tell who asks."""
        if isinstance(request, AskView):
            return self.view
        return (yield from super().serve(source, request))

    def watch(self, member: str) -> Flow[None]:
        """Take ``member`` out when it is silent, and in when it answers."""
        while True:
            try:
                yield Call(member, Ping(), self.settings.silence_ns)
                if member not in self.view.members:
                    yield from self.welcome(member)
                    self.change((*self.view.members, member))
                yield Sleep(self.settings.heartbeat_ns)
            except Unreachable:
                self.change(tuple(other for other in self.view.members if other != member))

    def welcome(self, member: str) -> Flow[None]:
        """What has to be done before ``member`` is used: it forgets what it has."""
        yield Gate("member.before-clear")
        yield Call(member, Clear())

    def change(self, members: tuple[str, ...]) -> None:
        """From now on ``members`` are in use."""
        if set(members) != set(self.view.members):
            # Numbers grow even across restarts, for the clock does.
            self.view = View(max(self.view.number + 1, self.place.monotonic_ns()), tuple(sorted(members)))
            self.tell()

    def tell(self) -> None:
        """Tell every node."""
        for node in self.place.peers:
            self.place.send(node, self.view)

    def repeat(self) -> Flow[None]:
        """Tell every node again and again."""
        while True:
            yield Sleep(self.settings.heartbeat_ns)
            self.tell()
