"""The fingerprint of a history."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.fingerprint import fingerprint
from harness.history import COLUMNS, Episode, Epoch, History, Stall


def history() -> History:
    """Three operations and all that there may be beside them."""
    return History(
        columns={name: np.arange(3, dtype=kind) for name, kind in COLUMNS.items()},
        keys=("x", "y", "z"),
        nodes=("a", "b", "c"),
        ordered=np.array([True, True, False]),
        errors=("lost",),
        episodes=(Episode(0, "pause", ("a",), ("a",), 1, 2),),
        epochs=(Epoch(0, "a", 0, "life 1"),),
        stalls=(Stall(1, 2, 0),),
        end_ns=9,
        committed={1: 5},
    )


@pytest.mark.parametrize("name", COLUMNS)
def test_every_column_counts(name: str):
    """One cell is enough."""
    before = history()
    column = before.columns[name].copy()
    column[1] += 1
    assert fingerprint(replace(before, columns={**before.columns, name: column})) != fingerprint(before)


@pytest.mark.parametrize(
    "change",
    [
        {"keys": ("x", "y", "w")},
        {"nodes": ("a", "b", "d")},
        {"ordered": np.array([True, True, True])},
        {"workloads": ("other",)},
        {"errors": ()},
        {"episodes": ()},
        {"epochs": ()},
        {"stalls": ()},
        {"end_ns": 10},
        {"settled_ns": 5},
        {"complete": False},
        {"committed": {1: 6}},
        {"audited": True},
        {"routed": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_everything_else_counts(change: dict[str, object]):
    """Each field of a history."""
    assert fingerprint(replace(history(), **change)) != fingerprint(history())


def test_how_a_column_lies_in_memory_does_not_count():
    """Another byte order or stride says the same."""
    before = history()
    swapped = {name: column.astype(column.dtype.newbyteorder(">")) for name, column in before.columns.items()}
    strided = {name: np.repeat(column, 2)[::2] for name, column in before.columns.items()}
    assert fingerprint(replace(before, columns=swapped)) == fingerprint(before)
    assert fingerprint(replace(before, columns=strided)) == fingerprint(before)


def test_a_pinned_fingerprint():
    """The same on every machine and with every version of numpy."""
    assert fingerprint(history()) == "b64b499917504cfc584c45f82e4e1ba131f84d08bc442fc46853239a241c07c5"
