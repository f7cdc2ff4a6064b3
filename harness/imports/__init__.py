"""Reading histories: our own runs, tables of operations from anywhere, and Jepsen's.

``read_history(path)`` takes a run directory, or a file by its suffix:

=============================  =============================================================================================
a directory                    a run directory; also one whose run was killed
``.parquet``                   a ``history.parquet`` of ours, or a table of operations
``.csv``                       a table of operations with a header line
``.jsonl``, ``.ndjson``        a table of operations, one JSON object a line
``.edn``                       a Jepsen history (``harness.imports.jepsen``)
=============================  =============================================================================================

A table of operations has one row per operation on one key, in any order, and these columns:

===============  =========  =============================================================================================
``process``      required   who asked; one request at a time, so its operations must not overlap, unless they are the keys of one
                            request: of one ``group``, with the same ``call_ns`` and ``return_ns``
``key``          required   which register
``op``           required   ``r`` or ``read``, ``w`` or ``write``, ``d`` or ``delete``
``value``        required   what was written, or what was read. Any text or number; a read of ``0`` or of nothing found the
                            initial value. Not required beside ``version``
``call_ns``      required   when the operation was called, on a clock that all processes share, in ns
``return_ns``    required   when it returned; empty if nobody knows whether it took effect (a time-out)
``version``                 the place of the value in its key's order, from 1; 0 or empty is the initial value. With this column
                            all checks that compare versions apply; without it, values are only told apart
``status``                  ``ok``, ``fail`` (certainly took no effect) or ``info`` (nobody knows); else told by ``return_ns``
``seen``                    what an ok read found: ``hit``, ``miss`` (nothing known) or ``absent`` (the source has none);
                            ``hit`` if it is not given
``session``                 whose guarantees hold across processes; the process if it is not given
``node``                    the node asked
``server``                  the node that answered
``epoch``                   a number that changes when a node becomes another source of answers (restart, fail-over)
``due_ns``                  when the schedule wanted the call; ``call_ns`` if it is not given
``group``                   a number that the operations of one probe round share, and so do the keys of one request
``workload``                the name of the workload that the operation belongs to
``error``                   what went wrong, for ``fail`` and ``info``
===============  =========  =============================================================================================

A process that goes on after an operation whose end nobody knows goes on under a new identity, as a session of ours does. Times
are moved so that the first call is at 0. The op id of an operation is the number of its row, from 0.
"""

from __future__ import annotations

from pathlib import Path

from harness.errors import HistoryError, suggestion
from harness.history import History
from harness.imports.jepsen import read_jepsen
from harness.imports.lines import read_csv, read_jsonl
from harness.imports.operations import Source, history_of
from harness.imports.register import REGISTER_PLAN, register_plan
from harness.store import RunDirectory, parquet

__all__ = ["REGISTER_PLAN", "read_history", "register_plan"]

_SUFFIXES = (".parquet", ".csv", ".jsonl", ".ndjson", ".edn")


def read_history(path: Path) -> History:
    """The history at ``path``; raises ``HistoryError`` that says what is wrong with it, and where."""
    if path.is_dir():
        return RunDirectory.open(path).load_history()
    if not path.exists():
        raise HistoryError("there is no such history", where=str(path))
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise HistoryError(
            f'a file ending in "{suffix}" is no history' if suffix else "a history is known by the end of its name",
            where=str(path),
            fix=suggestion(suffix, _SUFFIXES),
        )
    if path.stat().st_size == 0:
        raise HistoryError("the file is empty", where=str(path))
    if suffix == ".parquet":
        return _read_parquet(path)
    if suffix == ".edn":
        return read_jepsen(path)
    return read_csv(path) if suffix == ".csv" else read_jsonl(path)


def _read_parquet(path: Path) -> History:
    table = parquet.read_table(path)
    if parquet.is_history(table):
        return parquet.read_history(path)
    return history_of(table, Source(path))
