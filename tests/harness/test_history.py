from __future__ import annotations

import numpy as np
import pytest

from harness.errors import HistoryError
from harness.history import COLUMNS, NEVER, History, Seen, Status


def small(ops):
    """A history with these op ids and otherwise zeros."""
    columns = {name: np.zeros(len(ops), dtype) for name, dtype in COLUMNS.items()}
    columns["op"] = np.array(ops)
    return History(columns=columns, keys=("k",), nodes=("n",), ordered=np.array([True]))


def test_rows_are_found_by_op_id_in_any_order():
    """Op ids need not be sorted or dense; an unknown one has row -1."""
    history = small([40, 7, 13])
    assert history.rows_of(np.array([13, 40, 8, 99])).tolist() == [2, 0, -1, -1]
    assert small([]).rows_of(np.array([1])).tolist() == [-1]


def test_columns_read_as_attributes_and_nothing_else_does():
    """A column is an attribute; a misspelt one is an error."""
    history = small([1, 2])
    assert history.op.tolist() == [1, 2]
    with pytest.raises(AttributeError):
        _ = history.colour


def test_a_derived_table_is_computed_once():
    """Checkers share what they derive from one history."""
    calls = []

    def table(history):
        calls.append(history)
        return len(history)

    history = small([1, 2])
    assert (history.derive(table), history.derive(table)) == (2, 2)
    assert len(calls) == 1


def test_selected_rows_forget_what_was_derived_from_all():
    """A slice is a history of its own with the same dictionaries."""
    history = small([1, 2, 3])
    history.rows_of(np.array([1]))
    part = history.select(np.array([True, False, True]))
    assert part.op.tolist() == [1, 3]
    assert part.rows_of(np.array([2, 3])).tolist() == [-1, 1]
    assert part.keys == history.keys


def test_a_history_needs_all_its_columns_at_one_length():
    """A column too few or too short is refused by name."""
    columns = {name: np.zeros(2, dtype) for name, dtype in COLUMNS.items()}
    with pytest.raises(HistoryError, match="status"):
        History({k: v for k, v in columns.items() if k != "status"}, ("k",), ("n",), np.array([True]))
    with pytest.raises(HistoryError, match="length"):
        History({**columns, "op": np.zeros(3, np.int64)}, ("k",), ("n",), np.array([True]))


def test_what_was_known_at_a_time_leaves_out_what_came_later():
    """Later calls are gone, answers that came later are unknown, and the history is no longer complete."""
    history = small([1, 2, 3])
    history.call_ns[:] = [10, 20, 30]
    history.return_ns[:] = [15, 40, 35]
    history.seen[:] = Seen.HIT
    known = history.until(30)
    assert known.op.tolist() == [1, 2]
    assert known.status.tolist() == [Status.OK, Status.INFO]
    assert known.return_ns.tolist() == [15, NEVER]
    assert known.seen.tolist() == [Seen.HIT, Seen.NOTHING]
    assert not known.complete
    assert {name: column.dtype for name, column in known.columns.items()} == {name: np.dtype(d) for name, d in COLUMNS.items()}
