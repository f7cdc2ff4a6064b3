"""No cache: every read goes to the source of truth. What coherence costs is measured against this.

Promise: linearizable. The source carries each read and each write out at one moment between its call and its answer, and so it
does with all keys of one request.
"""

from __future__ import annotations

from harness.plan import Contract
from harness.reference.design import FAULTS, Design, bounded
from harness.reference.effects import Call, Flow
from harness.reference.messages import ORIGIN, Commit, CommitMany, Fetch, FetchMany, Record, Value
from harness.reference.node import Strategy
from harness.reference.settings import Settings


class NoCache(Strategy):
    """One node: it keeps nothing."""

    def read(self, key: str) -> Flow[Value | None]:
        """From the source."""
        record: Record = yield Call(ORIGIN, Fetch(key))
        return record.value

    def write(self, value: Value) -> Flow[None]:
        """To the source."""
        yield Call(ORIGIN, Commit(value))

    def read_many(self, keys: tuple[str, ...]) -> Flow[tuple[Value | None, ...]]:
        """From the source, all as of one moment."""
        records: tuple[Record, ...] = yield Call(ORIGIN, FetchMany(keys))
        return tuple(record.value for record in records)

    def write_many(self, values: tuple[Value, ...]) -> Flow[None]:
        """To the source, all at one moment."""
        yield Call(ORIGIN, CommitMany(values))


def promise(_settings: Settings, _hop_ns: int) -> Contract:
    """Nothing is stale, not even while something is broken: there may be no answer then, but no old one."""
    return bounded(
        0,
        0,
        during=dict.fromkeys(FAULTS, "0ns"),
        linearizable=True,
        atomic_reads=True,
        sessions={"read_your_writes": "any-node", "monotonic_reads": "any-node"},
    )


DESIGN = Design("no-cache", NoCache, promise)
