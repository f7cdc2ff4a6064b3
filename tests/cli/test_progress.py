"""Progress on standard error."""

from __future__ import annotations

import io
import sys

from harness.cli.progress import Bar, Lines, progress, told
from harness.durations import UNITS
from harness.history import Episode

S = UNITS["s"]
CUT = Episode(
    fault=0,
    kind="partition",
    targets=("replica-1->primary",),
    nodes=("replica-1", "primary"),
    intended_ns=3 * S,
    intended_end_ns=5 * S,
    applied_ns=3 * S,
    proven_ns=3 * S + 40_000_000,
    healed_ns=5 * S,
)
UNPROVEN = Episode(
    fault=0,
    kind="pause",
    targets=("replica-1",),
    nodes=("replica-1",),
    intended_ns=S,
    intended_end_ns=2 * S,
    applied_ns=S,
    healed_ns=2 * S,
)
NEVER_APPLIED = Episode(fault=0, kind="kill", targets=("primary",), nodes=("primary",), intended_ns=S, intended_end_ns=2 * S)


def test_a_log_gets_a_line_every_few_seconds(capsys):
    """Counts come five times a second; a log gets them every five seconds, with the rate."""
    lines = Lines()
    lines.stage("driving")
    for tick in range(60):
        lines.counts(tick * S // 5, 12 * S, ok=tick * 200, fail=0, info=tick // 30)
    lines.stage("settling")
    err = capsys.readouterr().err.splitlines()
    assert err[0] == "driving"
    assert len(err) == 6
    assert err[2] == "5.0s of 12.0s: 5,000 ok, 1,000 op/s"
    assert err[3] == "10.0s of 12.0s: 10,000 ok, 1 info, 1,000 op/s"
    assert err[4:] == ["11.8s of 12.0s: 11,800 ok, 1 info, 1,000 op/s", "settling"]


def test_an_episode_says_whether_it_was_proven():
    """Proof is told in words and shape, not by colour."""
    assert told(CUT) == "+ partition replica-1->primary at 3.0s for 2s: proven after 40ms"
    assert told(UNPROVEN) == "x pause replica-1 at 1.0s for 1s: NOT PROVEN"
    assert told(NEVER_APPLIED) == "x kill primary at 1.0s: could not be applied"


def test_a_terminal_gets_a_bar_and_the_episodes_above_it(monkeypatch):
    """The bar shows stage, time and counts; names of keys and nodes are never read as markup."""
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    with progress(quiet=False) as watch:
        assert isinstance(watch, Bar)
        watch.stage("[bold]driving")
        watch.counts(2 * S, 10 * S, ok=1234, fail=5, info=0)
        watch.episode(CUT)
    shown = terminal.getvalue()
    assert "1,234 ok, 5 fail" in shown
    assert "proven after 40ms" in shown
    assert "[bold]driving" in shown


def test_quiet_shows_nothing(capsys):
    """--quiet is quiet."""
    with progress(quiet=True) as watch:
        watch.stage("driving")
        watch.counts(0, S, 0, 0, 0)
        watch.episode(CUT)
    assert capsys.readouterr() == ("", "")
