"""A coordination surface: one node at a time owns a share of the keys, and all reads and writes of them go through it.

Keys fall into as many shares as there are nodes, by a checksum. The source grants a share to one node, for the length of a lease,
with a *token* that counts up with every grant; the owner renews it. Only the owner keeps entries, and it serves them only while
its lease lasts: counted from when it asked for it, by a clock that it trusts only so far. All others pass requests on to it. When
a lease is over, whoever asks next is granted the share and begins with nothing.

The source commits a write only with the present token (*fencing*): what an earlier owner has sent and what is still on its way
cannot take effect any more. An owner that does not know what became of a write gives its token up for the same reason, and asks
for a new one.

Promise: linearizable. While an owner cannot be reached, there is no answer for its keys until its lease is over; who cannot reach
the source owns nothing for longer than that.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple
from zlib import crc32

from harness.plan import Contract
from harness.reference.clocks import SLOWEST_CLOCK
from harness.reference.design import Design, exact
from harness.reference.effects import Call, Flow, Gate, Latch, Open, Refused, Sleep, Unreachable, Wait
from harness.reference.messages import ORIGIN, Fetch, Record, Value
from harness.reference.node import Place, Strategy
from harness.reference.ownership import Acquire, CommitFenced, GrantingOrigin, Ownership
from harness.reference.settings import Settings


class ReadOwned(NamedTuple):
    """To the owner: read ``key``."""

    key: str


class WriteOwned(NamedTuple):
    """To the owner: write ``value``."""

    value: Value


class Tenure:
    """A share that a node owns.

    Attributes:
        token: what it may commit with.
        until_ns: how long, on the node's monotonic clock.
        entries: what it has read and written meanwhile.
        writing: how many writes of a key are under way, for each that has any.
    """

    def __init__(self, token: int) -> None:
        self.token = token
        self.until_ns = 0
        self.entries: dict[str, Record] = {}
        self.writing: Counter[str] = Counter()

    def keep(self, key: str, record: Record) -> None:
        """Keep ``record`` unless there is a newer one."""
        entry = self.entries.get(key)
        if entry is None or entry.stamp < record.stamp:
            self.entries[key] = record


class OwnerPerKey(Strategy):
    """One node.

    Attributes:
        tenures: the shares that it owns, or has owned and not given up.
        owners: who owns the other shares, as far as it has heard.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.tenures: dict[int, Tenure] = {}
        self.owners: dict[int, str] = {}
        self._asking: dict[int, Latch] = {}

    def start(self) -> None:
        """Ask for the share that is this node's by number, and keep what it owns."""
        self.place.spawn(self._renewals())

    def share_of(self, key: str) -> int:
        """The share that ``key`` falls into."""
        return crc32(key.encode()) % len(self.place.peers)

    def read(self, key: str) -> Flow[Value | None]:
        """Through the owner."""
        value: Value | None = yield from self._through_owner(self.share_of(key), ReadOwned(key))
        return value

    def write(self, value: Value) -> Flow[None]:
        """Through the owner."""
        yield from self._through_owner(self.share_of(value.key), WriteOwned(value))

    def _through_owner(self, share: int, request: ReadOwned | WriteOwned) -> Flow[Any]:
        """Have ``request`` carried out by the owner, here or elsewhere; find out who that is, if need be."""
        give_up_ns = self.place.monotonic_ns() + self.settings.call_timeout_ns
        while True:
            try:
                if self.tenure(share) is not None or share not in self.owners:
                    return (yield from self.serve(self.place.name, request))
                return (yield Call(self.owners[share], request))
            except Refused:
                if self.place.monotonic_ns() >= give_up_ns:
                    raise
            except Unreachable:
                self.owners.pop(share, None)
                raise
            yield from self.ask_for(share)

    def serve(self, source: str, request: Any) -> Flow[Any]:
        """Carry a request out as the owner of its key."""
        match request:
            case ReadOwned(key):
                return (yield from self.load(self._own(key), key))
            case WriteOwned(value):
                return (yield from self.store(self._own(value.key), value))
        return (yield from super().serve(source, request))

    def _own(self, key: str) -> Tenure:
        tenure = self.tenure(self.share_of(key))
        if tenure is None:
            raise Refused("this node does not own the key")
        return tenure

    def tenure(self, share: int) -> Tenure | None:
        """The tenure of ``share``, if this node may rely on it now."""
        tenure = self.tenures.get(share)
        return tenure if tenure is not None and self.place.monotonic_ns() < tenure.until_ns else None

    def load(self, tenure: Tenure, key: str) -> Flow[Value | None]:
        """From the entries of the tenure; from the source, too, while a write is under way: it may have got there."""
        record = tenure.entries.get(key) if not tenure.writing[key] else None
        if record is None:
            record = yield Call(ORIGIN, Fetch(key))
            yield Gate("fill.before-put", key)
            tenure.keep(key, record)
        return record.value

    def store(self, tenure: Tenure, value: Value) -> Flow[None]:
        """Commit, and keep what was written."""
        share = self.share_of(value.key)
        tenure.writing[value.key] += 1
        try:
            stamp: int = yield Call(ORIGIN, CommitFenced(value, share, tenure.token))
        except (Refused, Unreachable):
            # The token is no good, or must not be: the commit may be on its way.
            if self.tenures.get(share) is tenure:
                del self.tenures[share]
            raise
        yield Gate("write.after-commit", value.key)
        tenure.keep(value.key, Record(value, stamp))
        tenure.writing[value.key] -= 1

    def ask_for(self, share: int) -> Flow[None]:
        """Own ``share``, or know who does; one request at a time."""
        if share in self._asking:
            yield Wait(self._asking[share])
            return
        latch = self._asking[share] = Latch()
        asked_ns = self.place.monotonic_ns()
        tenure = self.tenures.get(share)
        try:
            granted: Ownership = yield Call(ORIGIN, Acquire(share, tenure.token if tenure is not None else 0))
        except Unreachable:
            pass
        else:
            if granted.owner == self.place.name:
                if tenure is None or tenure.token != granted.token:
                    tenure = self.tenures[share] = Tenure(granted.token)
                tenure.until_ns = asked_ns + round(self.settings.lease_ns * SLOWEST_CLOCK)
                self.owners.pop(share, None)
            else:
                self.tenures.pop(share, None)
                self.owners[share] = granted.owner
        del self._asking[share]
        yield Open(latch)
        yield Sleep(self.settings.retry_ns)

    def _renewals(self) -> Flow[None]:
        mine = self.place.peers.index(self.place.name)
        while True:
            for share in sorted({mine, *self.tenures}):
                self.place.spawn(self.ask_for(share))
            yield Sleep(self.settings.heartbeat_ns)


def promise(_settings: Settings, _hop_ns: int) -> Contract:
    """Only the owner has the key, and only the owner can change it."""
    return exact()


DESIGN = Design(
    "owner",
    OwnerPerKey,
    promise,
    origin=GrantingOrigin,
    # A request must be able to outwait a lease before it is given up.
    settings=Settings(lease_ns=400_000_000),
    talks=True,
)
