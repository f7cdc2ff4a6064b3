"""The same quantities, counted on real processes: a fleet on loopback addresses, under the load of its case."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from harness.candidates.redis_admin import Admin
from harness.candidates.reference import Reference
from harness.cost.case import Case, S
from harness.cost.clients import readers, writers
from harness.cost.records import Real, metadata
from harness.history import Function, Seen, Status
from harness.operations import Operation, Outcome, Session
from harness.plan import CandidateSpec
from harness.reference.messages import ORIGIN
from harness.runtimes import RUNTIMES
from harness.runtimes.base import Capability
from harness.values import encode_value

RUNTIME = "process"
COUNTED_NS = 4 * S
"""Each load, without writes and with them, is counted for so long."""
_LEAD_NS = 1 * S
"""It has gone on for so long before."""
_TIMEOUT_NS = 2 * S
_DIRECT = "what they say is counted, and proxies would take their time"


def refusal() -> str | None:
    """Why no real fleet can be had on this machine; None if one can."""
    return RUNTIMES.load(RUNTIME)(Path()).refusal(Capability.CUT)


def count_real(strategy: str, case: Case, directory: Path, *, seed: int = 1, counted_ns: int = COUNTED_NS) -> Real:
    """Start the fleet of ``case``, let clients read, then read and write, and stop it. Raises ``AnachronError``."""
    return asyncio.run(_lived(_fleet(strategy, case), case, directory, seed, counted_ns))


def _fleet(strategy: str, case: Case) -> Reference:
    """The candidate, with the very times of the case, and no proxies between its places."""
    times = {
        name.removesuffix("_ns"): f"{value}ns" if name.endswith("_ns") else value for name, value in asdict(case.settings).items()
    }
    options: Mapping[str, Any] = {"kind": "reference", "strategy": strategy, "nodes": case.nodes, **times}
    fleet = Reference(CandidateSpec.model_validate(options))
    fleet.topology = replace(fleet.topology, direct=_DIRECT)
    return fleet


async def _lived(fleet: Reference, case: Case, directory: Path, seed: int, counted_ns: int) -> Real:
    runtime = RUNTIMES.load(RUNTIME)(directory)
    try:
        await runtime.open(fleet.topology)
        await fleet.start(runtime)
        load = _Load(fleet, counted_ns)
        try:
            keys = range(case.load.keys)
            idle = await load.play(readers(case, keys, seed))
            # The same reads once more: what differs is what the writes bring about.
            busy = await load.play(readers(case, keys, seed) + writers(case, keys, seed))
        finally:
            load.close()
    finally:
        await fleet.close()
        await runtime.close()
    return _real(fleet, case, idle, busy)


class Answer(NamedTuple):
    """One operation that was counted."""

    function: Function
    took_ns: int
    ok: bool


@dataclass(frozen=True, slots=True)
class Tally:
    """What was counted while a load went on.

    Attributes:
        took_ns: for how long.
        sent, served: messages of all places, and requests at the origin, by kind.
        size, beats: see ``harness.candidates.apps.counts``.
        kept: what every place kept in the end, by table.
        answers: the operations.
    """

    took_ns: int
    sent: Mapping[str, int]
    served: Mapping[str, int]
    size: int
    beats: int
    kept: Mapping[str, Mapping[str, int]]
    answers: Sequence[Answer]

    def rate(self, number: float) -> float:
        """``number`` a second."""
        return number * S / self.took_ns


def _real(fleet: Reference, case: Case, idle: Tally, busy: Tally) -> Real:
    """What the two say together."""
    nodes = [node.name for node in fleet.topology.nodes if node.role == "node"]
    writes = [answer for answer in busy.answers if answer.function is Function.WRITE]
    scale = busy.took_ns / idle.took_ns
    kinds = {
        kind: (busy.sent.get(kind, 0) - scale * idle.sent.get(kind, 0)) / max(1, len(writes))
        for kind in {**idle.sent, **busy.sent}
    }
    written = _times(writes)
    due = (case.nodes * case.load.reads + case.load.writes) * busy.took_ns / S
    return Real(
        writes=len(writes),
        borne=len(busy.answers) / due,
        unanswered=sum(not answer.ok for answer in (*idle.answers, *busy.answers)),
        write_ns=round(median(written)),
        write_p99_ns=round(np.quantile(written, 0.99)),
        read_ns=round(median(_times(answer for answer in busy.answers if answer.function is Function.READ))),
        messages=sum(kinds.values()),
        origin=busy.rate(sum(busy.served.values())),
        metadata=metadata(fleet.design.name, busy.kept, nodes),
        idle=idle.rate(sum(idle.sent.values())),
        size=(busy.size - scale * idle.size) / max(1, len(writes)),
        beats=busy.rate(busy.beats),
        kinds={kind: kinds[kind] for kind in sorted(kinds, key=lambda kind: -abs(kinds[kind]))},
    )


def _times(answers: Iterable[Answer]) -> list[int]:
    return [answer.took_ns for answer in answers if answer.ok] or [0]


class _Load:
    """The clients of a fleet, and the questions to its places that the counts come from."""

    def __init__(self, fleet: Reference, counted_ns: int) -> None:
        self._names = [node.name for node in fleet.topology.nodes]
        self._fleet = fleet
        self._places = {name: fleet.admin(name) for name in self._names}
        self._counted_ns = counted_ns
        self._ops = count()
        self._lines: list[Admin] = []
        self._answers: list[Answer] = []
        self._counting = False

    async def play(self, sessions: Sequence[Session]) -> Tally:
        """Let every session go on for the whole time; count once it has gone on for a while."""
        begin_ns = time.monotonic_ns()
        end_ns = begin_ns + _LEAD_NS + self._counted_ns
        self._answers = []
        playing = asyncio.gather(*(self._play(session, begin_ns, end_ns) for session in sessions))
        try:
            await _until(begin_ns + _LEAD_NS)
            since_ns, before = time.monotonic_ns(), await self._stats()
            self._counting = True
            await _until(end_ns)
            self._counting = False
            took_ns, after = time.monotonic_ns() - since_ns, await self._stats()
            await playing
        finally:
            playing.cancel()
        return _tally(took_ns, before, after, self._answers)

    def close(self) -> None:
        """Close all connections."""
        for admin in (*self._lines, *self._places.values()):
            admin.close()

    async def _stats(self) -> Mapping[str, Any]:
        told = await asyncio.gather(*(admin.call("STATS") for admin in self._places.values()))
        return {name: json.loads(text) for name, text in zip(self._places, told, strict=True)}

    async def _play(self, session: Session, begin_ns: int, end_ns: int) -> None:
        """One session, over connections of its own, until ``end_ns``."""
        lines: dict[int, Admin] = {}
        operation = next(session)
        while (due_ns := begin_ns + operation.due_ns) < end_ns:
            await _until(due_ns)
            if operation.node not in lines:
                lines[operation.node] = self._fleet.admin(self._names[operation.node])
                self._lines.append(lines[operation.node])
            operation = session.send(await self._operate(lines[operation.node], operation))

    async def _operate(self, line: Admin, operation: Operation) -> Outcome:
        key = f"key-{operation.key}"
        value = encode_value(key.encode(), operation.version, next(self._ops)).decode()
        words = ("SET", key, value) if operation.function is Function.WRITE else ("GET", key)
        call_ns, ok = time.monotonic_ns(), True
        try:
            await line.call(*words, within_ns=_TIMEOUT_NS)
        except OSError:
            ok = False
        return_ns = time.monotonic_ns()
        if self._counting:
            self._answers.append(Answer(operation.function, return_ns - call_ns, ok))
        return Outcome(Status.OK if ok else Status.INFO, call_ns, return_ns, Seen.NOTHING, -1)


def _tally(took_ns: int, before: Mapping[str, Any], after: Mapping[str, Any], answers: Sequence[Answer]) -> Tally:
    def grown(what: str, places: Iterable[str] = before) -> Mapping[str, int]:
        total: Counter[str] = Counter()
        for place in places:
            total.update(after[place][what])
            total.subtract(before[place][what])
        return total

    def more(what: str) -> int:
        return sum(after[place][what] - before[place][what] for place in before)

    return Tally(
        took_ns=took_ns,
        sent=grown("sent"),
        served=grown("served", [ORIGIN]),
        size=more("bytes"),
        beats=more("beats"),
        kept={name: told["kept"] for name, told in after.items()},
        answers=tuple(answers),
    )


async def _until(time_ns: int) -> None:
    await asyncio.sleep(max(0, time_ns - time.monotonic_ns()) / 1e9)
