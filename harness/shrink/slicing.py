"""A history sliced to the operations that still prove a finding.

    slice = slice_history(history, contract, finding, check)

Operations are left out one by one and in chunks (``harness.shrink.ddmin``), and after each cut only the checker that made the
finding looks at what is left. It must say the same of it: the same anomaly, of the same key at the same nodes in the same phase,
proven by operations that proved it before. And the write of each value that is read stays. For what is left out proves nothing:
a history without that write has a value out of thin air, one without the last reads a node that never caught up. So a slice never
claims what the run did not show.

Then fault episodes, epochs and stalls are left out that the finding does not depend on, to the letter.

First only the finding's own operations are tried, then all on their keys, then the whole history: so a long history costs little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from checkers.base import Checker
from checkers.integrity import NOBODY, writers
from harness.history import COLUMNS, Column, Function, History, Seen, Status
from harness.plan import Contract
from harness.results import Finding
from harness.shrink.ddmin import Bounded, ddmin

CHECKS = 2_000
"""How often a checker may be asked for one slice."""

_DICTIONARIES = {"keys": ("key", "seen_key"), "nodes": ("node", "server"), "workloads": ("workload",), "errors": ("error",)}
_CONTEXT = ("episodes", "epochs", "stalls")


@dataclass(frozen=True, slots=True)
class Slice:
    """What is left of a history.

    Attributes:
        history: the operations that prove the finding, with their own op ids and times.
        finding: what the checker says of it.
        checks: how often the checker was asked.
        minimal: whether it was seen that none of the operations can be spared; False if tries or time ran out before.
    """

    history: History
    finding: Finding
    checks: int
    minimal: bool


def same_finding(one: Finding, other: Finding) -> bool:
    """Whether ``other`` is ``one`` again: the same anomaly in the same place, proven by operations that proved it before."""
    return (
        set(other.witness) <= set(one.witness)
        and (one.name, one.severity, one.scope, one.phase) == (other.name, other.severity, other.scope, other.phase)
        and (one.key, one.nodes) == (other.key, other.nodes)
    )


def slice_history(
    history: History,
    contract: Contract,
    finding: Finding,
    check: Checker,
    *,
    most: int = CHECKS,
    late: Callable[[], bool] = lambda: False,
) -> Slice | None:
    """The smallest part of ``history`` that was found to prove ``finding``; None if not even all of it does.

    Args:
        history: of which ``check`` says ``finding``.
        contract: what ``check`` measures against.
        finding: what is to be proven.
        check: the checker concerned.
        most: how often it may be asked.
        late: whether there is no time for another try.
    """

    def again(part: History) -> Finding | None:
        return next((found for found in check(part, contract).findings if same_finding(finding, found)), None)

    wrote = _writers(history)

    def part_of(rows: tuple[int, ...]) -> History:
        read_from = wrote[list(rows)]
        return _part(history, np.union1d(np.array(rows, np.int64), read_from[read_from != NOBODY]))

    test: Bounded[tuple[int, ...]] = Bounded(lambda rows: again(part_of(rows)) is not None, most, late)
    witness = tuple(np.sort(history.rows_of(np.array(finding.witness, np.int64))).tolist())
    enough = next((rows for rows in _candidates(history, witness) if test(rows)), None)
    if enough is None:
        return None
    told = set(witness)
    others = tuple(row for row in enough if row not in told)
    needed = ddmin(others, lambda rows: test(tuple(sorted(witness + rows)))) if others else ()
    rows = ddmin(tuple(sorted(witness + needed)), test)
    part = _without_context(part_of(rows), again)
    found = again(part)
    assert found is not None  # noqa: S101 - every cut was tested
    return Slice(part, found, test.asked, minimal=not test.spent)


def _candidates(history: History, witness: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Rows that may be enough: few first."""
    yield witness
    keys = np.unique(history.key[list(witness)])
    about = np.isin(history.key, keys)
    yield tuple(np.flatnonzero(about & (history.function != Function.READ) | np.isin(np.arange(len(history)), witness)).tolist())
    yield tuple(np.flatnonzero(about).tolist())
    yield tuple(range(len(history)))


def _writers(history: History) -> Column:
    """Per row the row of the write whose value it found; ``NOBODY`` where it found none, or one that nobody wrote."""
    reads = np.flatnonzero((history.seen == Seen.HIT) & (history.status == Status.OK))
    wrote = np.full(len(history), NOBODY)
    wrote[reads] = writers(history, reads)
    return wrote


def _part(history: History, rows: Column) -> History:
    """The operations in ``rows``, and what the source's audit has of them."""
    part = history.select(rows)
    there = set(part.op.tolist())
    return replace(part, committed={op: at_ns for op, at_ns in history.committed.items() if op in there})


def _without_context(part: History, again: Callable[[History], Finding | None]) -> History:
    """Without all that is no operation and makes no difference to the finding."""
    finding = again(part)

    def unchanged(changed: History) -> bool:
        return again(changed) == finding

    def without(history: History, name: str) -> History:
        def replaced(items: tuple[Any, ...]) -> History:
            context: dict[str, Any] = {name: items}
            return replace(history, **context)

        return replaced(ddmin(getattr(history, name), lambda items: unchanged(replaced(items))))

    for name in _CONTEXT:
        part = without(part, name)
    compact = _compact(part)
    return compact if unchanged(compact) else part


def _compact(history: History) -> History:
    """Without keys, nodes, workloads and errors that no operation names."""
    columns: dict[str, Column] = dict(history.columns)
    changes: dict[str, Any] = {}
    for dictionary, names in _DICTIONARIES.items():
        used = np.unique(np.concatenate([columns[name] for name in names]))
        used = used[used >= 0]
        for name in names:
            column = columns[name]
            columns[name] = np.where(column >= 0, np.searchsorted(used, column), -1).astype(COLUMNS[name])
        changes[dictionary] = tuple(getattr(history, dictionary)[at] for at in used)
        if dictionary == "keys":
            changes["ordered"] = history.ordered[used]
    return replace(history, columns=columns, **changes)
