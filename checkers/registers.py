"""A history read as registers: one value an operation, the clusters of values, and the keys whose values repeat.

Within a key a value is named by its version; version 0 is the initial one, which was there before everything. A read that found
the value of a deleted or never written key found the initial value. That is no longer unique once the key has been deleted, and
neither is a value that was written twice (as in an imported history): such keys are *repeated*, and zones cannot judge them.

What counts: writes and deletes unless they certainly failed; ok reads. Reads without answer are dropped, and so are misses that
the contract allows and, under a time to live, every answer that there is no value: they say nothing. So are garbage and values of
other keys: ``integrity`` reports them, they are fatal in any order.

Cost: O(n).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from checkers.zones import Clusters
from harness.history import NEVER, Column, Function, History, Seen, Status
from harness.plan import Contract

NO_VALUE = -1


@dataclass(frozen=True, slots=True)
class Registers:
    """The values of a history's registers.

    Attributes:
        cluster: per row of the history the row of its value in the columns below; ``NO_VALUE`` where the row does not count.
        clusters: one row a value. The write of a value that nobody wrote has the times ``NEVER``.
        version: the value's name within its key.
        repeated: per key, whether its values are not unique.
        read: per value, whether any read returned it.
    """

    cluster: Column
    clusters: Clusters
    version: Column
    repeated: Column
    read: Column

    @property
    def unwritten(self) -> Column:
        """The values that were read, although no operation that may have taken effect wrote them."""
        found: Column = np.flatnonzero((self.clusters.write_call_ns == NEVER) & self.read & (self.version != 0))
        return found

    @property
    def sound(self) -> Column:
        """The values that zones can judge: written, in a key whose values are unique."""
        found: Column = np.flatnonzero((self.clusters.write_call_ns < NEVER) & ~self.repeated[self.clusters.key])
        return found


def registers(history: History, contract: Contract) -> Registers:
    """The registers of ``history``; a miss counts as the initial value unless the ``contract`` allows misses."""
    keys = len(history.keys)
    writes = np.flatnonzero((history.function != Function.READ) & (history.status != Status.FAIL) & (history.sent_version >= 0))
    reads = np.flatnonzero(history.status == Status.OK)
    seen = history.seen[reads]
    hit = (seen == Seen.HIT) & (history.seen_version[reads] >= 0)
    hit &= (history.seen_key[reads] == history.key[reads]) | (history.seen_key[reads] < 0)
    absent = (seen == Seen.ABSENT) | ((seen == Seen.MISS) & (contract.misses != "allowed"))
    absent &= contract.ttl is None
    value = np.where(absent, 0, history.seen_version[reads])[hit | absent]
    deleted = np.zeros(keys, bool)
    deleted[history.key[writes[history.function[writes] == Function.DELETE]]] = True
    reads = reads[hit | absent]
    repeated = np.zeros(keys, bool)
    repeated[history.key[reads[value == 0]]] = True
    repeated &= deleted

    written = history.sent_version[writes]
    slot, key, version = _numbered(
        np.concatenate([history.key[writes], history.key[reads]]), np.concatenate([written, value]), keys
    )
    of_write, of_read = slot[: len(writes)], slot[len(writes) :]
    repeated[key[np.flatnonzero(np.bincount(of_write, minlength=len(key)) > 1)]] = True
    if deleted.any():
        # A version that is a delete has no value of its own to be found.
        gone = np.zeros(len(key), bool)
        gone[of_write[history.function[writes] == Function.DELETE]] = True
        repeated[key[of_read[gone[of_read]]]] = True
    repeated[key[of_write[written == 0]]] = True

    write_call, write_return = np.full(len(key), NEVER), np.full(len(key), NEVER)
    write_call[of_write] = history.call_ns[writes]
    write_return[of_write] = history.return_ns[writes]
    read_call, read_return = np.full(len(key), -NEVER), np.full(len(key), NEVER)
    np.maximum.at(read_call, of_read, history.call_ns[reads])
    np.minimum.at(read_return, of_read, history.return_ns[reads])
    # Early enough to come first in every order by s + f, and late enough to add durations to.
    start, end = int(history.call_ns.min(initial=0)), int(history.call_ns.max(initial=0))
    initial = (version == 0) & ~repeated[key]
    write_call[initial] = write_return[initial] = start - (end - start) - 1

    cluster = np.full(len(history), NO_VALUE)
    cluster[writes], cluster[reads] = of_write, of_read
    return Registers(
        cluster=cluster,
        clusters=Clusters(key, write_call, write_return, read_call, read_return),
        version=version,
        repeated=repeated,
        read=read_return < NEVER,
    )


def _numbered(key: Column, version: Column, keys: int) -> tuple[Column, Column, Column]:
    """Number the pairs of key and version: the number of each row, and key and version of each number."""
    if len(key) == 0:
        nothing = np.zeros(0, np.int64)
        return nothing, nothing, nothing
    key = key.astype(np.int64)
    room = np.zeros(keys, np.int64)
    np.maximum.at(room, key, version + 1)
    base = np.concatenate([[0], np.cumsum(room)])
    if int(room.max()) > len(key) or int(base[-1]) > 4 * len(key) + 1024:
        # Versions with wide gaps: number the ones that occur.
        names, version = np.unique(version, return_inverse=True)
        slot = key * len(names) + version
        used, slot = np.unique(slot, return_inverse=True)
        return slot, used // len(names), names[used % len(names)]
    slot = base[key] + version
    return slot, np.repeat(np.arange(keys), room), np.arange(base[-1]) - np.repeat(base[:-1], room)
