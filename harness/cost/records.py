"""What was counted: on a virtual fleet, and on a real one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.reference.messages import ORIGIN, STORE


@dataclass(frozen=True, slots=True)
class Measured:
    """What was counted on a virtual fleet; in the units of ``harness.cost.forms.Forms``.

    Attributes:
        cut_reads, others_wait_ns: None where no node was cut off.
        idle: messages between places a second that go on without any write, of heartbeats and of reads.
        stalest_ns: the age of the stalest value that was read: how long before the call a newer one had been acknowledged.
        events: how many things the simulation let happen for it.
    """

    write_ns: float
    messages: float
    origin: float
    metadata: float
    cut_reads: float | None
    others_wait_ns: float | None
    idle: float
    stalest_ns: int
    events: int


@dataclass(frozen=True, slots=True)
class Real:
    """What was counted on real processes; in the units of ``harness.cost.forms.Forms`` where those have a form for it.

    Attributes:
        writes: how many were sent.
        borne: the share of the load that was borne: of the operations that were due on average, those that ended.
        unanswered: how many operations, reads included, failed or had no answer.
        write_ns, write_p99_ns: of half of the writes, and of 99 in 100, from call to answer at the client.
        read_ns: of half of the reads.
        idle: as in ``Measured``.
        size: bytes between places that a write brings about, its messages' share of what they are wrapped in included.
        beats: signs of life a second on all connections, which no message of a strategy is.
        kinds: messages of a write, by their kind; those that go on without writes are taken off.
    """

    writes: int
    borne: float
    unanswered: int
    write_ns: int
    write_p99_ns: int
    read_ns: int
    messages: float
    origin: float
    metadata: float
    idle: float
    size: float
    beats: float
    kinds: Mapping[str, float]


_BOOKS: Mapping[str, tuple[str, str]] = {
    "broadcast-alo": ("", "floors"),
    "broadcast-amo": ("", "entries"),
    "broadcast-update": ("", "floors"),
    "lease": (STORE, "items"),
    "owner": ("", "tenures"),
    "refresh-ahead": ("", "entries"),
    "swr": ("", "entries"),
    "sync-invalidation": (ORIGIN, "leases"),
    "tracking": (ORIGIN, "readers"),
    "ttl": ("", "entries"),
    "ttl-check": ("", "entries"),
    "two-tier": ("", "copies"),
    "versioned-keys": ("", "entries"),
}
"""Who keeps a strategy's books, and in which table; without a name, it is every node."""


def metadata(strategy: str, kept: Mapping[str, Mapping[str, int]], nodes: Sequence[str]) -> float:
    """Records of bookkeeping as ``Forms.metadata`` means them, for each node on average, from what every place keeps."""
    if strategy not in _BOOKS:
        return 0.0
    keeper, table = _BOOKS[strategy]
    return sum(kept[place].get(table, 0) for place in ([keeper] if keeper else nodes)) / len(nodes)
