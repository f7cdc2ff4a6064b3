"""Operations of a history as readable rows: names instead of indices, None instead of -1. One row, every format."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from checkers.wording import LETTERS
from harness.durations import format_duration
from harness.history import NEVER, Function, History, Seen, Status
from reports.ages import Ages


@dataclass(frozen=True, slots=True)
class Row:
    """One operation. Times are ns since the start of the run; ``return_ns`` is None where no answer came.

    ``version`` is the version sent by a write and the version seen by a read, None where there is none. ``lo_ns`` and ``hi_ns``
    are the certain and the possible age of what a read saw; None where it has none (``reports.ages``).
    """

    op: int
    group: int | None
    workload: str
    session: int
    process: int
    node: str
    server: str | None
    epoch: int | None
    function: str
    key: str
    due_ns: int
    call_ns: int
    return_ns: int | None
    status: str
    version: int | None
    seen: str | None
    seen_key: str | None
    seen_version: int | None
    seen_op: int | None
    error: str | None
    lo_ns: int | None = None
    hi_ns: int | None = None

    @property
    def end_ns(self) -> int:
        """When the operation ended for its session; an unanswered one is drawn from its call only."""
        return self.call_ns if self.return_ns is None else self.return_ns

    @property
    def name(self) -> str:
        """The operation's name, as arguments call it: ``w#12``."""
        return f"{LETTERS[Function[self.function.upper()]]}#{self.op}"

    @property
    def sentence(self) -> str:
        """The operation in a few words: ``read k7 → version 3``."""
        return self.phrase(self.key)

    def phrase(self, key: str) -> str:
        """The operation in a few words, with ``key`` for its key's name."""
        if self.function == "read":
            return f"read {key} → {self.saw}"
        what = f"write {key} = version {self.version}" if self.function == "write" else f"delete {key}"
        return what if self.status == "ok" else f"{what} → {self.status}"

    @property
    def saw(self) -> str:
        """What a read found, or how else it ended."""
        if self.status != "ok":
            return self.status
        if self.seen == "hit":
            foreign = f" of {self.seen_key}" if self.seen_key not in (None, self.key) else ""
            return f"version {'?' if self.seen_version is None else self.seen_version}{foreign}"
        return self.seen or "nothing"

    @property
    def took(self) -> str:
        """How long the answer took."""
        return "no answer" if self.return_ns is None else format_duration(self.return_ns - self.call_ns)

    @property
    def age(self) -> str:
        """How old the value read was, certain to possible; empty if it was fresh or nothing is known."""
        if self.lo_ns is None or self.hi_ns is None or self.hi_ns == 0:
            return ""
        if self.lo_ns == 0:
            return f"at most {format_duration(self.hi_ns)} old"
        if format_duration(self.lo_ns) == format_duration(self.hi_ns):
            return f"{format_duration(self.lo_ns)} old"
        return f"{format_duration(self.lo_ns)} to {format_duration(self.hi_ns)} old"


def rows(history: History, ops: Iterable[int], ages: Ages) -> tuple[Row, ...]:
    """The rows of the operations ``ops``, in call order; ids that the history does not hold are left out."""
    wanted = np.asarray(list(ops), dtype=np.int64)
    found = history.rows_of(wanted) if len(history) else np.empty(0, np.int64)
    return tuple(_row(history, int(at), ages) for at in np.sort(found[found >= 0]))


def _row(history: History, at: int, ages: Ages) -> Row:
    cell = {name: int(column[at]) for name, column in history.columns.items()}
    known = {name: value if value >= 0 else None for name, value in cell.items()}
    function = Function(cell["function"])
    reads = function is Function.READ
    return Row(
        op=cell["op"],
        group=known["group"],
        workload=_name(history.workloads, cell["workload"]) or "",
        session=cell["session"],
        process=cell["process"],
        node=_name(history.nodes, cell["node"]) or "?",
        server=_name(history.nodes, cell["server"]),
        epoch=known["epoch"],
        function=function.name.lower(),
        key=_name(history.keys, cell["key"]) or "?",
        due_ns=cell["due_ns"],
        call_ns=cell["call_ns"],
        return_ns=cell["return_ns"] if cell["return_ns"] < NEVER else None,
        status=Status(cell["status"]).name.lower(),
        version=known["seen_version"] if reads else known["sent_version"],
        seen=Seen(cell["seen"]).name.lower() if reads and cell["seen"] != Seen.NOTHING else None,
        seen_key=_name(history.keys, cell["seen_key"]),
        seen_version=known["seen_version"],
        seen_op=known["seen_op"],
        error=_name(history.errors, cell["error"]),
        lo_ns=int(ages.lo_ns[at]) if ages.known[at] else None,
        hi_ns=int(ages.hi_ns[at]) if ages.known[at] else None,
    )


def _name(names: tuple[str, ...], index: int) -> str | None:
    return names[index] if 0 <= index < len(names) else None
