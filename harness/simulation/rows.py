"""What the virtual clients saw, row by row, until it becomes the columns of a history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from harness.history import COLUMNS, History


class Row(NamedTuple):
    """An operation that is over, in the columns of a history (``harness.history``) that clients know of."""

    op: int
    group: int
    workload: int
    session: int
    process: int
    node: int
    function: int
    key: int
    due_ns: int
    call_ns: int
    sent_version: int
    return_ns: int
    status: int
    seen: int
    seen_key: int
    seen_version: int
    seen_op: int
    error: int


_NAMES = Row._fields
_STATUS = _NAMES.index("status")


class Rows:
    """Operations by their end, and the words behind their indices.

    Attributes:
        keys: names by index.
        ordered: whether each key's versions are the order of its writes.
        index: key index by name.
        ended: a tuple for each operation that is over, in the order of ``Row``; a plain one, for they are many.
    """

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.ordered: list[bool] = []
        self.index: dict[str, int] = {}
        self.ended: list[tuple[int, ...]] = []
        self._errors: dict[str, int] = {}

    def add(self, name: str, *, ordered: bool = True) -> int:
        """A new key; see ``harness.operations.Keyspace``."""
        index = self.index[name] = len(self.keys)
        self.keys.append(name)
        self.ordered.append(ordered)
        return index

    def error(self, text: str) -> int:
        """The index of an error."""
        return self._errors.setdefault(text, len(self._errors))

    def tally(self, since: int) -> Counter[int]:
        """How many operations have which status, of those that ended after the first ``since``."""
        return Counter(row[_STATUS] for row in self.ended[since:])

    def history(self, *, nodes: Sequence[str], workloads: Sequence[str], end_ns: int, settled_ns: int | None) -> History:
        """All of it as columns; epochs, episodes and the audit are still to be added."""
        table = zip(*self.ended, strict=True) if self.ended else [()] * len(_NAMES)
        columns = {name: np.array(values, dtype=COLUMNS[name]) for name, values in zip(_NAMES, table, strict=True)}
        order = np.lexsort((columns["op"], columns["call_ns"]))
        columns = {name: column[order] for name, column in columns.items()}
        for name, value in (("server", -1), ("epoch", 0)):
            columns[name] = np.full(len(order), value, dtype=COLUMNS[name])
        return History(
            columns=columns,
            keys=tuple(self.keys),
            nodes=tuple(nodes),
            ordered=np.array(self.ordered, dtype=np.bool_),
            workloads=tuple(workloads),
            errors=tuple(self._errors),
            end_ns=end_ns,
            settled_ns=settled_ns,
        )
