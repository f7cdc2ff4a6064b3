"""Bugs on real processes and in containers: the schedules that bring them out in virtual time bring them out there, too."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.cli.zoo_alive import run_alive
from harness.errors import UsageError
from harness.reference.zoo import all_bugs
from harness.zoo import alive
from harness.zoo.alive import ONLY_SIMULATED, Shown, possible, show
from tests.candidates.applications import need_engine


@pytest.fixture(autouse=True)
def _engine(request):
    if request.node.get_closest_marker("docker"):
        need_engine()


@pytest.mark.servers
@pytest.mark.parametrize(
    "name", ["blind-refill", "lock-pause", "gap-tolerance", "lww-multi", "two-primaries", "gutter-delete", "fractured"]
)
def test_a_bug_shows_in_processes(name):
    """What must fire fires on the broken design, and nothing on the correct one: by gates, messages, cuts, restarts."""
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
    ("found", "tries"),
    [
        ([Shown("cdc"), Shown("cdc", broken=all_bugs()["cdc"].fires)], 2),
        ([Shown("cdc", error="node-1 does not serve"), Shown("cdc", error="nor now")], 2),
        ([Shown("cdc", spared=frozenset({"stuck"}))], 1),
    ],
)
def test_what_did_not_show_gets_another_try_and_a_false_alarm_none(monkeypatch, found, tries):
    """A machine that is busy may let a moment pass; a correct design that broke its promise has broken it."""
    left = list(found)
    monkeypatch.setattr(alive, "_shown", lambda _bug, _runtime: left.pop(0))
    assert list(show(["cdc"], "process")) == [replace(found[-1], tries=tries)]
    assert not left


def test_another_runtime_is_refused(tmp_path):
    """With the two that there are."""
    with pytest.raises(UsageError, match="cannot be shown"):
        run_alive(runtime="attached", bugs=("blind-refill",), strategies=(), out=tmp_path, quiet=True)
