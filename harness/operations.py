"""What passes between a session and the driver: an operation goes out, its outcome comes back.

Both are tuples, because a run makes hundreds of thousands a second of them. One request may be for several keys (MGET, MSET): all
of them have the same call, return and status, and in the history each key has a row of its own.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple, Protocol

from harness.history import Function, Seen, Status


class Operation(NamedTuple):
    """One request that a session wants made.

    Attributes:
        function: what to do.
        key: index of the key in the run's ``Keyspace``.
        node: index of the node to ask, or ``harness.topology.ROUTED``.
        version: version to write; -1 for reads.
        due_ns: earliest time of the call, in ns since the start of the run; 0 is at once. With an open-loop schedule this is
            the arrival time, whether or not the session was free by then.
        group: operations of one probe round share a group, and so do the keys of one request; -1 where alone.
        beside: the further keys of the same request, each with the version to write, or -1.
    """

    function: Function
    key: int
    node: int
    version: int = -1
    due_ns: int = 0
    group: int = -1
    beside: tuple[tuple[int, int], ...] = ()

    @property
    def items(self) -> tuple[tuple[int, int], ...]:
        """Every key of the request with the version to write, in order."""
        return ((self.key, self.version), *self.beside)


class Outcome(NamedTuple):
    """What became of an operation.

    Attributes:
        status: of the whole request.
        call_ns, return_ns: of it as well; the return is the time at which the session goes on, for ``info`` too.
        seen, version: what a read found of its key.
        beside: the same of each further key.
    """

    status: Status
    call_ns: int
    return_ns: int
    seen: Seen = Seen.NOTHING
    version: int = -1
    beside: tuple[tuple[Seen, int], ...] = ()


Session = Generator[Operation, Outcome, None]
"""A workload's session: yields an operation, is sent its outcome; pure, seeded, without a clock."""


class Keyspace(Protocol):
    """The keys of one worker process; sessions add fresh ones as they go."""

    def add(self, name: str, *, ordered: bool = True) -> int:
        """The index of a new key called ``name``; ``ordered`` where its versions are the order of its writes."""
