"""Bugs on real processes and in containers: the schedules that bring them out in virtual time bring them out there, too."""

from __future__ import annotations

import pytest

from harness.cli.zoo_alive import run_alive
from harness.errors import PASS, VIOLATED, UsageError
from harness.reference.zoo import all_bugs
from harness.zoo.alive import ONLY_SIMULATED, Shown, possible, show
from tests.candidates.applications import need_engine


@pytest.fixture(autouse=True)
def _engine(request):
    if request.node.get_closest_marker("docker"):
        need_engine()


@pytest.mark.servers
@pytest.mark.parametrize("name", ["blind-refill", "lock-pause", "gap-tolerance", "failover", "fractured"])
def test_a_bug_shows_in_processes(name):
    """What must fire fires on the broken design, and nothing on the correct one: by gates, signals, lost messages and roles."""
    (found,) = show([name], "process")
    assert found.right, found


@pytest.mark.docker
def test_a_bug_shows_in_containers():
    """One that takes a clock of its own for one node, which no process has."""
    (found,) = show(["clock-jump"], "docker")
    assert found.right, found


def test_what_a_runtime_cannot_do_is_told():
    """Processes share the machine's clock, and no process has the exact lag of a replica."""
    names, refused = possible(["blind-refill", "clock-jump", "fill-replica"], "process")
    assert names == ("blind-refill",)
    assert "clock" in refused["clock-jump"]
    assert refused["fill-replica"] == ONLY_SIMULATED["fill-replica"]


def test_bugs_that_are_only_simulated_are_bugs():
    """A name that is gone would hide nothing, but say something that is not so."""
    assert ONLY_SIMULATED.keys() <= all_bugs().keys()


@pytest.mark.parametrize(
    "found",
    [
        Shown("blind-refill", broken=frozenset({"stale-read"})),
        Shown("blind-refill", broken=frozenset({"stale-read", "stuck"}), spared=frozenset({"stuck"})),
        Shown("blind-refill", error="node-1 does not serve"),
    ],
)
def test_a_bug_that_is_missed_or_found_where_it_is_not_fails(monkeypatch, capsys, found):
    """And the table says which it was."""
    monkeypatch.setattr("harness.cli.zoo_alive.show", lambda _names, _runtime: iter([found]))
    assert run_alive(runtime="process", bugs=("blind-refill",), quiet=True) == VIOLATED
    said = capsys.readouterr().out
    assert "✖" in said
    assert "0 of 1 bugs were shown" in said


def test_all_that_is_shown_passes(monkeypatch, capsys):
    """What was found beyond what must be found is no fault of the bug."""
    found = Shown("blind-refill", broken=frozenset({"stale-read", "stuck", "slow-convergence"}))
    monkeypatch.setattr("harness.cli.zoo_alive.show", lambda _names, _runtime: iter([found]))
    assert run_alive(runtime="process", bugs=("blind-refill",), quiet=True) == PASS
    assert "1 of 1 bugs were shown" in capsys.readouterr().out


def test_another_runtime_is_refused():
    """With the two that there are."""
    with pytest.raises(UsageError, match="cannot be shown"):
        run_alive(runtime="attached", bugs=("blind-refill",), quiet=True)
