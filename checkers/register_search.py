"""Search for an order of one register's operations, where values repeat and zones say nothing.

Operations are taken up at their calls. When one returns it must have been put in order by then: every configuration (which open
operations have been ordered, and the register's value) that lacks it is extended by every sequence of open operations that ends
with it, and what cannot be extended is dropped. The register is linearizable if and only if some configuration is left at the end
(Wing and Gong 1993; Lowe 2017, "just in time").

Three reductions keep the number of configurations small without losing an order:

* a configuration names only *open* operations, by slots that are used again: everything older is in every configuration;
* a read that fits the value is ordered at once, with no alternative: moving it forward keeps every order legal;
* an operation that may never have happened (an indeterminate write) is optional: of two configurations with the same value and
  the same required operations, one that used up a subset of the other's optional ones can do all that the other can.

Cost: exponential in the number of writes open at the same time, hence the budget; linear in the number of operations else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

INITIAL = 0
"""The value that a register has before its first write."""


class Step(NamedTuple):
    """One operation on the register.

    Attributes:
        call_ns, return_ns: closed interval; None as the return of a write that may never have happened.
        write: whether it writes ``value`` (or else returned it).
        value: any integer; ``INITIAL`` for the initial one.
    """

    call_ns: int
    return_ns: int | None
    write: bool
    value: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to.

    Attributes:
        linearizable: None if the budget was spent before the answer.
        configurations: how many were looked at.
        stuck: index of the step at whose return no order was left; None unless not linearizable.
    """

    linearizable: bool | None
    configurations: int
    stuck: int | None = None


class _Configuration(NamedTuple):
    """Slots of the required and of the optional steps already ordered, as bit sets, and the value they left."""

    done: int
    spent: int
    value: int


def search(steps: Sequence[Step], budget: int) -> Found:
    """Whether the ``steps`` of one register have a legal order; looks at about ``budget`` configurations at most."""
    # A call at the very time of a return comes before it: steps that touch overlap.
    events = [(step.call_ns, 0, index) for index, step in enumerate(steps)]
    events += [(step.return_ns, 1, index) for index, step in enumerate(steps) if step.return_ns is not None]
    configurations = {_Configuration(0, 0, INITIAL)}
    slots = _Slots(steps)
    looked_at = 0
    for _, returns, index in sorted(events):
        if not returns:
            slots.open(index)
            continue
        bit = slots.bit[index]
        configurations, cost = _extend(configurations, slots, bit, budget - looked_at)
        looked_at += cost
        if looked_at > budget:
            return Found(None, looked_at)
        if not configurations:
            return Found(False, looked_at, stuck=index)
        slots.close(index)
        configurations = _undominated(c._replace(done=c.done & ~bit) for c in configurations)
    return Found(True, looked_at)


def core(steps: Sequence[Step], stuck: int, budget: int) -> list[int]:
    """Indices of steps that have no legal order by themselves, few of them: the proof to show.

    ``stuck`` is that of a search of ``steps``. Leaving out reads, or all steps on a value, keeps every legal order of the rest
    legal; so what has no order after that had none before. Stops at the budget with what is left.
    """
    end = steps[stuck].return_ns
    kept = [i for i, step in enumerate(steps) if end is None or step.call_ns <= end]
    values: dict[int, list[int]] = {}
    for i in kept:
        values.setdefault(steps[i].value, []).append(i)
    kept, budget = _without(steps, kept, list(values.values()), budget)
    reads = [[i] for i in kept if not steps[i].write]
    return _without(steps, kept, reads, budget)[0]


def _without(steps: Sequence[Step], kept: list[int], parts: list[list[int]], budget: int) -> tuple[list[int], int]:
    """``kept`` without all of the ``parts`` that are not needed, larger pieces tried first, and what is left of the budget."""
    size = len(parts)
    while size:
        at = 0
        while at < len(parts):
            dropped = {i for part in parts[at : at + size] for i in part}
            rest = [i for i in kept if i not in dropped]
            tried = search([steps[i] for i in rest], budget)
            budget -= tried.configurations + len(rest)
            if budget <= 0:
                return kept, 0
            if tried.linearizable is False:
                kept = rest
                del parts[at : at + size]
            else:
                at += size
        size //= 2
    return kept, budget


class _Slots:
    """The open steps, each on a bit of its own while it is open."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps
        self.bit: dict[int, int] = {}
        self.reads: dict[int, int] = {}
        """Bits of the open reads, by value."""
        self.writes: dict[int, int] = {}
        """Value written by each open required write, by bit."""
        self.optional: dict[int, list[int]] = {}
        """Bits of the writes that may never have happened, by value, in call order. They stay open for ever."""
        self._free: list[int] = []
        self._width = 0
        self._spare = 0

    def open(self, index: int) -> None:
        step = self.steps[index]
        if step.return_ns is None:
            self.optional.setdefault(step.value, []).append(1 << self._spare)
            self._spare += 1
            return
        if not self._free:
            self._free.append(1 << self._width)
            self._width += 1
        bit = self.bit[index] = self._free.pop()
        if step.write:
            self.writes[bit] = step.value
        else:
            self.reads[step.value] = self.reads.get(step.value, 0) | bit

    def close(self, index: int) -> None:
        step, bit = self.steps[index], self.bit.pop(index)
        if step.write:
            del self.writes[bit]
        else:
            self.reads[step.value] &= ~bit
        self._free.append(bit)


def _extend(configurations: set[_Configuration], slots: _Slots, bit: int, budget: int) -> tuple[set[_Configuration], int]:
    """All configurations, just extended far enough to hold ``bit``, and how many were looked at on the way."""
    reached: set[_Configuration] = set()
    todo = [_with_reads(c, slots) for c in configurations]
    seen = set(todo)
    while todo:
        now = todo.pop()
        if now.done & bit:
            reached.add(now)
            continue
        if len(seen) > budget:
            return reached, len(seen)
        nexts = [
            _Configuration(now.done | other, now.spent, value) for other, value in slots.writes.items() if not now.done & other
        ]
        for value, spares in slots.optional.items():
            # Equal writes are interchangeable: the first that is left will do. Without a reader waiting for it, none is needed.
            spare = next((s for s in spares if not now.spent & s), None)
            if spare is not None and value != now.value and slots.reads.get(value, 0) & ~now.done:
                nexts.append(_Configuration(now.done, now.spent | spare, value))
        for configuration in nexts:
            after = _with_reads(configuration, slots)
            if after not in seen:
                seen.add(after)
                todo.append(after)
    return reached, len(seen)


def _with_reads(configuration: _Configuration, slots: _Slots) -> _Configuration:
    """``configuration`` with every open read of its value in order."""
    return configuration._replace(done=configuration.done | slots.reads.get(configuration.value, 0))


def _undominated(configurations: Iterable[_Configuration]) -> set[_Configuration]:
    """``configurations`` without those that used up more optional writes than another one that is equal otherwise."""
    spent: dict[tuple[int, int], list[int]] = {}
    for done, spares, value in configurations:
        others = spent.setdefault((done, value), [])
        if not any(other & spares == other for other in others):
            others[:] = [other for other in others if other & spares != spares]
            others.append(spares)
    return {_Configuration(done, spares, value) for (done, value), others in spent.items() for spares in others}
