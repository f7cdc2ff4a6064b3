"""The clients that a case speaks of, as sessions: for a virtual fleet and for a real one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

from harness.cost.case import Case
from harness.driver.arrivals import paced
from harness.history import Function
from harness.operations import Operation, Session

_WRITERS = 8


def readers(case: Case, keys: Sequence[int], seed: int, *, patient: bool = True) -> list[Session]:
    """One at each node; unless they are ``patient``, so many at the first that none has to wait for another one's answer."""
    steps = [_reading(keys, node, Random(f"{seed}/reader/{node}")) for node in range(case.nodes)]
    paces = [case.load.reads] * case.nodes
    if not patient:
        more = math.ceil(2 * case.load.reads)
        steps[:1] = [_reading(keys, 0, Random(f"{seed}/reader/0/{number}")) for number in range(more)]
        paces[:1] = [case.load.reads / more] * more
    return _arriving(steps, paces, f"{seed}/arrivals")


def writers(case: Case, keys: Sequence[int], seed: int) -> list[Session]:
    """A few, each with keys of its own; nobody where nothing is written."""
    if not case.load.writes:
        return []
    many = min(_WRITERS, case.load.keys)
    steps = [_writing(keys[at::many], case.nodes, Random(f"{seed}/writer/{at}")) for at in range(many)]
    return _arriving(steps, [case.load.writes / many] * many, f"{seed}/writes")


def _arriving(steps: Sequence[Session], paces: Sequence[float], seed: str) -> list[Session]:
    pairs = enumerate(zip(steps, paces, strict=True))
    return [paced(each, pace, 0, Random(f"{seed}/{number}")) for number, (each, pace) in pairs]


def _reading(keys: Sequence[int], node: int, random: Random) -> Session:
    """Reads of random keys at one node."""
    while True:
        yield Operation(Function.READ, random.choice(keys), node)


def _writing(keys: Sequence[int], nodes: int, random: Random) -> Session:
    """Writes of random keys of its own at random nodes."""
    versions = dict.fromkeys(keys, 0)
    while True:
        key = random.choice(keys)
        versions[key] += 1
        yield Operation(Function.WRITE, key, random.randrange(nodes), versions[key])
