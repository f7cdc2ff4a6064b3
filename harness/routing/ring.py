"""The ring of memcached's clients: each of them works out by itself which node has a key, and which nodes are dead.

As client libraries with ``retry_attempts = 0`` do it: the first operation that a node fails takes it out, its keys move to the
next nodes of the ring, and after ``dead_ns`` it is taken back, whatever it has been through and whatever it still holds. Nobody
tells the others: clients with another view of who is there use another node for the same key.

Two ways to spread keys, both of which move only the keys of a node that comes or goes: ``ketama`` has 160 points of every node on
a circle, and a key belongs to the first point behind its own; ``rendezvous`` has every node draw a number for the key, and the
highest wins.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import md5
from typing import Literal

from harness.history import Function
from harness.routing import Redirect

FLUSH = b"flush_all\r\n"

Hash = Literal["ketama", "rendezvous"]

_POINTS = 160
_POINTS_PER_DIGEST = 4
_MAX_REMEMBERED = 100_000


@dataclass(frozen=True, slots=True)
class RingRouting:
    """A pool as its clients find it.

    Attributes:
        names: what clients call the nodes, by index: the names decide where keys go.
        hash: how keys are spread.
        dead_ns: how long a lost node stays out.
        flush_on_return: whether a client empties a node before it uses it again.
        views: who is in the pool, as sets of indices; sessions take turns among the views. One of everybody where it is empty.
    """

    names: tuple[str, ...]
    hash: Hash = "ketama"
    dead_ns: int = 1_000_000_000
    flush_on_return: bool = False
    views: tuple[frozenset[int], ...] = ()

    def router(self) -> RingRouter:
        """A router that takes everybody for alive."""
        return RingRouter(self)


class RingRouter:
    """See ``harness.routing.Pooled``."""

    greeting = b""

    def __init__(self, routing: RingRouting) -> None:
        self._routing = routing
        self._spread = (_Circle if routing.hash == "ketama" else _Draw)(routing.names)
        self._everybody = frozenset(range(len(routing.names)))
        self._views = routing.views or (self._everybody,)
        self._dead_until = dict.fromkeys(self._everybody, 0)
        self._dead: set[int] = set()
        self._losses = dict.fromkeys(self._everybody, 0)
        self._seen: dict[int, dict[int, int]] = {}
        self._preferences: dict[bytes, tuple[int, ...]] = {}
        self._left_out: frozenset[int] = frozenset()
        self._left_out_by_every = True
        self.diverted = 0

    @property
    def nodes(self) -> tuple[int, ...]:
        """Everybody."""
        return tuple(sorted(self._everybody))

    def place(self, key: bytes, function: Function, session: int, at_ns: int) -> int:  # noqa: ARG002 - one node does it all
        """The first node of the key's preference that ``session`` takes for a living one; the first at all if there is none."""
        if session not in self._seen:
            self._seen[session] = dict(self._losses)
        if self._dead:
            self._dead = {node for node in self._dead if self._dead_until[node] > at_ns}
        view = self._views[session % len(self._views)]
        preference = [node for node in self._preference(key) if node in view]
        if self._left_out and (self._left_out_by_every or session % 2):
            first = preference[0]
            preference = [node for node in preference if node not in self._left_out] or preference
            self.diverted += preference[0] != first
        return next((node for node in preference if node not in self._dead), preference[0])

    def leave_out(self, nodes: Collection[int], *, every: bool) -> None:
        """Members that leave keep what they hold, and return with it."""
        self._left_out = frozenset(nodes)
        self._left_out_by_every = every

    def ahead(self, node: int, session: int) -> bytes:
        """A flush, once for every time that ``node`` was lost since ``session`` began, if that is what clients do."""
        seen = self._seen.get(session)
        if not self._routing.flush_on_return or seen is None or seen[node] == self._losses[node]:
            return b""
        seen[node] = self._losses[node]
        return FLUSH

    def redirected(self, key: bytes, answer: str, node: int) -> Redirect | None:  # noqa: ARG002 - see below
        """No node of a pool knows of any other."""
        return None

    def refused(self, node: int, error: str, at_ns: int) -> None:
        """A node that says no is alive."""

    def lost(self, node: int, at_ns: int) -> None:
        """Out it goes, until ``dead_ns`` after its last failure."""
        self._losses[node] += 1
        self._dead.add(node)
        self._dead_until[node] = at_ns + self._routing.dead_ns

    def _preference(self, key: bytes) -> tuple[int, ...]:
        """All nodes, from the one that should have ``key`` to the last that would be asked for it."""
        found = self._preferences.get(key)
        if found is None:
            if len(self._preferences) >= _MAX_REMEMBERED:
                self._preferences.clear()
            found = self._preferences[key] = self._spread.preference(key)
        return found


class _Circle:
    """Points on a circle of 32 bits."""

    def __init__(self, names: Sequence[str]) -> None:
        self._nodes = len(names)
        points = sorted(
            (int.from_bytes(digest[4 * part : 4 * part + 4], "little"), node)
            for node, name in enumerate(names)
            for digest in (_md5(f"{name}-{index}".encode()) for index in range(_POINTS // _POINTS_PER_DIGEST))
            for part in range(_POINTS_PER_DIGEST)
        )
        self._places = [place for place, _ in points]
        self._owners = [node for _, node in points]

    def preference(self, key: bytes) -> tuple[int, ...]:
        """The owners of the points from the key's own place on, each once."""
        start = bisect_right(self._places, int.from_bytes(_md5(key)[:4], "little"))
        order: dict[int, None] = {}
        for owner in (*self._owners[start:], *self._owners[:start]):
            order.setdefault(owner)
            if len(order) == self._nodes:
                break
        return tuple(order)


class _Draw:
    """One number for each node and key."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = [name.encode() for name in names]

    def preference(self, key: bytes) -> tuple[int, ...]:
        """The nodes by their numbers, the highest first."""
        drawn = [(_md5(b"%b-%b" % (name, key)), node) for node, name in enumerate(self._names)]
        return tuple(node for _, node in sorted(drawn, reverse=True))


def _md5(data: bytes) -> bytes:
    return md5(data, usedforsecurity=False).digest()
