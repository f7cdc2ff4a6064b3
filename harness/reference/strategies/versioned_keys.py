"""Versioned keys with the pointer at the source: what is cached under a key and its generation never changes, and never expires.

Every write makes a new generation of its key: the stamp of its commit. A node keeps what it has fetched under the key *and* the
generation, so an entry cannot become wrong, only unreachable; nobody has to be told of anything. What has to be read at the
source each time is the pointer, the newest generation of the key: small, but a round trip for every read, and no answer without
it.

Old generations are never asked for again. A sweep drops every entry that nobody has asked for between two sweeps: without it the
memory of a node grows with every write.

Promise: linearizable. The pointer is the newest at one moment between the call of a read and its return, and so is a record that
has to be fetched.
"""

from __future__ import annotations

from harness.plan import Contract
from harness.reference.design import Design, exact
from harness.reference.effects import Call, Flow, Gate, Sleep
from harness.reference.messages import ORIGIN, Commit, Fetch, Record, Stamp, Value
from harness.reference.node import Place, Strategy
from harness.reference.settings import Settings


class VersionedKeys(Strategy):
    """One node.

    Attributes:
        entries: what it has, by key and generation.
        wanted: the entries that were asked for since the last sweep.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.entries: dict[tuple[str, int], Record] = {}
        self.wanted: set[tuple[str, int]] = set()

    def start(self) -> None:
        """Sweep for ever."""
        self.place.spawn(self._sweeps())

    def read(self, key: str) -> Flow[Value | None]:
        """The newest generation: from the cache, else from the source."""
        generation = yield from self.pointer(key)
        record = self.entries.get((key, generation))
        if record is None:
            record = yield Call(ORIGIN, Fetch(key))
            yield Gate("fill.before-put", key)
            generation = record.stamp
            self.entries[key, generation] = record
        self.wanted.add((key, generation))
        return record.value

    def pointer(self, key: str) -> Flow[int]:
        """The newest generation of ``key``, as the source has it now."""
        generation: int = yield Call(ORIGIN, Stamp(key))
        yield Gate("pointer.after-read", key)
        return generation

    def write(self, value: Value) -> Flow[None]:
        """Commit: the pointer moves, and what was cached before is asked for no more."""
        yield Call(ORIGIN, Commit(value))
        yield Gate("write.after-commit", value.key)

    def sweep(self) -> None:
        """Drop what nobody has asked for since the last sweep."""
        self.entries = {place: record for place, record in self.entries.items() if place in self.wanted}
        self.wanted.clear()

    def _sweeps(self) -> Flow[None]:
        while True:
            yield Sleep(self.settings.forget_ns)
            self.sweep()


def promise(_settings: Settings, _hop_ns: int) -> Contract:
    """Every read asks the source."""
    return exact()


DESIGN = Design("versioned-keys", VersionedKeys, promise)
