"""Schedules: a race written down step by step, one step a line, so that it happens in every run.

==========================================  =====================================================================================
``A writes x at node-1``                    session A writes the next version of key x; also ``deletes``, and ``reads``
``A writes x and y at node-1``              both in one request
``A reads x at every node``                 one node after the other
``A is answered``                           wait until the operation of A is over that was held
``wait 50ms``                               time passes
``hold fill.before-put at node-2``          every flow that comes to this gate at this place stands still from now on
``release fill.before-put at node-2``       they go on
``lose 1 Invalidate from bus to node-2``    the next message of this kind on this way never arrives; also ``hold``, ``double``
``deliver from bus to node-2``              what was held on this way arrives, and nothing more is held
``cut node-2 from bus``                     no message passes either way; ``mend node-2 and bus``
``pause node-2``                            also ``resume``, ``kill``, ``restart``, ``restart node-2 without data``
``clock of node-2 jumps by -2s``            its wall clock
==========================================  =====================================================================================

An operation is over before the next step begins, unless a gate or a held message keeps it from it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from harness.durations import parse_duration
from harness.errors import PlanError
from harness.history import Function

EVERY = "every node"


@dataclass(frozen=True, slots=True)
class Step:
    """One line; ``text`` is as it was written."""

    text: str


@dataclass(frozen=True, slots=True)
class Invoke(Step):
    """An operation of a session at a node, or at every node; on several keys, it is one request."""

    session: str
    function: Function
    keys: tuple[str, ...]
    node: str


@dataclass(frozen=True, slots=True)
class Answered(Step):
    """The operation that the session has in flight ends."""

    session: str


@dataclass(frozen=True, slots=True)
class Pass(Step):
    """Time passes."""

    ns: int


@dataclass(frozen=True, slots=True)
class AtGate(Step):
    """A gate at a place is shut or opened."""

    shut: bool
    gate: str
    place: str


@dataclass(frozen=True, slots=True)
class Meddle(Step):
    """Single messages from one place to another are lost, held or doubled."""

    act: Literal["lose", "hold", "double"]
    count: int
    kind: str
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Deliver(Step):
    """What was held arrives."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Cut(Step):
    """Two places hear nothing of each other, or do again."""

    cut: bool
    one: str
    other: str


@dataclass(frozen=True, slots=True)
class Process(Step):
    """A process is paused, resumed, killed or restarted."""

    act: Literal["pause", "resume", "kill", "restart"]
    place: str
    keep_data: bool


@dataclass(frozen=True, slots=True)
class Jump(Step):
    """A wall clock is set."""

    place: str
    ns: int


_FUNCTIONS = {"writes": Function.WRITE, "reads": Function.READ, "deletes": Function.DELETE}

_INVOKE = re.compile(r"(\w+) (writes|reads|deletes) (\S+(?: and \S+)*) at (every node|\S+)")
_ANSWERED = re.compile(r"(\w+) is answered")
_WAIT = re.compile(r"wait (\S+)")
_GATE = re.compile(r"(hold|release) ([\w-]+\.[\w-]+) at (\S+)")
_MEDDLE = re.compile(r"(lose|hold|double) (\d+) (\w+) from (\S+) to (\S+)")
_DELIVER = re.compile(r"deliver from (\S+) to (\S+)")
_CUT = re.compile(r"cut (\S+) from (\S+)")
_MEND = re.compile(r"mend (\S+) and (\S+)")
_PROCESS = re.compile(r"(pause|resume|kill|restart) (\S+)( without data)?")
_JUMP = re.compile(r"clock of (\S+) jumps by (-?)(\S+)")


def parse_script(text: str, source: str = "schedule") -> tuple[Step, ...]:
    """The steps in ``text``; empty lines and what follows a ``#`` are left out. Raises ``PlanError``."""
    steps = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].strip()
        if words:
            step = _step(words)
            if step is None:
                raise PlanError(f'"{words}" is no step', where=f"{source}, line {number}", fix="see `anachron explain schedules`")
            steps.append(step)
    return tuple(steps)


def _step(text: str) -> Step | None:
    if found := _INVOKE.fullmatch(text):
        return Invoke(text, found[1], _FUNCTIONS[found[2]], tuple(found[3].split(" and ")), found[4])
    if found := _ANSWERED.fullmatch(text):
        return Answered(text, found[1])
    if found := _WAIT.fullmatch(text):
        return Pass(text, parse_duration(found[1]))
    if found := _GATE.fullmatch(text):
        return AtGate(text, found[1] == "hold", found[2], found[3])
    if found := _MEDDLE.fullmatch(text):
        act: Literal["lose", "hold", "double"] = found[1]  # type: ignore[assignment] # the pattern knows no other
        return Meddle(text, act, int(found[2]), found[3], found[4], found[5])
    if found := _DELIVER.fullmatch(text):
        return Deliver(text, found[1], found[2])
    if found := _CUT.fullmatch(text):
        return Cut(text, True, found[1], found[2])
    if found := _MEND.fullmatch(text):
        return Cut(text, False, found[1], found[2])
    if found := _PROCESS.fullmatch(text):
        what: Literal["pause", "resume", "kill", "restart"] = found[1]  # type: ignore[assignment] # nor this one
        return Process(text, what, found[2], found[3] is None)
    if found := _JUMP.fullmatch(text):
        return Jump(text, found[1], parse_duration(found[3]) * (-1 if found[2] else 1))
    return None
