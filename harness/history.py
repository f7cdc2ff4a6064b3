"""The history: every operation and every fault episode of one run, in columns. The only thing checkers read.

A row is one operation on one key. All times are nanoseconds of one monotonic clock, counted from the start of the run.
The columns and what they mean:

==============  =====  ==================================================================================
op              int64  unique id; a write's id is also part of the value it writes
group           int64  operations of one probe round or one multi-key request share it; -1 where alone
workload        int16  index into ``workloads``
session         int32  one logical client, one operation at a time
process         int32  a session's life up to its first ``info``; then the session goes on under a new one
node            int16  node asked, index into ``nodes``
server          int16  node that answered where that is known, else -1
epoch           int32  identity of ``node`` as a source of answers; -1 within one poll of a change of it
function        int8   ``Function``
key             int32  index into ``keys``
due_ns          int64  when the schedule wanted the call (equal to ``call_ns`` at full speed)
call_ns         int64  just before the first byte was handed to the socket
return_ns       int64  when the last byte of the answer was received; ``NEVER`` for ``info``
status          int8   ``Status``
sent_version    int64  version written; -1 for reads
seen            int8   ``Seen``: what a read found; ``NOTHING`` for writes
seen_key        int32  key carried in the value that a read found, index into ``keys``; -1 if none or unknown
seen_version    int64  version carried in it; -1 if none
seen_op         int64  op id carried in it; -1 if none
error           int16  index into ``errors`` for ``fail`` and ``info``; -1 if none
==============  =====  ==================================================================================

Rows are sorted by ``call_ns``. Versions start at 1; version 0 stands for "never written". Where a key has no version order
(several unsequenced writers), ``ordered`` is False for it and versions only name values: no checker may compare them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from harness.errors import HistoryError

NEVER = 2**62
"""The return time of an operation that did not return; leaves room to add and subtract durations."""

Column = npt.NDArray[Any]
T = TypeVar("T")


class Function(IntEnum):
    """What an operation does to its key. A delete is a version, too."""

    READ = 0
    WRITE = 1
    DELETE = 2


class Status(IntEnum):
    """How an operation ended. ``INFO``: nobody knows whether it took effect."""

    OK = 0
    FAIL = 1
    INFO = 2


class Seen(IntEnum):
    """What a read found."""

    NOTHING = 0
    """Not a read, or a read that did not succeed."""
    HIT = 1
    MISS = 2
    """No value, and no statement that there is none: evicted, expired or never filled."""
    ABSENT = 3
    """The source says that there is no value."""
    GARBAGE = 4
    """Bytes that no operation of this run can have written."""


COLUMNS: Mapping[str, type[np.generic]] = {
    "op": np.int64,
    "group": np.int64,
    "workload": np.int16,
    "session": np.int32,
    "process": np.int32,
    "node": np.int16,
    "server": np.int16,
    "epoch": np.int32,
    "function": np.int8,
    "key": np.int32,
    "due_ns": np.int64,
    "call_ns": np.int64,
    "return_ns": np.int64,
    "status": np.int8,
    "sent_version": np.int64,
    "seen": np.int8,
    "seen_key": np.int32,
    "seen_version": np.int64,
    "seen_op": np.int64,
    "error": np.int16,
}


DISPROVED = "unproven "
"""How a line of an episode's evidence begins that speaks against it."""

CRASH = "crash"
"""The kind of an episode that no fault of the plan made: a node's process ended by itself."""

_NAMED_TARGETS = 3


@dataclass(frozen=True, slots=True)
class Episode:
    """One window of one fault.

    Attributes:
        fault: index of the fault in the plan.
        kind: ``partition``, ``delay``, ``pause``, ``kill``.
        targets: what it struck, in words: node names or ``a->b`` links.
        nodes: names of the nodes it struck.
        intended_ns, intended_end_ns: when the schedule wanted it to begin and end.
        applied_ns: when the means were in place; None if they never were.
        proven_ns: when its effect was first observed at the target; None while unproven.
        healed_ns: when the means were taken away; None if the run ended first.
        evidence: what was observed, one sentence each.
        means: how it was done, in the report's words: ``proxy``, ``signal``.
    """

    fault: int
    kind: str
    targets: tuple[str, ...]
    nodes: tuple[str, ...]
    intended_ns: int
    intended_end_ns: int
    applied_ns: int | None = None
    proven_ns: int | None = None
    healed_ns: int | None = None
    evidence: tuple[str, ...] = ()
    means: str = ""

    @property
    def proven(self) -> bool:
        """Whether the effect was observed where it was meant to bite."""
        return self.proven_ns is not None

    @property
    def struck(self) -> str:
        """The targets in a few words: of many only the first ones have names."""
        if len(self.targets) <= _NAMED_TARGETS:
            return ", ".join(self.targets)
        named = self.targets[: _NAMED_TARGETS - 1]
        return f"{', '.join(named)} and {len(self.targets) - len(named)} more"


NO_WORKER = -1


@dataclass(frozen=True, slots=True)
class Stall:
    """A window in which the harness itself stood still; nothing timed in it is counted against the candidate.

    ``worker`` is the driver's process that stood still; ``NO_WORKER`` where it was the runtime's means, such as its proxies.
    """

    begin_ns: int
    end_ns: int
    worker: int


@dataclass(frozen=True, slots=True)
class Epoch:
    """One identity of one node: from when it was seen, and what told it apart."""

    epoch: int
    node: str
    first_ns: int
    identity: str


@dataclass(frozen=True, eq=False)
class History:
    """Columns of operations with their dictionaries, fault episodes, epochs and stalls.

    Attributes:
        columns: one array per name in ``COLUMNS``, all of one length, sorted by ``call_ns``.
        keys, nodes, workloads, errors: the dictionaries behind the index columns.
        ordered: per key, whether its versions are the order of its writes.
        end_ns: when the last session stopped; an operation without answer had until then.
        settled_ns: when writing had stopped and all faults were healed, and the convergence probes began; None if never.
        complete: False if the run was cut off.
        committed: writes that were never answered although the source of truth has them in its audit: by op id, the time by which
            it had them.
        audited: whether the source of truth, when it was asked last, had every write that was acknowledged.
        routed: whether the clients' own routing chose the nodes of reads: a key is then read where that leads, and nowhere else.
    """

    columns: Mapping[str, Column]
    keys: tuple[str, ...]
    nodes: tuple[str, ...]
    ordered: npt.NDArray[np.bool_]
    workloads: tuple[str, ...] = ("history",)
    errors: tuple[str, ...] = ()
    episodes: tuple[Episode, ...] = ()
    epochs: tuple[Epoch, ...] = ()
    stalls: tuple[Stall, ...] = ()
    end_ns: int = 0
    settled_ns: int | None = None
    complete: bool = True
    committed: Mapping[int, int] = field(default_factory=dict)
    audited: bool = False
    routed: bool = False
    _derived: dict[Callable[[History], Any], Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        missing = COLUMNS.keys() - self.columns.keys()
        if missing:
            raise HistoryError(f"the history lacks the columns {', '.join(sorted(missing))}")
        if len({len(column) for column in self.columns.values()}) != 1:
            raise HistoryError("the columns of the history differ in length")

    def __len__(self) -> int:
        return len(self.columns["op"])

    def __getattr__(self, name: str) -> Column:
        # Columns read as attributes: history.call_ns. Only reached for names that are no fields.
        if name in COLUMNS:
            return self.columns[name]
        raise AttributeError(name)

    def derive(self, table: Callable[[History], T]) -> T:
        """The table ``table(self)``, computed once and shared by all checkers."""
        if table not in self._derived:
            self._derived[table] = table(self)
        found: T = self._derived[table]
        return found

    def rows_of(self, ops: Column) -> Column:
        """The row of each op id; -1 where the history has no such operation."""
        order, sorted_ops = self.derive(_op_index)
        at = np.searchsorted(sorted_ops, ops)
        at[at == len(sorted_ops)] = 0
        if len(sorted_ops) == 0:
            return np.full(len(ops), -1)
        found: Column = np.where(sorted_ops[at] == ops, order[at], -1)
        return found

    def until(self, time_ns: int) -> History:
        """What was known at ``time_ns``: later operations are left out, and answers that came later are not known."""
        early = self.select(self.call_ns < time_ns)
        open_ = early.return_ns > time_ns
        unknown = {
            "return_ns": NEVER,
            "status": Status.INFO,
            "seen": Seen.NOTHING,
            "seen_key": -1,
            "seen_version": -1,
            "seen_op": -1,
        }
        columns = {name: np.where(open_, value, early.columns[name]).astype(COLUMNS[name]) for name, value in unknown.items()}
        return replace(
            early,
            columns={**early.columns, **columns},
            end_ns=min(self.end_ns, time_ns),
            settled_ns=None if self.settled_ns is None or self.settled_ns > time_ns else self.settled_ns,
            committed={op: known_ns for op, known_ns in self.committed.items() if known_ns <= time_ns},
            audited=False,
            complete=False,
        )

    def select(self, rows: Column) -> History:
        """The history of the given rows only (a boolean mask or sorted row numbers), with everything else kept."""
        return History(
            columns={name: column[rows] for name, column in self.columns.items()},
            keys=self.keys,
            nodes=self.nodes,
            ordered=self.ordered,
            workloads=self.workloads,
            errors=self.errors,
            episodes=self.episodes,
            epochs=self.epochs,
            stalls=self.stalls,
            end_ns=self.end_ns,
            settled_ns=self.settled_ns,
            complete=self.complete,
            committed=self.committed,
            audited=self.audited,
            routed=self.routed,
        )


def _op_index(history: History) -> tuple[Column, Column]:
    order = np.argsort(history.op, kind="stable")
    return order, history.op[order]
