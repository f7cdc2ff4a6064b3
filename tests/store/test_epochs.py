"""Epochs from samples of who each node says it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.history import COLUMNS, NEVER, History
from harness.store import Sample, assign_epochs


def history_of(rows: list[tuple[int, int, int]]) -> History:
    """One read per (node, call, return)."""
    rows = sorted(rows, key=lambda row: row[1])
    columns = {name: np.zeros(len(rows), dtype) for name, dtype in COLUMNS.items()}
    columns["op"] = np.arange(len(rows))
    columns["node"] = np.array([row[0] for row in rows], np.int16)
    columns["call_ns"] = np.array([row[1] for row in rows], np.int64)
    columns["return_ns"] = np.array([row[2] for row in rows], np.int64)
    return History(columns=columns, keys=("x",), nodes=("a", "b"), ordered=np.ones(1, bool), end_ns=1000)


def epochs_of(rows: list[tuple[int, int, int]], samples: list[Sample]) -> list[int]:
    return assign_epochs(history_of(rows), samples).epoch.tolist()


def test_a_node_that_never_changes_has_one_epoch() -> None:
    """All operations between the first and the last answer share one epoch."""
    samples = [Sample("a", time, time, "one") for time in (0, 50, 100)]
    assert epochs_of([(0, 0, 10), (0, 40, 60), (0, 90, 100)], samples) == [0, 0, 0]


@pytest.mark.parametrize(
    ("call", "back", "epoch"),
    [(10, 20, 0), (40, 50, 0), (40, 51, -1), (60, 70, -1), (99, 120, -1), (100, 120, 1), (40, 120, -1), (10, NEVER, -1)],
)
def test_operations_that_touch_a_change_have_no_epoch(call: int, back: int, epoch: int) -> None:
    """The identity changed somewhere between two answers, so what touches that time belongs to neither epoch."""
    samples = [Sample("a", 0, 0, "one"), Sample("a", 50, 50, "one"), Sample("a", 100, 100, "two"), Sample("a", 150, 150, "two")]
    assert epochs_of([(0, call, back)], samples) == [epoch]


def test_the_same_identity_after_another_one_is_a_new_epoch() -> None:
    """A node that was a replica, then a primary, then a replica again, went through three epochs."""
    samples = [Sample("a", time, time, name) for time, name in [(0, "r"), (10, "r"), (20, "p"), (30, "p"), (40, "r"), (50, "r")]]
    history = assign_epochs(history_of([(0, 1, 2), (0, 21, 22), (0, 41, 42)]), samples)
    assert history.epoch.tolist() == [0, 1, 2]
    assert [(epoch.node, epoch.first_ns, epoch.identity) for epoch in history.epochs] == [
        ("a", 0, "r"),
        ("a", 20, "p"),
        ("a", 40, "r"),
    ]


def test_silence_alone_is_no_change() -> None:
    """A paused node that comes back as the same is in the same epoch, during the pause as well."""
    samples = [Sample("a", 0, 0, "one"), Sample("a", 500, 500, "one")]
    assert epochs_of([(0, 200, 300)], samples) == [0]


def test_nobody_knows_what_was_before_the_first_and_after_the_last_answer() -> None:
    """Operations outside of all answers, and of a node that never answered, have no epoch."""
    samples = [Sample("a", 50, 50, "one"), Sample("a", 100, 100, "one")]
    assert epochs_of([(0, 40, 60), (0, 60, 70), (0, 90, 101), (1, 60, 70)], samples) == [-1, 0, -1, -1]


@pytest.mark.parametrize(("call", "back", "epoch"), [(10, 20, -1), (40, 50, 0), (60, 80, -1), (95, 99, -1), (150, 160, 1)])
def test_an_answer_that_waited_for_us_says_nothing_of_the_time_it_waited(call: int, back: int, epoch: int) -> None:
    """While its answer was under way a node may have become someone else: it is sure to be itself from answer to question."""
    samples = [Sample("a", 0, 30, "one"), Sample("a", 50, 90, "one"), Sample("a", 95, 99, "two"), Sample("a", 190, 200, "two")]
    assert epochs_of([(0, call, back)], samples) == [epoch]


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 30), st.sampled_from("xyz")), unique_by=lambda s: s[:2], max_size=20
    ),
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 30), st.integers(0, 10)), max_size=10),
)
def test_two_operations_share_an_epoch_only_if_nothing_changed_between_them(
    samples: list[tuple[str, int, str]], reads: list[tuple[int, int, int]]
) -> None:
    """By the definition: an epoch is known iff answers around the operation agree, and shared iff all answers in between do."""
    rows = sorted(((node, call, call + length) for node, call, length in reads), key=lambda row: row[1])
    history = assign_epochs(history_of(rows), [Sample(node, time, time, name) for node, time, name in samples])
    names = ("a", "b")

    def identities(node: int, begin: int, end: int) -> set[str] | None:
        """What the node was between the answers around [begin, end]; None if there is no answer on both sides."""
        before = [s for s in samples if s[0] == names[node] and s[1] <= begin]
        after = [s for s in samples if s[0] == names[node] and s[1] >= end]
        if not before or not after:
            return None
        first, last = max(s[1] for s in before), min(s[1] for s in after)
        return {s[2] for s in samples if s[0] == names[node] and first <= s[1] <= last}

    for left, (node, call, back) in enumerate(rows):
        around = identities(node, call, back)
        assert (history.epoch[left] >= 0) == (around is not None and len(around) == 1)
        for right, (other, _, until) in enumerate(rows):
            if min(history.epoch[left], history.epoch[right]) >= 0 and left < right:
                spell = identities(node, call, max(back, until)) if node == other else None
                assert (history.epoch[left] == history.epoch[right]) == (spell is not None and len(spell) == 1)
