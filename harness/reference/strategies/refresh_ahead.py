"""Refresh ahead with invalidation: entries are renewed before their time is over, dropped when their key changes.

A loading cache in every process, as in Caffeine or Guava, with events over a bus that delivers at most once. An entry that has
reached the refresh interval is loaded again in the background by the next read, so that hot keys never make a reader wait. An
event drops the entry; a load that began before the event, and is older than it, is not put; a refresh that began before it comes
to nothing. A lost event is not noticed: the time to live is the safety net.

Promise: a read is stale for no longer than an event takes; where events are lost, no longer than the time to live.
"""

from __future__ import annotations

from typing import Any

from harness.plan import Contract
from harness.reference.bus import Broadcast
from harness.reference.clocks import by_the_clock
from harness.reference.design import Design
from harness.reference.effects import Call, Flow
from harness.reference.messages import ORIGIN, Beat, Delivery, Fetch, Invalidate, Record
from harness.reference.origin import Outbox
from harness.reference.settings import Settings
from harness.reference.strategies.swr import StaleWhileRevalidate


class RefreshAhead(StaleWhileRevalidate):
    """One node."""

    def fresh_ns(self) -> int:
        """Until the refresh interval."""
        return self.settings.check_ns

    def window_ns(self) -> int:
        """Until the end of the time to live."""
        return self.settings.ttl_ns - self.settings.check_ns

    def reload(self, key: str, record: Record) -> Flow[Record]:  # noqa: ARG002 - a loader is given the key and no more
        """The loader knows no versions: it fetches."""
        found: Record = yield Call(ORIGIN, Fetch(key))
        return found

    def hear(self, source: str, message: Any) -> None:
        """Events. Beats would tell of lost ones, which is another design."""
        match message:
            case Delivery(_, Invalidate(key, stamp)):
                self.purge(key, stamp)
            case Beat():
                pass
            case _:
                super().hear(source, message)


def promise(settings: Settings, hop_ns: int) -> Contract:
    """An event takes two hops to be told and heard; whatever else happens, an entry is gone after its time to live."""
    return by_the_clock(2 * hop_ns, settings.ttl_ns, sessions={"read_your_writes": "same-node", "monotonic_reads": "same-node"})


DESIGN = Design("refresh-ahead", RefreshAhead, promise, origin=Outbox, bus=Broadcast)
