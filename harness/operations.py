"""What passes between a session and the driver: an operation goes out, its outcome comes back.

Both are tuples, because a run makes hundreds of thousands a second of them.
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
        group: operations of one probe round share a group; -1 where alone.
    """

    function: Function
    key: int
    node: int
    version: int = -1
    due_ns: int = 0
    group: int = -1


class Outcome(NamedTuple):
    """What became of an operation. ``return_ns`` is the time at which the session goes on, for ``info`` too."""

    status: Status
    call_ns: int
    return_ns: int
    seen: Seen = Seen.NOTHING
    version: int = -1


Session = Generator[Operation, Outcome, None]
"""A workload's session: yields an operation, is sent its outcome; pure, seeded, without a clock."""


class Keyspace(Protocol):
    """The keys of one worker process; sessions add fresh ones as they go."""

    def add(self, name: str, *, ordered: bool = True) -> int:
        """The index of a new key called ``name``; ``ordered`` where its versions are the order of its writes."""
