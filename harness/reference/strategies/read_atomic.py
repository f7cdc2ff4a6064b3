"""Broadcast at least once, with reads of several keys that never see half of a write.

The source commits the keys of one request at one moment, and each record says which stamps the others got (``Record.along``).
Their events still travel one by one, and a node may have dropped one key and not yet the other. So whoever reads several keys at
once compares what was found: a record obliges every key that was committed with it to be at least that new. Where one is not, the
node has learned of an invalidation before its event came, and asks the source for all of the request's keys as of one moment.
This is the second round of RAMP (Bailis et al., SIGMOD 2014), with the source as the place that knows what is committed.

Promise: as of ``broadcast-alo``, and no read is fractured, whatever is broken: everything that is compared travels with the
records themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from harness.plan import Contract
from harness.reference.effects import Call, Flow, Gate
from harness.reference.messages import ORIGIN, CommitMany, Conflicts, FetchMany, Record, Value
from harness.reference.settings import Settings
from harness.reference.strategies import broadcast_alo
from harness.reference.strategies.broadcast_alo import BroadcastAtLeastOnce


class ReadAtomic(BroadcastAtLeastOnce):
    """One node."""

    def read_many(self, keys: tuple[str, ...]) -> Flow[tuple[Value | None, ...]]:
        """Each from the cache or the source; if one shows that another is too old, all of them from the source."""
        found = {}
        for key in keys:
            found[key] = yield from self.find(key)
        missed = self.missed(found)
        for key, stamp in missed.items():
            self.invalidate(key, stamp)
        if not missed:
            return tuple(record.value for record in found.values())
        whole: tuple[Record, ...] = yield Call(ORIGIN, FetchMany(keys))
        for key, record in zip(keys, whole, strict=True):
            self.invalidate(key, record.stamp)  # it may be newer still, and whoever reads this key next must not go back
        yield Gate("read.before-answer", keys[0])
        return tuple(record.value for record in whole)

    def missed(self, found: Mapping[str, Record]) -> Mapping[str, int]:
        """The keys whose record is older than another one obliges it to be, with the stamp that it obliges them to."""
        obliged: dict[str, int] = {}
        for record in found.values():
            for key, stamp in record.along:
                if key in found and found[key].stamp < stamp:
                    obliged[key] = max(stamp, obliged.get(key, 0))
        return obliged

    def write_many(self, values: tuple[Value, ...]) -> Flow[None]:
        """Commit them together; the source tells everybody of each, and this node knows at once."""
        after = tuple(self.known(value.key) for value in values)
        while True:
            answer: tuple[int, ...] | Conflicts = yield Call(ORIGIN, CommitMany(values, after))
            if not isinstance(answer, Conflicts):
                break
            after = answer.stamps
        yield Gate("write.after-commit", values[0].key)
        for value, stamp in zip(values, answer, strict=True):
            self.take_in(value.key, Record(value, stamp))


def promise(settings: Settings, hop_ns: int) -> Contract:
    """As of a broadcast; and what was written in one request is read whole, or not at all."""
    return broadcast_alo.promise(settings, hop_ns).model_copy(update={"atomic_reads": True})


DESIGN = replace(broadcast_alo.DESIGN, name="read-atomic", node=ReadAtomic, promise=promise)
