"""The bus that carries invalidations from whoever writes to every cache node, with the delivery that its class promises.

=====================  ================================================================================================
``Broadcast``          at most once: whoever is cut off, paused too long or just starting has missed it. Order per link is kept
``Log``                at least once: numbered and kept; subscribers who miss a number ask for the rest again, in order
=====================  ================================================================================================

Both tell their subscribers now and then how much was published (``Beat``), so that a loss can be noticed. A publisher has its
reply once the bus has the event: not when anybody has heard it.
"""

from __future__ import annotations

from typing import Any

from harness.reference.effects import Flow, Gate, Sleep
from harness.reference.messages import Beat, Count, Delivery, Publish, Redeliver
from harness.reference.node import Actor, Place


class Broadcast(Actor):
    """A bus that delivers at most once, like publish/subscribe in Redis.

    Attributes:
        published: how many events there were.
        run: whose count that is: a bus that has forgotten it begins another run, with a number that nobody had before.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.published = 0
        self.run = place.random.getrandbits(32)

    def start(self) -> None:
        """Beat for ever."""
        self.place.spawn(self._beat())

    def serve(self, source: str, request: Any) -> Flow[Any]:
        """Take an event in and pass it on; the reply is its number."""
        match request:
            case Publish(event):
                yield Gate("bus.before-publish")
                return self.publish(event)
            case Count():
                return self.published
        return (yield from super().serve(source, request))

    def publish(self, event: Any) -> int:
        """Pass ``event`` on to every node; its number."""
        self.published += 1
        delivery = Delivery(self.published, event, self.run)
        for node in self.place.peers:
            self.place.send(node, delivery)
        return self.published

    def _beat(self) -> Flow[None]:
        while True:
            yield Sleep(self.settings.heartbeat_ns)
            beat = Beat(self.published, self.run)
            for node in self.place.peers:
                self.place.send(node, beat)


class Log(Broadcast):
    """A bus that keeps what it carries, like a stream in Redis: who missed an event can have it again.

    Attributes:
        events: all of them; the first has number 1.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.events: list[Any] = []

    def survivor(self) -> Actor:
        """The same: the log is on disk."""
        return self

    def publish(self, event: Any) -> int:
        """Keep ``event`` and pass it on; its number."""
        self.events.append(event)
        return super().publish(event)

    def hear(self, source: str, message: Any) -> None:
        """Deliver again, in order."""
        match message:
            case Redeliver(number):
                for at, event in enumerate(self.events[number - 1 :], number):
                    self.place.send(source, Delivery(at, event, self.run))
            case _:
                super().hear(source, message)
