"""Measures in tables."""

from harness.results import Measure
from reports.tables import by_node, by_phase


def test_phases_stand_across_with_gaps_where_nothing_was_measured() -> None:
    """One row per measure, one column per phase; only what availability said of all nodes."""
    table = by_phase(
        [
            ("availability", Measure("success-rate", 0.9999, "ratio", 10, "operation", 0.99, None, "steady")),
            ("availability", Measure("success-rate", None, "ratio", 0, "operation", phase="during kill")),
            ("availability", Measure("throughput", 12.5, "ops/s", 10, "operation", phase="steady")),
            ("availability", Measure("throughput", 1.0, "ops/s", 10, "operation", phase="steady", scope="primary")),
            ("availability", Measure("schedule-lag-p99", 1e6, "ns", 10, "operation")),
            ("staleness", Measure("stale-share", 0.5, "ratio", 10, "read", phase="steady")),
        ]
    )
    assert table.columns == ("steady", "during kill")
    assert [name for name, _ in table.rows] == ["success-rate", "throughput"]
    (rate, unknown), (throughput, nothing) = (cells for _, cells in table.rows)
    assert rate is not None
    assert (rate.value, rate.interval, rate.n) == ("99.99%", "at least 99%", "n = 10")
    assert unknown is not None
    assert unknown.value == "unknown"
    assert throughput is not None
    assert throughput.value == "12.5 ops/s"
    assert nothing is None


def test_nodes_stand_across_in_the_order_of_the_candidate() -> None:
    """Whole-run measures of nodes only, in the order of the history's nodes."""
    said = [
        ("staleness", Measure("relapses", 2, "count", 9, "write-node", scope="replica")),
        ("staleness", Measure("relapses", 0, "count", 9, "write-node", scope="primary")),
        ("staleness", Measure("stale-share", 0.1, "ratio", 9, "read", scope="primary", phase="steady")),
        ("staleness", Measure("polaris", 0.1, "ratio", 9, "write-node", scope="20ms")),
    ]
    table = by_node(said, ("primary", "replica", "idle"))
    assert table.columns == ("primary", "replica")
    assert [(name, [cell.value if cell else None for cell in cells]) for name, cells in table.rows] == [("relapses", ["0", "2"])]
