"""Broadcast at most once, filled from a replica: what was just invalidated is not kept until the replica must have it.

As ``broadcast-amo``, but the source's replica answers the reads, and it lags. An invalidation that arrives before the replica has
the change would let the next fill put the old value back for good. So a key that was invalidated, and after a flush every key, is
held off: its fills go to whoever asked but are not kept for twice the longest lag that the replica is promised to have. That is
the hold-off of MediaWiki's WANObjectCache.

Promise: a read is stale for no longer than an event takes, or the replica lags. A session may not read what it has just written.
"""

from __future__ import annotations

from dataclasses import replace

from harness.plan import Contract
from harness.reference.design import bounded
from harness.reference.messages import Fetch
from harness.reference.node import Place
from harness.reference.settings import Settings
from harness.reference.strategies.broadcast_amo import DESIGN as FROM_SOURCE
from harness.reference.strategies.broadcast_amo import BroadcastAtMostOnce, Fill, repair_ns


class FilledFromReplica(BroadcastAtMostOnce):
    """One node.

    Attributes:
        held_off: when each key may be kept again, in ns on the node's monotonic clock.
        all_held_off_ns: the same for all keys, since the last flush.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.held_off: dict[str, int] = {}
        self.all_held_off_ns = 0

    def request(self, key: str) -> Fetch:
        """The record of the replica."""
        return Fetch(key, replica=True)

    def admits(self, key: str, fill: Fill) -> bool:
        """Also not while the replica may be without the last change."""
        if not super().admits(key, fill) or fill.began_ns < max(self.all_held_off_ns, self.held_off.get(key, 0)):
            return False
        self.held_off.pop(key, None)
        return True

    def invalidate(self, key: str) -> None:
        """Hold the key off as well."""
        super().invalidate(key)
        self.held_off[key] = self.held_off_until_ns()

    def flush(self) -> None:
        """Hold every key off as well."""
        super().flush()
        self.held_off.clear()
        self.all_held_off_ns = self.held_off_until_ns()

    def held_off_until_ns(self) -> int:
        """Until when what is invalidated now is not kept."""
        return self.place.monotonic_ns() + 2 * self.settings.replica_lag_ns


def promise(settings: Settings, hop_ns: int) -> Contract:
    """As filled from the source, but what an event has removed the replica may still have, for as long as it lags."""
    lag_ns = settings.replica_lag_ns
    sessions = {"monotonic_reads": "same-node"}
    return bounded(max(lag_ns, hop_ns), max(lag_ns, repair_ns(settings, hop_ns)), sessions=sessions)


DESIGN = replace(FROM_SOURCE, name="broadcast-amo-replica", node=FilledFromReplica, promise=promise)
