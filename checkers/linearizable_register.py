"""Every read returns the latest write: each key behaves like one register that is somewhere, once.

**Rule.** There is an order of all operations on a key in which every operation takes effect at one moment between its call and
its return, and every read returns the value written last before it (Herlihy and Wing 1990). Keys are judged one by one: the
history is linearizable if and only if each key is. A write without an answer may take effect at any time after its call, or
never.

**Example.** Not linearizable, although no read is stale by more than the writes overlap::

    w x1 0-10;  r x1 2-4;  r x0 5-7;  r x1 8-9

The first read returned x1 by 4, so x1 came after x0 and x0 was over before 5; but x0 was read from 5 on.

**Distances.** ``delta-atomicity`` is the least time by which all reads would have to be called earlier, ``gamma-atomicity`` the
least stretch of every operation, to make the history linearizable (``checkers.zones``). 0 and 0 if and only if it is. One number
must not be compared with the other.

**How.** Where every value of a key was written once, by zones, all keys in one pass: ``checkers.zones``. Keys whose values repeat
are searched, ``checkers.register_search``, with growing budgets, so that an easy key does not wait for a hard one. What is left
over when the budget is spent is *undecided*, and is counted.

**Cost.** O(n) for n operations and O(c log c) for c values; a search is exponential in the number of writes open at one time.

**Cannot see.** Anything across keys. Answers that say nothing: misses where the contract allows them, any "no value" under a time
to live. With few writes and reads that never race, everything is linearizable: see the adequacy of a run.

**Sources.** DEFINITIONS, "Linearizability"; Herlihy and Wing, Linearizability, TOPLAS 12 (1990); Gibbons and Korach, SIAM J.
Comput. 26 (1997).
"""

from __future__ import annotations

from itertools import product

import numpy as np

from checkers import wording
from checkers.base import Proof, findings, phases_at, phases_between
from checkers.register_search import INITIAL, Step, core, search
from checkers.registers import NO_VALUE, Registers, registers
from checkers.zones import conflicts, delta_ns, early_reads, gamma_ns
from harness.history import Column, Function, History, Seen, Status
from harness.plan import Contract
from harness.results import Measure, Result, Severity

NAME = "linearizable-register"
FINDING = "not-linearizable"

BUDGET = 400_000
"""Configurations that the searches of one history may look at where the contract promises linearizability: a few seconds."""

FIRST_BUDGET = 2_000
PROOF_BUDGET = 20_000
INITIAL_WRITE = -1


def check(history: History, contract: Contract) -> Result:
    """Whether every key is a linearizable register, and how far from it the history is."""
    found = registers(history, contract)
    times, sound, unwritten = found.clusters, found.sound, found.unwritten
    clusters = times.take(sound)
    pairs, early = conflicts(clusters), sound[early_reads(clusters)]
    left, right = sound[pairs.left], sound[pairs.right]
    searched, undecided = _search(history, found, BUDGET if contract.linearizable else BUDGET // 20)
    broken = list(searched.values())

    both_ns = np.maximum(times.first_return_ns[left], times.first_return_ns[right])
    shown_ns = np.maximum(times.last_call_ns[left], times.last_call_ns[right])
    searched_ns = history.call_ns[[proof.rows[0] for proof in broken]]

    def prove(instance: int) -> Proof:
        if instance >= len(pairs):
            return broken[instance - len(pairs)]
        return _contradiction(history, found, int(left[instance]), int(right[instance]))

    contradictions = findings(
        history,
        FINDING,
        Severity.ORDER,
        phases=phases_between(history, contract, np.concatenate([both_ns, searched_ns]), np.concatenate([shown_ns, searched_ns])),
        gravity=np.concatenate([pairs.gap_ns, np.zeros(len(broken), np.int64)]),
        prove=prove,
    )
    future = findings(
        history,
        FINDING,
        Severity.ORDER,
        scope="future-value",
        phases=phases_at(history, contract, times.read_return_ns[early]),
        gravity=times.write_call_ns[early] - times.read_return_ns[early],
        prove=lambda instance: _future(history, found, int(early[instance])),
    )
    nobodys = findings(
        history,
        FINDING,
        Severity.ORDER,
        scope="unwritten-value",
        phases=phases_at(history, contract, times.read_return_ns[unwritten]),
        gravity=-times.read_return_ns[unwritten],
        prove=lambda instance: _unwritten(history, found, int(unwritten[instance])),
    )
    keys = np.unique(history.key[found.cluster != NO_VALUE])
    bad = {*times.key[left].tolist(), *times.key[early].tolist(), *times.key[unwritten].tolist(), *searched}
    unjudged = f"{len(undecided)} keys with repeated values were not decided" if len(undecided) else ""
    delta = delta_ns(clusters)
    measures = (
        Measure(
            "delta-atomicity",
            delta,
            "ns",
            n=len(keys) - int(found.repeated.sum()),
            per="key",
            note="reads called so much earlier would be linearizable"
            if delta is not None
            else "a read ended before its write began: no earlier call of the reads mends that",
        ),
        Measure(
            "gamma-atomicity",
            gamma_ns(clusters),
            "ns",
            n=len(keys) - int(found.repeated.sum()),
            per="key",
            note="operations stretched by so much would be linearizable",
        ),
        Measure("keys-not-linearizable", len(bad), "count", n=len(keys), per="key", note=unjudged),
        Measure("keys-undecided", len(undecided), "count", n=int(found.repeated.sum()), per="key", note=unjudged),
    )
    return Result(NAME, (*contradictions, *future, *nobodys), measures)


def _contradiction(history: History, found: Registers, back: int, forth: int) -> Proof:
    """Values ``back`` and ``forth`` must each come before the other: the fewest operations that show it, four at most."""
    backs, forths = _rows(found, back), _rows(found, forth)
    sides = [(backs, forths), (forths, backs)]
    # For each side an operation on its value that had returned before another one on the other value was called.
    before = [[(a, b) for a, b in product(_first(history, u), _last(history, v)) if _precedes(history, a, b)] for u, v in sides]
    (a, b), (c, d) = min(product(*before), key=lambda pair: len({*pair[0], *pair[1]} - {INITIAL_WRITE}))
    back_is_read, forth_is_read = (history.function[row] == Function.READ for row in (d, b))
    if a != INITIAL_WRITE and forth_is_read and (not back_is_read or history.call_ns[b] > history.call_ns[d]):
        back, forth, (a, b), (c, d) = forth, back, (c, d), (a, b)  # told from the read's side, the later read's if both are
    old, new = wording.version(int(found.version[back])), wording.version(int(found.version[forth]))
    rows = tuple(row for row in dict.fromkeys((d, c, a, b)) if row != INITIAL_WRITE)
    first = f"{wording.name(history, a)} had returned before {wording.name(history, b)} was called, so {old} came before {new}."
    if a == INITIAL_WRITE:
        first = f"The initial value came before {new}: it was there first."
    then = f"However, {wording.name(history, c)} had returned before {wording.name(history, d)} was called, so {new} came before"
    return Proof(
        claim=f"{wording.key(history, d)} went back from {new} to {old}: {wording.name(history, d)} "
        f"{_verb(history, d)} {old} {wording.lapse(history.return_ns[c], history.call_ns[d])} after "
        f"{wording.name(history, c)} {_verb(history, c)} {new}.",
        argument=(
            *(_said(history, row) for row in sorted(rows)),
            first,
            f"{then} {old}: a contradiction, because each was written once.",
        ),
        rows=rows,
        key=wording.key(history, d),
        nodes=wording.nodes(history, rows),
    )


def _rows(found: Registers, value: int) -> Column:
    """The operations on a value, in call order."""
    return np.flatnonzero(found.cluster == value)


def _first(history: History, rows: Column) -> list[int]:
    """What can show that a value had been written: its write (or that it was there first), and its read that returned first."""
    reads = rows[history.function[rows] == Function.READ]
    writes = rows[history.function[rows] != Function.READ].tolist()
    return (writes or [INITIAL_WRITE]) + ([int(reads[np.argmin(history.return_ns[reads])])] if len(reads) else [])


def _last(history: History, rows: Column) -> list[int]:
    """What can show that a value had not been overwritten: its write, and its read that was called last."""
    reads = rows[history.function[rows] == Function.READ].tolist()
    return [*rows[history.function[rows] != Function.READ].tolist(), *reads[-1:]]


def _precedes(history: History, before: int, after: int) -> bool:
    return before == INITIAL_WRITE or bool(history.return_ns[before] < history.call_ns[after])


def _future(history: History, found: Registers, value: int) -> Proof:
    """A read of ``value`` that returned before the write was called."""
    rows = _rows(found, value)
    write, read = _first(history, rows)
    return Proof(
        claim=f"{wording.name(history, read)} found {wording.answer(history, read)} of {wording.key(history, read)} "
        f"{wording.lapse(history.return_ns[read], history.call_ns[write])} before it was written.",
        argument=(
            _said(history, read),
            _said(history, write),
            f"However, {wording.name(history, read)} returned before {wording.name(history, write)} was called: a contradiction.",
        ),
        rows=(read, write),
        key=wording.key(history, read),
        nodes=wording.nodes(history, (read, write)),
    )


def _unwritten(history: History, found: Registers, value: int) -> Proof:
    """A read of ``value``, which no write that may have happened wrote."""
    read = int(_rows(found, value)[0])
    name, answer = wording.name(history, read), wording.answer(history, read)
    refused = np.flatnonzero(
        (history.key == history.key[read])
        & (history.function != Function.READ)
        & (history.sent_version == found.version[value])
        & (history.status == Status.FAIL)
    )[:1].tolist()
    why = "the only write of it did not happen" if refused else "nobody wrote it"
    return Proof(
        claim=f"{name} found {answer} of {wording.key(history, read)}, but {why}.",
        argument=(*(_said(history, row) for row in (*refused, read)), f"However, {why}: a contradiction."),
        rows=(read, *refused),
        key=wording.key(history, read),
        nodes=wording.nodes(history, (read, *refused)),
    )


def _search(history: History, found: Registers, budget: int) -> tuple[dict[int, Proof], list[int]]:
    """Proofs for the keys with repeated values that are not linearizable, and the keys that the budget did not decide."""
    counts = (found.cluster != NO_VALUE) & ~np.isin(found.cluster, found.unwritten)
    waiting = [(int(key), np.flatnonzero((history.key == key) & counts)) for key in np.flatnonzero(found.repeated)]
    waiting.sort(key=lambda item: len(item[1]))
    proofs: dict[int, Proof] = {}
    share = FIRST_BUDGET
    while waiting and budget > 0:
        later = []
        for key, rows in waiting:
            if len(rows) > min(share, budget):
                later.append((key, rows))
                continue
            steps = _steps(history, rows)
            answer = search(steps, min(share, budget))
            budget -= answer.configurations
            if answer.linearizable is None:
                later.append((key, rows))
            elif answer.stuck is not None:
                kept = core(steps, answer.stuck, PROOF_BUDGET)
                last = search([steps[i] for i in kept], PROOF_BUDGET).stuck
                stuck = answer.stuck if last is None else kept[last]
                proofs[key] = _no_order(history, rows[kept].tolist(), int(rows[stuck]))
        waiting = later
        share *= 4
    return proofs, [key for key, _ in waiting]


def _steps(history: History, rows: Column) -> list[Step]:
    """The operations of one key as steps of a register; a deleted key holds the initial value."""
    write = history.function[rows] != Function.READ
    none = (history.function[rows] == Function.DELETE) | (~write & (history.seen[rows] != Seen.HIT))
    value = np.where(none, INITIAL, np.where(write, history.sent_version[rows], history.seen_version[rows]))
    returned = np.where(history.status[rows] == Status.OK, history.return_ns[rows], -1)
    return [
        Step(call, end if end >= 0 else None, wrote, what)
        for call, end, wrote, what in zip(
            history.call_ns[rows].tolist(), returned.tolist(), write.tolist(), value.tolist(), strict=True
        )
    ]


def _no_order(history: History, rows: list[int], stuck: int) -> Proof:
    """No order explains ``rows``; it came to an end at the return of ``stuck``."""
    shown = tuple(dict.fromkeys((stuck, *reversed(rows))))
    return Proof(
        claim=f"No order of the operations on {wording.key(history, stuck)} explains that {wording.name(history, stuck)} "
        f"{_verb(history, stuck)} {_value(history, stuck)} at {wording.node(history, stuck)}.",
        argument=(
            *(_said(history, row) for row in rows),
            f"However, no order that keeps to these times explains {wording.name(history, stuck)}: a contradiction.",
        ),
        rows=shown,
        key=wording.key(history, stuck),
        nodes=wording.nodes(history, shown),
    )


def _said(history: History, row: int) -> str:
    return wording.read(history, row) if history.function[row] == Function.READ else wording.wrote(history, row)


def _verb(history: History, row: int) -> str:
    return "found" if history.function[row] == Function.READ else "wrote"


def _value(history: History, row: int) -> str:
    if history.function[row] == Function.READ:
        return wording.answer(history, row)
    return wording.version(int(history.sent_version[row]))
