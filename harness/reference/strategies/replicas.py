"""Asynchronous replicas that anybody may read, of values that live for a while.

The source is the primary: it takes all writes and gives each value a time to live. Every node is a replica of all keys. It pulls
what has changed since its last pull, again and again, and answers reads with what it has.

A value goes over with the time that it has *left*, counted by the source when it answers. The replica takes that time from when
it *asked*, so whatever the pull takes, the value dies at the replica no later than at the source, and earlier by no more than the
pull took: one that takes too long is given up. It dies by the replica's own monotonic clock, whether the source is to be reached
or not.

A replica that has just started answers nothing before its first pull.

Promise: a read is stale for no longer than a pull and the pause before it, across a cut no longer than the cut and a pull that
was lost in it; and no value outlives its time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from harness.plan import Contract
from harness.reference.clocks import SLOWEST_CLOCK
from harness.reference.design import Design, bounded
from harness.reference.effects import Call, Flow, Gate, Refused, Sleep, Unreachable
from harness.reference.messages import ORIGIN, Commit, Value
from harness.reference.node import Place, Strategy
from harness.reference.origin import Origin
from harness.reference.settings import Settings


class Pull(NamedTuple):
    """To the source: what has been committed after the first ``after`` commits; the reply is ``Changes``."""

    after: int


class Change(NamedTuple):
    """A commit, and how long its value has left to live, in ns."""

    value: Value
    left_ns: int


class Changes(NamedTuple):
    """From the source: ``changes`` in their order, and the number of commits that the replica has with them."""

    upto: int
    changes: tuple[Change, ...]


class ReplicatedOrigin(Origin):
    """A source that hands its commits to replicas, in order."""

    def serve(self, source: str, request: Any) -> Flow[Any]:
        """Answer a pull."""
        match request:
            case Pull(after):
                yield Sleep(self.settings.load_ns)
                now_ns = self.place.monotonic_ns()
                news = self.audit[after:]
                changes = tuple(Change(value, at_ns + self.settings.ttl_ns - now_ns) for at_ns, value in news)
                return Changes(len(self.audit), changes)
        return (yield from super().serve(source, request))


class Living(NamedTuple):
    """A value at a replica, and until when it lives on the replica's monotonic clock."""

    value: Value
    until_ns: int


class Replica(Strategy):
    """One node.

    Attributes:
        copies: the latest value of each key.
        upto: how many commits it has; None before the first pull.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.copies: dict[str, Living] = {}
        self.upto: int | None = None

    def start(self) -> None:
        """Pull for ever."""
        self.place.spawn(self._pulls())

    def read(self, key: str) -> Flow[Value | None]:
        """What this replica has."""
        if self.upto is None:
            raise Refused("this replica has no data yet")
        yield Gate("read.before-lookup", key)
        copy = self.copies.get(key)
        return copy.value if copy is not None and self.lives(copy) else None

    def lives(self, copy: Living) -> bool:
        """Whether the time of ``copy`` is not over."""
        return self.place.monotonic_ns() < copy.until_ns

    def write(self, value: Value) -> Flow[None]:
        """At the source."""
        yield Call(ORIGIN, Commit(value))

    def take(self, asked_ns: int, changes: Changes) -> None:
        """Have what has been pulled."""
        for value, left_ns in changes.changes:
            self.copies[value.key] = Living(value, self.dies_ns(asked_ns, left_ns))
        self.upto = changes.upto

    def dies_ns(self, asked_ns: int, left_ns: int) -> int:
        """Until when a value lives that had ``left_ns`` when the source answered, which it was asked to at ``asked_ns``."""
        return asked_ns + left_ns

    def _pulls(self) -> Flow[None]:
        while True:
            asked_ns = self.place.monotonic_ns()
            try:
                changes: Changes = yield Call(ORIGIN, Pull(self.upto or 0), self.settings.silence_ns)
            except Unreachable:
                continue
            yield Gate("replica.before-apply")
            self.take(asked_ns, changes)
            yield Sleep(self.settings.heartbeat_ns)


def promise(settings: Settings, hop_ns: int) -> Contract:
    """A pause, and a pull; if something is broken, one in vain. A pull may shorten lives, a slow clock may stretch them."""
    lag_ns = settings.heartbeat_ns + settings.load_ns + 3 * hop_ns
    grace_ns = max(settings.silence_ns, round(settings.ttl_ns / SLOWEST_CLOCK) - settings.ttl_ns)
    return bounded(
        lag_ns,
        settings.silence_ns + lag_ns,
        ttl={"max": f"{settings.ttl_ns}ns", "grace": f"{grace_ns}ns"},
        sessions={"monotonic_reads": "same-node"},
    )


DESIGN = Design("replicas", Replica, promise, origin=ReplicatedOrigin)
