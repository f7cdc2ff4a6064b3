"""Redis Cluster's clients: a key has a slot, a slot has an owner, and whoever is asked in vain knows better.

As the cluster specification wants it of clients: the map of slots is read at the start; ``MOVED`` corrects it, one slot at a
time; ``ASK`` sends a single operation elsewhere and corrects nothing; a client whose owner is out of reach asks any other node,
which sends it to the new owner as soon as there is one.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Literal

from harness.history import Function
from harness.routing import Redirect

SLOTS = 16_384
ASKING = b"*1\r\n$6\r\nASKING\r\n"
READONLY = b"*1\r\n$8\r\nREADONLY\r\n"

ReadFrom = Literal["primary", "replicas", "any"]

_MOVED_WORDS = 3


@dataclass(frozen=True, slots=True)
class Slots:
    """A range of slots: ``first`` to ``last``, the node that owns it, and that one's replicas."""

    first: int
    last: int
    owner: int
    replicas: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ClusterRouting:
    """A cluster as its clients find it.

    Attributes:
        slots: ranges that cover all slots.
        addresses: the nodes that redirects name, by ``host:port``.
        read_from: where reads go; ``any`` takes turns among a slot's owner and its replicas.
    """

    slots: tuple[Slots, ...]
    addresses: Mapping[str, int]
    read_from: ReadFrom = "primary"

    def router(self) -> ClusterRouter:
        """A router that knows this much."""
        return ClusterRouter(self)


class ClusterRouter:
    """See ``harness.routing.Router``."""

    def __init__(self, routing: ClusterRouting) -> None:
        self.greeting = b"" if routing.read_from == "primary" else READONLY
        self._read_from = routing.read_from
        self._addresses = routing.addresses
        self._owner = [-1] * SLOTS
        self._replicas: dict[int, tuple[int, ...]] = {}
        for part in routing.slots:
            self._owner[part.first : part.last + 1] = [part.owner] * (part.last + 1 - part.first)
            self._replicas[part.owner] = part.replicas
        self._everyone = tuple(sorted(set(routing.addresses.values())))
        self._lost: set[int] = set()
        self._turn = count()

    @property
    def nodes(self) -> tuple[int, ...]:
        """All owners, and their replicas where these are read from."""
        owners = set(self._owner) - {-1}
        if self._read_from != "primary":
            owners |= {replica for owner in owners for replica in self._replicas.get(owner, ())}
        return tuple(sorted(owners))

    def place(self, key: bytes, function: Function, session: int, at_ns: int) -> int:  # noqa: ARG002 - all know the same, always
        """The slot's owner or one of its replicas; anybody else once that one was lost, or where nobody is known to own it."""
        owner = self._owner[slot_of(key)]
        node = owner
        if function is Function.READ and self._read_from != "primary":
            replicas = self._replicas.get(owner, ())
            choice = replicas if self._read_from == "replicas" and replicas else (owner, *replicas)
            node = choice[next(self._turn) % len(choice)]
        return self._anyone(node) if node in self._lost or node < 0 else node

    def ahead(self, node: int, session: int) -> bytes:  # noqa: ARG002
        """Nothing beside the greeting."""
        return b""

    def redirected(self, key: bytes, answer: str, node: int) -> Redirect | None:
        """The node that ``MOVED slot host:port`` or ``ASK slot host:port`` names; an empty host is the host of ``node``."""
        words = answer.split()
        if len(words) < _MOVED_WORDS:
            return None
        there = self._addresses.get(words[2] if not words[2].startswith(":") else self._host(node) + words[2])
        if there is None:
            return None
        if words[0] == "ASK":
            return Redirect(there, ASKING)
        slot = slot_of(key)
        before, self._owner[slot] = self._owner[slot], there
        if there not in self._replicas:
            # A replica took over: the others of its shard, and whoever owned the slots before, follow it.
            self._replicas[there] = tuple(n for n in (before, *self._replicas.get(before, ())) if n not in (there, -1))
        self._lost.discard(there)
        return Redirect(there)

    def refused(self, node: int, error: str, at_ns: int) -> None:
        """A node that serves no slot may be on the wrong side of a partition; the others may know better."""
        if error.startswith(("CLUSTERDOWN", "LOADING", "MASTERDOWN")):
            self.lost(node, at_ns)

    def lost(self, node: int, at_ns: int) -> None:  # noqa: ARG002 - the next redirect there makes up for it, however soon
        """Ask the others instead, until one of them sends us there again."""
        self._lost.add(node)
        if len(self._lost) == len(self._everyone):
            self._lost.clear()

    def _anyone(self, but: int) -> int:
        reachable = [node for node in self._everyone if node not in self._lost and node != but]
        reachable = reachable or [but if but >= 0 else self._everyone[0]]
        return reachable[next(self._turn) % len(reachable)]

    def _host(self, node: int) -> str:
        address = next(address for address, index in self._addresses.items() if index == node)
        return address.rpartition(":")[0]


def slot_of(key: bytes) -> int:
    """The slot of ``key``: of what stands in its first braces, if that is anything, else of all of it.

    >>> slot_of(b"123456789")
    12739
    >>> slot_of(b"user:{1000}:name") == slot_of(b"1000")
    True
    """
    begin = key.find(b"{")
    if begin >= 0:
        end = key.find(b"}", begin + 1)
        if end > begin + 1:
            key = key[begin + 1 : end]
    return crc_hqx(key, 0) % SLOTS


def address(endpoint: Sequence[object]) -> str:
    """``host:port``, as redirects name a node."""
    return f"{endpoint[0]}:{endpoint[1]}"
