"""A pool of stores: each key has its place on one member, and another one while that is out.

Who is in is not for a node to find out: a roster watches the members and tells all nodes (see ``harness.reference.roster``), so
all of them send a key to the same member. A node that does not reach a member that is in has a failed read, and no reason to go
elsewhere. A member that was out is cleared before it is in again.

While a member is out, others have its keys, and still have them after its return, for the next time. So a write deletes at every
member, not only at the one whose turn it is: it waits until all that are in have done so, and leaves word with those that are
out. Each member is filled by leases (see ``lease``).

Promise: all nodes see one copy of each key, but for the moment in which a new view reaches one node after the other. A delete
that was lost with whoever should have sent it costs what it costs with one store: a lease and a time to live.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from zlib import crc32

from harness.plan import Contract
from harness.reference.clocks import by_the_clock
from harness.reference.design import Design
from harness.reference.effects import Call, Calls, Flow, Refused, Sleep, Unreachable
from harness.reference.messages import BUS, Value
from harness.reference.node import Place
from harness.reference.roster import POOL, AskView, Roster, View
from harness.reference.settings import Settings
from harness.reference.store import Delete, Store
from harness.reference.strategies.lease import DESIGN as LEASE
from harness.reference.strategies.lease import LeaseFill, outlived


class Pool(LeaseFill):
    """One node.

    Attributes:
        view: the latest that the roster has told of; nobody is in before it has told anything.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.view = View(-1, ())

    def start(self) -> None:
        """Ask who is in."""
        self.place.spawn(self.enrol())

    def enrol(self) -> Flow[None]:
        """Ask the roster until it answers."""
        while self.view.number < 0:
            try:
                view = yield Call(BUS, AskView())
                self.look(view)
            except Unreachable:
                yield Sleep(self.settings.retry_ns)

    def hear(self, source: str, message: Any) -> None:
        """New views."""
        if isinstance(message, View):
            self.look(message)
        else:
            super().hear(source, message)

    def look(self, view: View) -> None:
        """Go by ``view`` if it is later than what is known."""
        if view.number > self.view.number:
            self.view = view

    def members(self) -> tuple[str, ...]:
        """Who is in; raises ``Refused`` if nobody is."""
        if not self.view.members:
            raise Refused("no store is in use")
        return self.view.members

    def member(self, key: str) -> str:
        """The one that has ``key``: of those that are in, the first in the order that the key puts all of them in."""
        return max(self.members(), key=lambda member: crc32(f"{member} {key}".encode()))

    def ask(self, key: str, request: Any) -> Flow[Any]:
        """Ask the member that has ``key`` now."""
        return (yield Call(self.member(key), request))

    def write(self, value: Value) -> Flow[None]:
        """As with one store; nothing is written before it is known where to delete."""
        self.members()
        yield from super().write(value)

    def purge(self, key: str, stamp: int) -> Flow[None]:  # noqa: ARG002
        """Delete at every member: until it is done where they are in, once where they are out."""
        delete = Delete(self.entry(key))
        waiting: tuple[str, ...] = POOL
        while waiting:
            needed = tuple(member for member in waiting if member in self.view.members)
            for member in waiting:
                if member not in needed:
                    self.place.spawn(self.leave_word(member, delete))
            replies = yield Calls(tuple(Call(member, delete) for member in needed))
            waiting = tuple(member for member, reply in zip(needed, replies, strict=True) if reply is None)

    def leave_word(self, member: str, delete: Delete) -> Flow[None]:
        """Tell ``member`` to delete, and do not wait for the reply."""
        yield Call(member, delete)


def promise(settings: Settings, hop_ns: int) -> Contract:  # noqa: ARG001 - messages only cost time
    """Exact with one view; else an old value lives as long as in one store: it was fetched before the write."""
    same_node = {"read_your_writes": "same-node", "monotonic_reads": "same-node"}
    return by_the_clock(0, outlived(settings), sessions=same_node)


DESIGN = Design(
    "pool", Pool, promise, bus=Roster, store=Store, stores=POOL, settings=replace(LEASE.settings, call_timeout_ns=200_000_000)
)
