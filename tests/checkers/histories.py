"""A small language for histories, so that a test shows the operations that matter and nothing else.

    history("w x1 @n1 s0 0-5", "r x0 @n2 s1 6-8; r x1 @n2 s1 9-10")

An operation is a function, what it is about, then in any order where, who and when:

=============  =======================================================================
``w x1``       write version 1 of key x; ``d x2`` deletes it, as version 2
``r x1``       a read of x found version 1; ``r x0`` found the initial value
``r x-``       a miss; ``r x~``: the source says there is none; ``r x?``: garbage
``r x=y3``     a read of x found version 3 of y
``r x1#7``     ... with op id 7 in the value (else that of the write of this version,
               the first one listed; -1 if there is none)
``r x``        a read that is ``fail`` or ``info`` found nothing
``@n1``        node asked; n0 where not given. ``e2``: its epoch, 0 where not given
``s1``         session; s0 where not given
``0-5``        call and return in ms; ``3-`` for one that never returned
``fail``       ... or ``info``; ok where not given
``w x1+y1``    ... or ``r x1+y-``: one request of several keys, each an operation of its
               own with what follows
``due=2``      ms; ``group=3``
=============  =======================================================================

Op ids count the operations as listed, from 0. Sessions go on under a new process after an ``info``, as in a real run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.history import COLUMNS, NEVER, Episode, Function, History, Seen, Stall, Status

MS = 1_000_000
FUNCTIONS = {"r": Function.READ, "w": Function.WRITE, "d": Function.DELETE}
FOUND_NONE = {"-": Seen.MISS, "~": Seen.ABSENT, "?": Seen.GARBAGE}
CARRIES_ITS_OWN = -2
_ABOUT = re.compile(r"(?P<key>[a-z]+)(?:=(?P<other>[a-z]+))?(?P<what>\d+|[-~?])?(?:#(?P<op>\d+))?")


def history(
    *lines: str,
    unit_ns: int = MS,
    unordered: Sequence[str] = (),
    episodes: Sequence[Episode] = (),
    stalls: Sequence[Stall] = (),
    settled: float | None = None,
    end: float | None = None,
    keys: Sequence[str] = (),
    nodes: Sequence[str] = (),
) -> History:
    """The history that ``lines`` describe; further operations in a line follow a semicolon.

    ``settled`` and ``end`` are times in units; ``end`` is the last time that occurs where it is not given. ``keys`` and ``nodes``
    name those that exist beside the ones that occur, first.
    """
    names: dict[str, dict[str, int]] = {"key": {k: i for i, k in enumerate(keys)}, "node": {n: i for i, n in enumerate(nodes)}}
    texts = [part.strip() for line in lines for part in re.split(r"[;\n]", line) if part.strip()]
    each = [(text, number) for number, request in enumerate(texts) for text in _each(request, number)]
    rows = [_operation(op, text, names, unit_ns) for op, (text, _) in enumerate(each)]
    for row, (_, number) in zip(rows, each, strict=True):
        row["request"] = number
    writer = {(r["key"], r["sent_version"]): r["op"] for r in reversed(rows) if r["function"] != Function.READ}
    for row in rows:
        if row["seen"] == Seen.HIT and row["seen_op"] == CARRIES_ITS_OWN:
            row["seen_op"] = writer.get((row["seen_key"], row["seen_version"]), -1)
    rows.sort(key=lambda row: row["call_ns"])
    lives: dict[int, int] = {}
    began: dict[int, int] = {}
    for row in rows:
        life = began.setdefault(row["request"], lives.get(row["session"], 0))
        row["process"] = row["session"] + 1000 * life
        lives[row["session"]] = life + (row["status"] == Status.INFO)
    times = [t for row in rows for t in (row["call_ns"], row["return_ns"]) if t < NEVER]
    return History(
        columns={
            name: np.array([-1 if row[name] is None else row[name] for row in rows], kind) for name, kind in COLUMNS.items()
        },
        keys=tuple(names["key"]),
        nodes=tuple(names["node"]),
        ordered=np.array([key not in unordered for key in names["key"]], bool),
        errors=("error",),
        episodes=tuple(episodes),
        stalls=tuple(stalls),
        end_ns=max(times, default=0) if end is None else round(end * unit_ns),
        settled_ns=None if settled is None else round(settled * unit_ns),
    )


def episode(kind: str, applied: float | None, healed: float | None, *nodes: str, proven: bool = True) -> Episode:
    """An episode from ``applied`` to ``healed`` (ms) that struck ``nodes``."""
    begin = round((applied or 0) * MS)
    return Episode(
        fault=0,
        kind=kind,
        targets=nodes,
        nodes=nodes,
        intended_ns=begin,
        intended_end_ns=begin if healed is None else round(healed * MS),
        applied_ns=None if applied is None else begin,
        proven_ns=begin if proven and applied is not None else None,
        healed_ns=None if healed is None else round(healed * MS),
    )


def stall(begin: float, end: float) -> Stall:
    """A window (ms) in which the harness stood still."""
    return Stall(round(begin * MS), round(end * MS), 0)


def _each(request: str, number: int) -> list[str]:
    """The operations of a request, one for each of its keys."""
    letter, about, *words = request.split()
    if "+" not in about:
        return [request]
    return [" ".join((letter, one, f"group={number}", *words)) for one in about.split("+")]


def _operation(op: int, text: str, names: dict[str, dict[str, int]], unit_ns: int) -> dict[str, Any]:
    function_letter, about, *words = text.split()
    matched = _ABOUT.fullmatch(about)
    if function_letter not in FUNCTIONS or matched is None:
        raise ValueError(f"cannot read the operation {text!r}")
    function = FUNCTIONS[function_letter]
    row: dict[str, Any] = dict.fromkeys(COLUMNS, -1) | {
        "op": op,
        "workload": 0,
        "session": 0,
        "epoch": 0,
        "function": function,
        "key": _index(names["key"], matched["key"]),
        "status": Status.OK,
        "seen": Seen.NOTHING,
    }
    node = "n0"
    for word in words:
        if word in ("ok", "fail", "info"):
            row["status"] = Status[word.upper()]
        elif word.startswith("@"):
            node = word[1:]
        elif match := re.fullmatch(r"([\d.]+)-([\d.]*)", word):
            row["call_ns"] = round(float(match[1]) * unit_ns)
            row["return_ns"] = round(float(match[2]) * unit_ns) if match[2] else NEVER
        elif match := re.fullmatch(r"s(\d+)|e(-?\d+)", word):
            row["session" if match[1] else "epoch"] = int(match[1] or match[2])
        elif match := re.fullmatch(r"due=([\d.]+)", word):
            row["due_ns"] = round(float(match[1]) * unit_ns)
        elif match := re.fullmatch(r"group=(\d+)", word):
            row["group"] = int(match[1])
        else:
            raise ValueError(f"cannot read {word!r} in the operation {text!r}")
    if row["call_ns"] < 0:
        raise ValueError(f"the operation {text!r} has no time")
    row["node"] = _index(names["node"], node)
    if row["status"] == Status.INFO or (row["status"] == Status.OK and row["return_ns"] == NEVER):
        row |= {"status": Status.INFO, "return_ns": NEVER}
    row["due_ns"] = row["call_ns"] if row["due_ns"] < 0 else row["due_ns"]
    row["error"] = -1 if row["status"] == Status.OK else 0
    _value(row, matched, names["key"])
    return row


def _value(row: dict[str, Any], about: re.Match[str], keys: dict[str, int]) -> None:
    """Fill in what a write sent or a read found."""
    what = about["what"]
    if row["function"] != Function.READ:
        row["sent_version"] = int(what)
    elif row["status"] == Status.OK and what in FOUND_NONE:
        row["seen"] = FOUND_NONE[what]
    elif row["status"] == Status.OK:
        row |= {
            "seen": Seen.HIT,
            "seen_key": _index(keys, about["other"]) if about["other"] else row["key"],
            "seen_version": int(what),
            "seen_op": int(about["op"]) if about["op"] else CARRIES_ITS_OWN,
        }


def _index(names: dict[str, int], name: str) -> int:
    return names.setdefault(name, len(names))
