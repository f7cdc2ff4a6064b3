"""What nodes, origin, bus and shared store say to each other.

A *value* is what clients write and read: it names its key, its version and the operation that wrote it, and no strategy looks
inside. A *record* is a value with its *stamp*: the source of truth counts the commits of each key, and that count is all that a
strategy may order records by.
"""

from __future__ import annotations

from typing import Any, NamedTuple

ORIGIN = "origin"
BUS = "bus"
STORE = "store"


class Value(NamedTuple):
    """What a client wrote; ``gone`` where it deleted."""

    key: str
    version: int
    op: int
    gone: bool = False


class Record(NamedTuple):
    """A value as the source of truth has it.

    Attributes:
        value: None where it has none yet.
        stamp: 0 then.
        along: the keys that were committed together, this one among them, each with its stamp; nothing for one alone.
    """

    value: Value | None
    stamp: int
    along: tuple[tuple[str, int], ...] = ()


class Fetch(NamedTuple):
    """To the origin: the record of ``key``. From its replica if ``replica``, which lags."""

    key: str
    replica: bool = False


class FetchNewer(NamedTuple):
    """To the origin: the record of ``key`` if it is newer than ``stamp``; None if it is not."""

    key: str
    stamp: int


class FetchMany(NamedTuple):
    """To the origin: the records of ``keys``, all as of one moment."""

    keys: tuple[str, ...]


class Commit(NamedTuple):
    """To the origin: make ``value`` the newest; the reply is its stamp.

    With ``after``, only if the newest stamp still is that one; else the reply is a ``Conflict``. A second request of the same
    operation is replied to with the stamp of the first.
    """

    value: Value
    after: int | None = None


class Conflict(NamedTuple):
    """From the origin: nothing was done, for the newest stamp is ``stamp``."""

    stamp: int


class CommitMany(NamedTuple):
    """To the origin: make each of ``values`` the newest of its key, all at one moment; the reply is their stamps.

    With ``after``, only if the newest stamps still are these; else the reply is ``Conflicts``, and nothing was done. A second
    request of the same operations is replied to with the stamps of the first.
    """

    values: tuple[Value, ...]
    after: tuple[int, ...] | None = None


class Conflicts(NamedTuple):
    """From the origin: nothing was done, for the newest stamps are ``stamps``."""

    stamps: tuple[int, ...]


class Stamp(NamedTuple):
    """To the origin: the stamp of the newest record of ``key``."""

    key: str


class Publish(NamedTuple):
    """To the bus: let every subscriber hear ``event``."""

    event: Any


class Delivery(NamedTuple):
    """From the bus: its ``number``-th event, in its run ``run``: a bus that has lost its numbers begins another."""

    number: int
    event: Any
    run: int = 0


class Count(NamedTuple):
    """To the bus: how many events have been published so far."""


class Beat(NamedTuple):
    """From the bus: so many events have been published so far in its run ``run``, and I am alive."""

    published: int
    run: int = 0


class Redeliver(NamedTuple):
    """To the bus: the events from ``number`` on, in order."""

    number: int


class Invalidate(NamedTuple):
    """Event: ``key`` has changed; ``stamp`` is the change's."""

    key: str
    stamp: int


class Flush(NamedTuple):
    """Event: any key may have changed."""


class Update(NamedTuple):
    """Event: ``key`` has changed to ``record``."""

    key: str
    record: Record
