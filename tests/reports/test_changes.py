"""Nodes that became somebody else, as the page tells of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.history import Epoch, History
from reports import Report, render_html
from reports.changes import Change, changes
from tests.reports.synthetic import report

S = 1_000_000_000


@pytest.fixture
def relieved() -> Report:
    """A run in which the first node of the first finding became a primary between that finding's operations."""
    made = report()
    finding = made.findings[0]
    called = made.history.call_ns[made.history.rows_of(finding.witness)]
    known = Epoch(900, finding.nodes[0], -S, "process 7, replication 1f, slave")
    became = Epoch(901, finding.nodes[0], int(called.min() + called.max()) // 2, "process 7, replication 2e, master")
    return replace(made, history=replace(made.history, epochs=(known, became)))


def test_what_differs_is_told_in_the_order_it_was_seen():
    """A node's first identity is no change; of the others only what is new is told, whatever order they come in."""
    epochs = (
        Epoch(3, "b", 3 * S, "process 9, run y, slave"),
        Epoch(1, "b", 0, "process 8, run x, slave"),
        Epoch(0, "a", 0, "process 1, replication p, master"),
        Epoch(2, "a", 2 * S, "process 1, replication q, slave"),
    )
    history: History = replace(report().history, epochs=epochs)
    assert changes(history) == (
        Change("a", 2 * S, "replication p, master", "replication q, slave"),
        Change("b", 3 * S, "process 8, run x", "process 9, run y"),
    )


def test_the_page_tells_of_a_fail_over_in_the_finding_and_among_the_faults(relieved: Report):
    """Whoever reads of a lost write is to see that another node took over in between."""
    text = render_html(relieved)
    (change,) = changes(relieved.history)
    story, rest = text.split('id="faults"')
    assert f"{change.node} was first seen at" in story
    assert "replication 2e, master (before: replication 1f, slave)" in story
    assert "What nodes became</h3>" in rest
    assert "<td>replication 2e, master</td>" in rest


def test_a_run_without_changes_tells_of_none():
    """Identities from the start of a run are not news."""
    assert "What nodes became" not in render_html(report())
