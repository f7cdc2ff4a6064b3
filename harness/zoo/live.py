"""Carrying a schedule out on a fleet of real processes: the same steps as in virtual time, over sockets.

Gates and rules are shut and laid down in the processes themselves; links are cut, and processes paused, killed and restarted, by
the runtime. Where the schedule lets time pass, a little more is waited: real messages take as long as the machine lets them.

What is sent into a cut is lost in virtual time. A real connection would still deliver it afterwards; so a cut is mended only when
both ends have given their connection up. After that, and after a restart, the schedule goes on when they are connected again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Any

from harness.candidates.redis_admin import Admin
from harness.candidates.reference import Reference
from harness.durations import UNITS
from harness.errors import HarnessError
from harness.history import NEVER, Function, History, Seen, Status
from harness.operations import Operation, Outcome, Session
from harness.runtimes.base import ClockSkew, Runtime
from harness.simulation.rows import Rows
from harness.simulation.script import EVERY, Answered, AtGate, Cut, Deliver, Invoke, Jump, Meddle, Pass, Process, Step
from harness.store.audits import decide_unanswered
from harness.store.epochs import assign_epochs
from harness.store.logs import Audit, Sample
from harness.topology import Link
from harness.values import decode_value, encode_value
from harness.zoo.places import Places
from workloads.base import Shard
from workloads.settle import Settle

TIMEOUT_NS = 2_000 * UNITS["ms"]
"""How long a client waits for an answer."""
_SLACK_S = 0.05
_LOOK_S = 0.005
_POLL_S = 0.05
_AUDIT_WITHIN_S = 5.0
_REFUSALS = ("TRYAGAIN", "LOADING")
_WORKLOADS = ("schedule", "settle")
_NO_SIGHT = (Seen.NOTHING, -1, -1, -1)


@dataclass(eq=False)
class _Session:
    number: int
    process: int
    work: asyncio.Task[Outcome] | None = None
    connections: dict[str, Admin] = field(default_factory=dict)


async def force_live(fleet: Reference, runtime: Runtime, steps: Sequence[Step], settle_ns: int) -> History:
    """The history of ``steps`` on ``fleet``, which is started on ``runtime`` and stopped in the end.

    Raises ``HarnessError`` for a step that cannot be taken, and as starting a fleet does.
    """
    stage = _Stage(fleet, runtime)
    try:
        await runtime.open(fleet.topology)
        await fleet.start(runtime)
        return await stage.run(steps, settle_ns)
    finally:
        stage.close()
        await fleet.close()
        await runtime.close()


class _Stage:
    def __init__(self, fleet: Reference, runtime: Runtime) -> None:
        self._fleet = fleet
        self._runtime = runtime
        self._rows = Rows()
        self._ops, self._groups, self._processes = count(), count(), count(1_000)
        self._sessions: dict[str, _Session] = {}
        self._versions: dict[str, int] = {}
        self._acknowledged: dict[int, int] = {}
        self._samples: list[Sample] = []
        self._nodes = [node.name for node in fleet.topology.nodes if node.role == "node"]
        self._places = Places({})
        self._origin_ns = time.monotonic_ns()

    async def run(self, steps: Sequence[Step], settle_ns: int) -> History:
        """Take the steps, probe, and put the history together."""
        self._places = Places({node.name: Admin(self._runtime.endpoint(node.name)) for node in self._fleet.topology.nodes})
        self._origin_ns = time.monotonic_ns()
        for node in self._nodes:
            await self._look(node)
        looking = [asyncio.create_task(self._watch(node)) for node in self._nodes]
        try:
            for step in steps:
                await self._take(step)
            settled_ns = self._now_ns()
            await self._settle(settled_ns, settle_ns)
            await asyncio.sleep(3 * _POLL_S)
        finally:
            for each in looking:
                each.cancel()
        audits = []
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_AUDIT_WITHIN_S):
                written = [decode_value(value) for value in await self._fleet.audit(seal=True)]
                audits = [Audit(self._now_ns(), True, tuple(value.op for value in written if value is not None))]
        end_ns = self._now_ns()
        history = self._rows.history(nodes=self._nodes, workloads=_WORKLOADS, end_ns=end_ns, settled_ns=settled_ns)
        return decide_unanswered(assign_epochs(history, self._samples), audits)

    def close(self) -> None:
        """Close all connections."""
        for session in self._sessions.values():
            if session.work is not None:
                session.work.cancel()
            for admin in session.connections.values():
                admin.close()
        self._places.close()

    async def _take(self, step: Step) -> None:
        match step:
            case Invoke(_, name, function, keys, node):
                for asked in self._nodes if node == EVERY else (node,):
                    await self._invoke(step, name, function, keys, asked)
            case Answered(_, name):
                session = self._sessions.get(name)
                if session is None or session.work is None:
                    raise _no(step, f"{name} has asked nothing")
                await session.work
            case Pass(_, ns):
                await asyncio.sleep(ns / 1e9 + _SLACK_S)
            case AtGate(_, shut, gate, place):
                await self._tell(step, place, "HOLD" if shut else "RELEASE", gate)
            case Meddle(_, act, number, kind, source, target):
                await self._tell(step, source, "MEDDLE", act, str(number), kind, target)
            case Deliver(_, source, target):
                await self._tell(step, source, "DELIVER", target)
            case Cut(_, cut, one, other):
                links = [link for link in self._fleet.topology.links if {link.source, link.target} == {one, other}]
                if not links:
                    raise _no(step, f"there is no link between {one} and {other}")
                await (self._runtime.cut(links) if cut else self._mend(links))
            case Process(_, act, place, keep_data):
                self._check(step, place)
                await self._process(act, place, keep_data=keep_data)
            case Jump(_, place, ns):
                self._check(step, place)
                await self._runtime.set_clock(place, ClockSkew(wall_ns=ns))

    async def _process(self, act: str, place: str, *, keep_data: bool) -> None:
        match act:
            case "pause":
                await self._runtime.pause(place)
            case "resume":
                await self._runtime.resume(place)
            case "kill":
                await self._runtime.kill(place)
            case _:
                await self._runtime.restart(place, keep_data=keep_data)
                await self._fleet.ready(place)
                await self._places.joined([link for link in self._fleet.topology.links if place in {link.source, link.target}])

    async def _mend(self, links: Sequence[Link]) -> None:
        await self._places.parted(links)
        await self._runtime.mend(links)
        await self._places.joined(links)

    async def _invoke(self, step: Step, name: str, function: Function, keys: tuple[str, ...], node: str) -> None:
        self._check(step, node)
        session = self._sessions.get(name)
        if session is None:
            session = self._sessions[name] = _Session(len(self._sessions), len(self._sessions))
        if session.work is not None and not session.work.done():
            raise _no(step, f"{name} still waits for an answer")
        (index, version), *beside = [self._item(function, key) for key in keys]
        group = next(self._groups) if beside else -1
        operation = Operation(function, index, self._nodes.index(node), version, group=group, beside=tuple(beside))
        before = await self._places.held()
        session.work = asyncio.create_task(self._operate(session, operation))
        while not session.work.done() and await self._places.held() == before:  # noqa: ASYNC110 - what is held shows only when asked
            await asyncio.sleep(_LOOK_S)

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
        call_ns = self._now_ns()
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
        return_ns = self._now_ns()
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

    async def _settle(self, begin_ns: int, limit_ns: int) -> None:
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
            await asyncio.sleep(max(0, operation.due_ns - self._now_ns()) / 1e9)
            outcome = await self._operate(session, operation, workload=1)
            try:
                operation = steps.send(outcome)
            except StopIteration:
                return

    async def _tell(self, step: Step, place: str, *words: str) -> None:
        self._check(step, place)
        try:
            await self._places.tell(place, *words)
        except OSError as error:
            raise _no(step, str(error)) from None

    async def _watch(self, node: str) -> None:
        """Ask ``node`` who it is, again and again."""
        while True:
            await self._look(node)
            await asyncio.sleep(_POLL_S)

    async def _look(self, node: str) -> None:
        asked_ns = self._now_ns()
        with suppress(OSError):
            identity = await self._fleet.identity(node)
            self._samples.append(Sample(node, asked_ns, self._now_ns(), identity))

    def _check(self, step: Step, place: str) -> None:
        if place not in self._places:
            raise _no(step, f"there is no {place} among {self._places}")

    def _now_ns(self) -> int:
        return time.monotonic_ns() - self._origin_ns


def _no(step: Step, why: str) -> HarnessError:
    return HarnessError(f'the step "{step.text}" cannot be taken', why=why)
