"""What a strategy has to do with: the place it runs at, and what is asked of it."""

from __future__ import annotations

from random import Random
from typing import Any, Protocol

from harness.reference.effects import Flow, Refused, Unreachable
from harness.reference.messages import Value
from harness.reference.settings import Settings


class Place(Protocol):
    """Where an actor runs: a cache node, the origin, the bus, the shared store. All it knows of the world, and can do at once.

    Attributes:
        name: its own.
        peers: the names of all cache nodes, its own included if it is one.
        settings: the fleet's.
        random: seeded.
    """

    name: str
    peers: tuple[str, ...]
    settings: Settings
    random: Random

    def monotonic_ns(self) -> int:
        """The place's own monotonic clock: it may run fast or slow, never back."""

    def wall_ns(self) -> int:
        """The place's own wall clock: somebody may set it."""

    def send(self, to: str, message: Any) -> None:
        """Say ``message`` to another place, which hears it or not."""

    def become(self, role: str) -> None:
        """From now on the place answers as someone else, say as the primary: a new epoch, in which it may go back."""

    def spawn(self, flow: Flow[None]) -> None:
        """Begin ``flow`` and go on; what it raises of ``Unreachable`` and ``Refused`` is nobody's business."""


class Actor:
    """Somebody at a place, who hears messages and serves requests. All that it knows is in it."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.settings = place.settings

    def start(self) -> None:
        """Begin what goes on by itself; nothing unless it is overridden."""

    def survivor(self) -> Actor:
        """Who is here after the process has died and begun again with its disk: somebody new, unless it is overridden."""
        return type(self)(self.place)

    def hear(self, source: str, message: Any) -> None:
        """Take in a message that wants no reply. An unknown one is no message of this fleet."""
        raise TypeError(f"{type(self).__name__} at {self.place.name} does not understand {message!r} of {source}")

    def serve(self, source: str, request: Any) -> Flow[Any]:
        """Carry out a request of another place; what the flow returns is the reply."""
        raise TypeError(f"{type(self).__name__} at {self.place.name} does not understand {request!r} of {source}")


class Strategy(Actor):
    """A cache node: one part of a coherence strategy. Clients ask it to read and write; it asks whom it needs.

    Flows may raise ``Unreachable`` (a read has failed then, and of a write nobody knows) and ``Refused`` (nothing was done).
    """

    def read(self, key: str) -> Flow[Value | None]:
        """The value of ``key`` as far as this node knows; None where there is none."""
        raise NotImplementedError

    def write(self, value: Value) -> Flow[None]:
        """Make ``value`` the newest of its key; a delete is a value that is ``gone``."""
        raise NotImplementedError

    def read_many(self, keys: tuple[str, ...]) -> Flow[tuple[Value | None, ...]]:
        """The values of ``keys``, asked for in one request; each for itself, unless it is overridden."""
        found = []
        for key in keys:
            found.append((yield from self.read(key)))  # noqa: PERF401 - a comprehension cannot yield
        return tuple(found)

    def write_many(self, values: tuple[Value, ...]) -> Flow[None]:
        """Make each of ``values`` the newest of its key; each for itself, unless it is overridden."""
        for done, value in enumerate(values):
            try:
                yield from self.write(value)
            except Refused as refused:
                if done:
                    raise Unreachable(f"{done} of {len(values)} keys are written: {refused}") from None
                raise
