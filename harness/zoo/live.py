"""Carrying a schedule out on a fleet of real processes: the same steps as in virtual time, over sockets.

Gates and rules are shut and laid down in the processes themselves; links are cut, and processes paused, killed and restarted, by
the runtime. Where the schedule lets time pass, a little more is waited: real messages take as long as the machine lets them.

What is sent into a cut is lost in virtual time. A real connection would still deliver it afterwards; so a cut is mended only when
both ends have given their connection up. After that, and after a restart, the schedule goes on when they are connected again.
Where one node is primary it is the first one before the schedule begins, as schedules take it to be.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress

from harness.candidates.redis_admin import Admin
from harness.candidates.reference import Reference
from harness.errors import HarnessError
from harness.history import History
from harness.reference.strategies.replicated import Replicated
from harness.runtimes.base import ClockSkew, Runtime
from harness.simulation.script import EVERY, Answered, AtGate, Cut, Deliver, Invoke, Jump, Meddle, Pass, Process, Step
from harness.store.audits import decide_unanswered
from harness.store.epochs import assign_epochs
from harness.store.logs import Audit, Sample
from harness.topology import Link
from harness.values import decode_value
from harness.zoo.places import Places
from harness.zoo.sessions import Sessions

_SLACK_S = 0.05
_POLL_S = 0.05
_AUDIT_WITHIN_S = 5.0
_CROWNED_WITHIN_S = 30.0


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
        self._samples: list[Sample] = []
        self._nodes = [node.name for node in fleet.topology.nodes if node.role == "node"]
        self._sessions = Sessions(runtime, self._nodes, self._now_ns)
        self._places = Places({})
        self._mending: list[Link] = []
        self._origin_ns = time.monotonic_ns()

    async def run(self, steps: Sequence[Step], settle_ns: int) -> History:
        """Take the steps, probe, and put the history together."""
        self._places = Places({node.name: Admin(self._runtime.endpoint(node.name)) for node in self._fleet.topology.nodes})
        if issubclass(self._fleet.design.node, Replicated):
            await self._crown(self._nodes[0])
        self._origin_ns = time.monotonic_ns()
        for node in self._nodes:
            await self._look(node)
        looking = [asyncio.create_task(self._watch(node)) for node in self._nodes]
        try:
            for step in steps:
                await self._take(step)
            await self._mend()
            settled_ns = self._now_ns()
            await self._sessions.settle(settled_ns, settle_ns)
            await asyncio.sleep(3 * _POLL_S)
        finally:
            for each in looking:
                each.cancel()
        audits = []
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_AUDIT_WITHIN_S):
                written = [decode_value(value) for value in await self._fleet.audit(seal=True)]
                audits = [Audit(self._now_ns(), True, tuple(value.op for value in written if value is not None))]
        return decide_unanswered(assign_epochs(self._sessions.history(settled_ns), self._samples), audits)

    def close(self) -> None:
        """Close all connections."""
        self._sessions.close()
        self._places.close()

    async def _crown(self, wanted: str) -> None:
        """Let ``wanted`` be primary, as it is in virtual time: here another one may have been there first, and stands still."""
        try:
            async with asyncio.timeout(_CROWNED_WITHIN_S):
                while (primary := await self._primary(*self._nodes)) != wanted:
                    await self._runtime.pause(primary)
                    await self._primary(*(node for node in self._nodes if node != primary))
                    await self._runtime.resume(primary)
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise HarnessError(f"{wanted} does not become primary") from None
        await asyncio.sleep(2 * self._fleet.settings.heartbeat_ns / 1e9)

    async def _primary(self, *nodes: str) -> str:
        """Who of ``nodes`` is primary, once one is."""
        while True:
            for node in nodes:
                with suppress(OSError):
                    if "primary" in await self._fleet.identity(node):
                        return node
            await asyncio.sleep(_POLL_S)

    async def _take(self, step: Step) -> None:
        try:
            if not isinstance(step, Cut) or step.cut:
                await self._mend()
            await self._carry_out(step)
        except (HarnessError, OSError) as error:
            raise HarnessError(f'the step "{step.text}" cannot be taken', why=str(error)) from error

    async def _carry_out(self, step: Step) -> None:
        match step:
            case Invoke(_, name, function, keys, node):
                for asked in self._nodes if node == EVERY else (node,):
                    self._check(asked)
                    await self._sessions.invoke(name, function, keys, asked, self._places.held)
            case Answered(_, name):
                await self._sessions.answered(name)
            case Pass(_, ns):
                await asyncio.sleep(ns / 1e9 + _SLACK_S)
            case AtGate(_, shut, gate, place):
                await self._tell(place, "HOLD" if shut else "RELEASE", gate)
            case Meddle(_, act, number, kind, source, target):
                await self._tell(source, "MEDDLE", act, str(number), kind, target)
            case Deliver(_, source, target):
                await self._tell(source, "DELIVER", target)
            case Cut(_, cut, one, other):
                links = [link for link in self._fleet.topology.links if {link.source, link.target} == {one, other}]
                if not links:
                    raise HarnessError(f"there is no link between {one} and {other}")
                if cut:
                    await self._runtime.cut(links)
                else:
                    self._mending += links
            case Process(_, act, place, keep_data):
                self._check(place)
                await self._process(act, place, keep_data=keep_data)
            case Jump(_, place, ns):
                self._check(place)
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

    async def _mend(self) -> None:
        """Mend what is to be mended, all at one moment: one link after the other would leave a fleet half cut for a while."""
        links, self._mending = self._mending, []
        if links:
            await self._places.parted(links)
            await self._runtime.mend(links)
            await self._places.joined(links)

    async def _tell(self, place: str, *words: str) -> None:
        self._check(place)
        await self._places.tell(place, *words)

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

    def _check(self, place: str) -> None:
        if place not in self._places:
            raise HarnessError(f"there is no {place} among {self._places}")

    def _now_ns(self) -> int:
        return time.monotonic_ns() - self._origin_ns
