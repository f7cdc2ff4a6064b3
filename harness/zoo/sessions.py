"""The sessions of a schedule on a live fleet: their requests, what became of them, and the probes at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Any

from harness.candidates.redis_admin import Admin
from harness.durations import UNITS
from harness.errors import HarnessError
from harness.history import NEVER, Function, History, Seen, Status
from harness.operations import Operation, Outcome, Session
from harness.runtimes.base import Runtime
from harness.simulation.rows import Rows
from harness.topology import Link
from harness.values import decode_value, encode_value
from workloads.base import Shard
from workloads.settle import Settle

TIMEOUT_NS = 2_000 * UNITS["ms"]
"""How long a client waits for an answer."""
_LOOK_S = 0.005
_REFUSALS = ("TRYAGAIN", "LOADING")
_WORKLOADS = ("schedule", "settle")
_NO_SIGHT = (Seen.NOTHING, -1, -1, -1)


@dataclass(eq=False)
class _Session:
    number: int
    process: int
    work: asyncio.Task[Outcome] | None = None
    connections: dict[str, Admin] = field(default_factory=dict)


class Sessions:
    """All of them, by their names.

    Args:
        runtime: the way to the nodes.
        nodes: the names of those that are asked.
        clock: the time, in ns since the origin.
    """

    def __init__(self, runtime: Runtime, nodes: Sequence[str], clock: Callable[[], int]) -> None:
        self._runtime = runtime
        self._nodes = nodes
        self._clock = clock
        self._rows = Rows()
        self._ops, self._groups, self._processes = count(), count(), count(1_000)
        self._sessions: dict[str, _Session] = {}
        self._versions: dict[str, int] = {}
        self._acknowledged: dict[int, int] = {}

    def close(self) -> None:
        """Give up what is under way, and close all connections."""
        for session in self._sessions.values():
            if session.work is not None:
                session.work.cancel()
            for admin in session.connections.values():
                admin.close()

    async def invoke(
        self, name: str, function: Function, keys: tuple[str, ...], node: str, held: Callable[[], Awaitable[int]]
    ) -> None:
        """One request; returns once it is over, or more is ``held`` than before. Raises ``HarnessError``."""
        session = self._sessions.get(name)
        if session is None:
            session = self._sessions[name] = _Session(len(self._sessions), len(self._sessions))
        if session.work is not None and not session.work.done():
            raise HarnessError(f"{name} still waits for an answer")
        (index, version), *beside = [self._item(function, key) for key in keys]
        group = next(self._groups) if beside else -1
        operation = Operation(function, index, self._nodes.index(node), version, group=group, beside=tuple(beside))
        before = await held()
        session.work = asyncio.create_task(self._operate(session, operation))
        while not session.work.done() and await held() == before:  # noqa: ASYNC110 - what is held shows only when asked
            await asyncio.sleep(_LOOK_S)

    async def answered(self, name: str) -> None:
        """Return once the request of ``name`` is over. Raises ``HarnessError`` if there is none."""
        session = self._sessions.get(name)
        if session is None or session.work is None:
            raise HarnessError(f"{name} has asked nothing")
        await session.work

    def history(self, settled_ns: int) -> History:
        """All of it; nothing was written after ``settled_ns``."""
        return self._rows.history(nodes=list(self._nodes), workloads=_WORKLOADS, end_ns=self._clock(), settled_ns=settled_ns)

    def _item(self, function: Function, key: str) -> tuple[int, int]:
        """The index of ``key``, and the version to write."""
        index = self._rows.index.get(key)
        if index is None:
            index = self._rows.add(key)
        if function is Function.READ:
            return index, -1
        self._versions[key] = self._versions.get(key, 0) + 1
        return index, self._versions[key]

    async def _operate(self, session: _Session, operation: Operation, workload: int = 0) -> Outcome:
        """One request from call to return, written down when it is over: a row for each key, with a number of its own."""
        function, _, index, _, due_ns, group, _ = operation
        node = self._nodes[index]
        admin = session.connections.get(node)
        if admin is None:
            admin = session.connections[node] = Admin(self._runtime.via(Link("client", node)))
        items = [(next(self._ops), key, version) for key, version in operation.items]
        sights = [_NO_SIGHT] * len(items)
        status, error = Status.OK, -1
        call_ns = self._clock()
        try:
            reply = await admin.call(*self._words(function, items), within_ns=TIMEOUT_NS)
        except OSError as trouble:
            certain = function is Function.READ or any(word in str(trouble) for word in _REFUSALS)
            status, error = Status.FAIL if certain else Status.INFO, self._rows.error(type(trouble).__name__)
        else:
            if function is Function.READ:
                sights = [self._sight(found) for found in (reply if operation.beside else [reply])]
            else:
                for _, key, version in items:
                    self._acknowledged[key] = max(version, self._acknowledged.get(key, 0))
        return_ns = self._clock()
        for (op, key, version), sight in zip(items, sights, strict=True):
            self._rows.ended.append((
                op, group, workload, session.number, session.process, index, function, key, due_ns or call_ns, call_ns, version,
                NEVER if status is Status.INFO else return_ns, status, *sight, error,
            ))  # fmt: skip
        if status is Status.INFO:
            session.process = next(self._processes)
        (seen, _, version, _), *others = sights
        return Outcome(status, call_ns, return_ns, seen, version, tuple((other, number) for other, _, number, _ in others))

    def _words(self, function: Function, items: Sequence[tuple[int, int, int]]) -> tuple[str, ...]:
        """The command for the operations, keys and versions of one request."""
        several = "M" if len(items) > 1 else ""
        named = [(self._rows.keys[key], version, op) for op, key, version in items]
        match function:
            case Function.WRITE:
                pairs = ((name, encode_value(name.encode(), version, op).decode()) for name, version, op in named)
                return (f"{several}SET", *chain.from_iterable(pairs))
            case Function.READ:
                return (f"{several}GET", *(name for name, _, _ in named))
        return ("DEL", *(name for name, _, _ in named))

    def _sight(self, found: Any) -> tuple[Seen, int, int, int]:
        """What a read has found of a key: what that is, and the key, the version and the operation in it."""
        value = decode_value(found.encode()) if isinstance(found, str) else None
        if value is None:
            return Seen.ABSENT if found is None else Seen.GARBAGE, -1, -1, -1
        return Seen.HIT, self._rows.index.get(value.key.decode(), -1), value.version, value.op

    async def settle(self, begin_ns: int, limit_ns: int) -> None:
        """Probe every node until it has the final versions."""
        probes = Settle(self._acknowledged, range(len(self._nodes)), begin_ns, limit_ns)
        numbers = range(len(self._sessions), len(self._sessions) + probes.sessions_wanted)
        shard = Shard("settle", numbers, 0, self._rows, count(1_000_000))
        await asyncio.gather(
            *(self._play(_Session(number, number), steps) for number, steps in zip(numbers, probes.sessions(shard), strict=True))
        )

    async def _play(self, session: _Session, steps: Session) -> None:
        self._sessions[f"settle {session.number}"] = session
        operation = next(steps, None)
        while operation is not None:
            await asyncio.sleep(max(0, operation.due_ns - self._clock()) / 1e9)
            outcome = await self._operate(session, operation, workload=1)
            try:
                operation = steps.send(outcome)
            except StopIteration:
                return
