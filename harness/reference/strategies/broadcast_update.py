"""Broadcast of updates at least once: the event carries the record, and every node that holds the key takes it if it is newer.

As ``broadcast-alo``, but a write costs no misses. An update is compared with what the node knows, by stamp; it replaces an entry
and never makes one. So an update that comes long after its time, when the node has forgotten the key, does no harm.

Promise: as ``broadcast-alo``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.reference.messages import Delivery, Record, Update
from harness.reference.origin import Outbox
from harness.reference.strategies import broadcast_alo
from harness.reference.strategies.broadcast_alo import BroadcastAtLeastOnce


class OutboxOfRecords(Outbox):
    """An outbox whose events are the records themselves."""

    def event(self, key: str, record: Record) -> Update:
        """The record."""
        return Update(key, record)


class BroadcastUpdate(BroadcastAtLeastOnce):
    """One node."""

    def hear(self, source: str, message: Any) -> None:
        """Updates, and what else a subscriber hears."""
        match message:
            case Delivery(number, Update(key, record)):
                self.take_in(key, record)
                self.count(number)
            case _:
                super().hear(source, message)

    def take_in(self, key: str, record: Record) -> None:
        """Take ``record`` for what is held of ``key``, if it is newer."""
        if self.supersedes(key, record):
            self.remember(key, record.stamp)
            if key in self.entries:
                self.entries[key] = record

    def supersedes(self, key: str, record: Record) -> bool:
        """Whether ``record`` is newer than all that is known."""
        return record.stamp > self.known(key)


DESIGN = replace(broadcast_alo.DESIGN, name="broadcast-update", node=BroadcastUpdate, origin=OutboxOfRecords)
