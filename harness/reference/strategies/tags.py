"""Flush by tag: an entry is stored under tags, and a write flushes a tag with all that is stored under it.

Pages are made of more than the record that they are named after, so a write does not know which entries it spoils: it flushes the
tag that all of them have. The store keeps an index of the keys of each tag. Index and entries change together, in one request
that the store carries out at one moment: nobody is ever stored and not in the index, or a flush would not find him. That begins
with the right to fill: it is in the index, too, so that a flush makes it worthless.

Otherwise as ``lease``, with the same promise.
"""

from __future__ import annotations

from harness.reference.design import Design
from harness.reference.effects import Flow
from harness.reference.strategies.lease import DESIGN as LEASE
from harness.reference.strategies.lease import LeaseFill, promise
from harness.reference.tags import FlushTag, LeaseTagged, TagStore


class Tags(LeaseFill):
    """One node."""

    def question(self, key: str) -> LeaseTagged:
        """As with leases; the store learns the tag as well."""
        return LeaseTagged(self.entry(key), self.settings.lease_ns, self.tag(key))

    def purge(self, key: str, stamp: int) -> Flow[None]:  # noqa: ARG002 - stamps order nothing here
        """Flush the tag, and all its keys with it."""
        yield from self.ask(key, FlushTag(self.tag(key)))

    def tag(self, key: str) -> str:
        """The tag of ``key``: all but the last character, so that neighbours have the same."""
        return key[:-1]


DESIGN = Design("tags", Tags, promise, store=TagStore, settings=LEASE.settings)
