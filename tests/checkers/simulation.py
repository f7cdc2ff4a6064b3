"""A tiny discrete-event simulation of caches that are correct, and of seven that are not: histories whose truth is known.

One primary takes the writes; replicas apply its log in order, each at its own uneven pace. Sessions hop between nodes, one
operation at a time; a key has one writer, or is without order. Requests take effect between call and return, those that time out
later or never; nodes restart under a new epoch, links break and resume where they were. Time is whole and small, so that ties
abound.

A bug is one of ``BUGS``, planted in an otherwise correct system.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from harness.history import History
from tests.checkers.histories import history

BUGS = ("blind refill", "reorder", "dup replay", "lost update", "dirty read", "stuck replica", "desync")
TIMEOUT = 12
POLL = 3
"""Around a change of epoch reads are not known to be of either."""


class Value(NamedTuple):
    """What a key holds, named by its write."""

    version: int
    op: int
    deleted: bool


@dataclass(frozen=True)
class Setup:
    """What a simulated run consists of; shares are of operations.

    ``guarded`` nodes let no older version replace a newer one, and may therefore refill from the primary at any time.
    ``forgetful`` replicas restart with the data of their last snapshot, others with the primary's.
    """

    replicas: int = 2
    keys: int = 3
    sessions: int = 4
    operations: int = 50
    timeouts: float = 0.04
    refusals: float = 0.04
    deletes: float = 0.1
    evictions: float = 0.0
    restarts: int = 3
    ordered: bool = True
    guarded: bool = False
    forgetful: bool = False
    bug: str = ""


@dataclass
class Server:
    """One node: what it holds, how much of the primary's log it has applied, and when its epoch changed."""

    name: str
    data: dict[int, Value] = field(default_factory=dict)
    applied: int = 0
    up: bool = True
    linked: bool = True
    changes: list[int] = field(default_factory=list)
    saved: tuple[dict[int, Value], int] = field(default_factory=lambda: ({}, 0))


@dataclass
class Row:
    """One operation as it will stand in the history."""

    session: int
    node: Server
    key: int
    letter: str
    version: int
    call: int = 0
    about: str = ""
    returned: int | None = None
    status: str = "info"


class Simulation:
    """One run; ``history`` is what its clients saw."""

    def __init__(self, seed: int, setup: Setup) -> None:
        self.rng, self.setup, self.now = Random(seed), setup, 0
        self.events: list[tuple[int, float, int, Callable[[], None]]] = []
        self.servers = [Server(f"n{number}") for number in range(setup.replicas + 1)]
        self.primary = self.servers[0]
        self.log: list[tuple[int, Value]] = []
        self.rows: list[Row] = []
        self.versions = [0] * setup.keys
        self.retry: dict[int, int] = {}
        self.replies: dict[int, str] = {}
        self.busy = setup.sessions
        self.settled: int | None = None

    def run(self) -> History:
        """Simulate to the end."""
        for session in range(self.setup.sessions):
            self.after(self.rng.randrange(4), lambda session=session: self.operate(session, self.setup.operations))
        for replica in self.servers[1:]:
            self.after(1, lambda replica=replica: self.replicate(replica))
        for _ in range(self.setup.restarts):
            self.after(self.rng.randrange(10, 5 * self.setup.operations), self.disturb)
        while self.events:
            self.now, _, _, action = heapq.heappop(self.events)
            action()
        return history(
            *(self.told(row) for row in self.rows),
            unit_ns=1,
            unordered=() if self.setup.ordered else [name(key) for key in range(self.setup.keys)],
            keys=[name(key) for key in range(self.setup.keys)],
            nodes=[server.name for server in self.servers],
            settled=self.settled,
            end=self.now,
        )

    def gone(self) -> bool:
        """Whether the primary ends below some acknowledged version, with the value of an answered write or none."""
        for key in range(self.setup.keys):
            left = self.primary.data.get(key, Value(0, -1, deleted=True))
            acknowledged = [row.version for row in self.rows if row.letter != "r" and row.key == key and row.status == "ok"]
            if max(acknowledged, default=0) > left.version and (left.op < 0 or self.rows[left.op].status == "ok"):
                return True
        return False

    def after(self, delay: int, action: Callable[[], None]) -> None:
        """Do ``action`` in a while; what falls on one moment is done in any order."""
        heapq.heappush(self.events, (self.now + delay, self.rng.random(), len(self.events) + self.now, action))

    def operate(self, session: int, left: int) -> None:
        """Make the session's next operation, and all that ``left`` says after it."""
        if left == 0:
            self.busy -= 1
            if self.busy == 0:
                self.settle()
            return
        rng, setup = self.rng, self.setup
        key, letter, version, node = rng.randrange(setup.keys), "r", -1, rng.choice(self.servers)
        if rng.random() < 0.4 and (not setup.ordered or key % setup.sessions == session or setup.sessions == 1):
            letter, node = "d" if rng.random() < setup.deletes else "w", self.primary
            self.versions[key] += 1
            version = self.retry.pop(key, 0) or self.versions[key]
        self.call(Row(session, node, key, letter, version), lambda: self.operate(session, left - 1))

    def call(self, row: Row, then: Callable[[], None]) -> None:
        """One operation: refused, or sent and then answered, timed out, or cut off by a restart."""
        rng, node, key, letter = self.rng, row.node, row.key, row.letter
        value = Value(row.version, len(self.rows), letter == "d")
        row.call, born = self.now, len(node.changes)
        self.rows.append(row)

        def answered(about: str, status: str) -> None:
            row.about, row.status, row.returned = about, status, self.now
            self.after(rng.choice([0, 0, 1, 5]), then)

        def arrives(*, heard: bool) -> None:
            if not node.up or len(node.changes) != born:
                if heard:
                    self.after(TIMEOUT, then)
                return
            about = self.serve(node, key, letter, value)
            if self.setup.bug == "desync" and about and rng.random() < 0.1:
                about = self.replies.get(row.session, about)
            if about:
                self.replies[row.session] = about
            if heard:
                self.after(rng.randrange(4), lambda: answered(about, "ok"))

        if not node.up or rng.random() < self.setup.refusals:
            if letter != "r":
                if rng.random() < 0.5:
                    self.retry[key] = row.version  # the very same version once more, by another operation
                if self.setup.bug == "dirty read" and node.up:
                    self.serve(node, key, letter, value)
            self.after(rng.randrange(3), lambda: answered("", "fail"))
        elif rng.random() < self.setup.timeouts:
            self.after(TIMEOUT, then)
            if rng.random() < 0.7:
                self.after(rng.randrange(5 * TIMEOUT), lambda: arrives(heard=False))
        else:
            self.after(rng.randrange(4), lambda: arrives(heard=True))

    def settle(self) -> None:
        """Let the fleet catch up, then ask every node for every key, three times."""
        self.settled = self.now + 5 * TIMEOUT
        for round_ in range(3):
            for number, node in enumerate(self.servers):
                for key in range(self.setup.keys):
                    prober = self.setup.sessions + number * self.setup.keys + key
                    probe = Row(prober, node, key, "r", -1)
                    self.after((5 + 4 * round_) * TIMEOUT, lambda probe=probe: self.call(probe, lambda: None))

    def serve(self, node: Server, key: int, letter: str, value: Value) -> str:
        """What the node does and answers, at one moment."""
        if letter != "r":
            self.put(node, key, value)
            self.log.append((key, value))
            return ""
        if self.rng.random() < self.setup.evictions:
            return f"{name(key)}-"
        held = node.data.get(key)
        if held is None or held.deleted:
            return f"{name(key)}~"  # a node that holds everything can say that there is no value
        return f"{name(key)}{held.version}#{held.op}"

    def put(self, node: Server, key: int, value: Value) -> None:
        held = node.data.get(key)
        if not self.setup.guarded or held is None or held.version < value.version:
            node.data[key] = value

    def replicate(self, node: Server) -> None:
        """Apply a few entries of the log, now and again."""
        rng, bug = self.rng, self.setup.bug
        if self.settled is None or self.now < self.settled + 20 * TIMEOUT:
            self.after(rng.choice([1, 2, 4, 9]), lambda: self.replicate(node))
        if not node.up or not node.linked or (bug == "stuck replica" and self.now > 60):
            return
        batch = self.log[node.applied : node.applied + rng.randrange(1, 6)]
        node.applied += len(batch)
        if bug == "reorder":
            for key, value in batch:
                self.after(rng.randrange(20), lambda key=key, value=value: self.put(node, key, value))
            return
        if bug == "dup replay" and rng.random() < 0.2:
            batch = [*batch, *self.log[max(0, node.applied - 8) : node.applied - 3]]
        for key, value in batch:
            self.put(node, key, value)
        if rng.random() < 0.1:
            node.saved = dict(node.data), node.applied
        if bug == "blind refill" or self.setup.guarded:
            key = rng.randrange(self.setup.keys)
            value = self.primary.data.get(key)
            if value is not None:
                self.after(rng.randrange(30), lambda: self.put(node, key, value))

    def disturb(self) -> None:
        """Restart a node or break a replica's link, for a while."""
        node = self.rng.choice(self.servers)
        if self.settled is not None:
            return
        if node is not self.primary and self.rng.random() < 0.5:
            node.linked = False
            self.after(self.rng.randrange(40), lambda: setattr(node, "linked", True))
        elif node.up:
            node.up = False
            node.changes.append(self.now)
            self.after(self.rng.randrange(1, 20), lambda: self.restart(node))

    def restart(self, node: Server) -> None:
        node.up = True
        node.changes.append(self.now)
        if node is not self.primary:
            data, node.applied = node.saved if self.setup.forgetful else (self.primary.data, len(self.log))
            node.data = dict(data)
        elif self.setup.bug == "lost update":
            del self.log[max(0, len(self.log) - 4) :]
            node.data = dict(self.log)
            for replica in self.servers[1:]:  # copies of a primary take its word
                replica.data, replica.applied = dict(node.data), len(self.log)
                replica.changes.append(self.now)

    def told(self, row: Row) -> str:
        """The row in the language of ``tests.checkers.histories``."""
        end = TIMEOUT + row.call if row.returned is None else row.returned
        near = any(row.call - POLL <= change <= end + POLL for change in row.node.changes)
        epoch = -1 if near else sum(change < row.call for change in row.node.changes)
        about = name(row.key) if row.letter == "r" else f"{name(row.key)}{row.version}"
        if row.about:
            about = row.about if row.about.startswith(name(row.key)) else f"{name(row.key)}={row.about}"
        when = f"{row.call}-{'' if row.returned is None else row.returned}"
        return f"{row.letter} {about} @{row.node.name} e{epoch} s{row.session} {when} {row.status}"


def name(key: int) -> str:
    """The key's name."""
    return "abcdefghij"[key]
