"""What the charts over time mark beside their lines."""

from dataclasses import replace

import numpy as np

from harness.history import History
from reports.ages import ages
from reports.chart import Chart
from reports.fault_lanes import fault_lanes
from reports.series import series
from reports.time_charts import load_end_ns, span_ns, time_charts
from tests.reports.synthetic import SECOND, history, plan


def charts(run: History) -> tuple[Chart, ...]:
    known = ages(run, plan().contract)
    binned = series(run, known)
    return (*fault_lanes(run, span_ns(run, binned)), *time_charts(run, plan().contract, known, binned))


def test_every_chart_shows_where_the_load_ended() -> None:
    """From the last call of the load on: the time in which faults are healed has no operation, and is no outage."""
    full = history()
    quiet = full.select((full.call_ns < 20 * SECOND) | (full.call_ns >= 29 * SECOND))
    last = int(quiet.call_ns[np.searchsorted(quiet.call_ns, 20 * SECOND) - 1])
    assert load_end_ns(quiet) == last
    for chart in charts(quiet):
        assert "load over: closing probes only" in [key.label for key in chart.keys]
        assert chart.marks.count('class="closing"') == 1
        assert f'class="closing-edge" x1="{last / quiet.end_ns * 10_000:.0f}"' in chart.marks
    throughput = next(chart for chart in charts(quiet) if chart.name == "throughput")
    assert f"The load ended at {last / 1e9:.3f}s" in throughput.reading


def test_a_run_without_closing_probes_marks_none() -> None:
    """A run that was cut off has load until its end."""
    cut = replace(history(), settled_ns=None)
    assert load_end_ns(cut) is None
    assert not any("closing" in chart.marks or "closing probes" in chart.reading for chart in charts(cut))
