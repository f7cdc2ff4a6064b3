"""A time to live with version checks: an entry is served for a moment, then the source is asked whether it is still the newest.

The check names the stamp that the node has; the source answers with the newest record only if there is a newer one, so a check of
an unchanged entry costs a message and no data. The moment is counted from when the check was *asked*, not from its answer: what
the source said was true at some time after the question, so neither a slow answer nor a pause makes an entry older than it looks.

If the check fails the read fails. (The other policy, to serve what there is until its time to live is over, promises no more than
the time to live.) After its time to live an entry is fetched anew, whatever the checks said.

Promise: a read is stale for no longer than the interval of the checks, whatever is cut, lost, delayed or paused.
"""

from __future__ import annotations

from typing import NamedTuple

from harness.plan import Contract
from harness.reference.clocks import by_the_clock
from harness.reference.design import Design
from harness.reference.effects import Call, Flow, Gate
from harness.reference.messages import ORIGIN, Commit, Fetch, FetchNewer, Record, Value
from harness.reference.node import Place, Strategy
from harness.reference.settings import Settings


class Entry(NamedTuple):
    """A record, when it was fetched, and when it was last asked whether it is the newest."""

    record: Record
    fetched_ns: int
    checked_ns: int


class CheckedTimeToLive(Strategy):
    """One node.

    Attributes:
        entries: what it serves, or has served last.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.entries: dict[str, Entry] = {}

    def read(self, key: str) -> Flow[Value | None]:
        """From the cache if it was checked a moment ago; else ask the source."""
        now_ns = self.place.monotonic_ns()
        entry = self.entries.get(key)
        if entry is None or now_ns >= entry.fetched_ns + self.settings.ttl_ns:
            entry = Entry((yield Call(ORIGIN, Fetch(key))), now_ns, now_ns)
            yield Gate("fill.before-put", key)
            self.keep(key, entry)
        elif now_ns >= entry.checked_ns + self.settings.check_ns:
            newer: Record | None = yield Call(ORIGIN, FetchNewer(key, entry.record.stamp))
            yield Gate("check.before-put", key)
            entry = entry._replace(checked_ns=now_ns) if newer is None else Entry(newer, now_ns, now_ns)
            self.keep(key, entry)
        return entry.record.value

    def keep(self, key: str, entry: Entry) -> None:
        """Keep ``entry`` unless what is here is newer, or was checked later."""
        here = self.entries.get(key)
        if here is None or (entry.record.stamp, entry.checked_ns) >= (here.record.stamp, here.checked_ns):
            self.entries[key] = entry

    def write(self, value: Value) -> Flow[None]:
        """Commit; the next checks will find it."""
        yield Call(ORIGIN, Commit(value))


def promise(settings: Settings, _hop_ns: int) -> Contract:
    """The interval of the checks, whatever happens."""
    return by_the_clock(settings.check_ns, settings.check_ns, sessions={"monotonic_reads": "same-node"})


DESIGN = Design("ttl-check", CheckedTimeToLive, promise)
