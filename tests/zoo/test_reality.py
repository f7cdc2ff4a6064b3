"""What the zoo says of real fleets: the strategies' runs, the tables, the file and the exit status."""

from __future__ import annotations

import json

import pytest

from harness.cli.zoo_alive import run_alive
from harness.conductor import prepare
from harness.errors import FAILURE, INCONCLUSIVE, PASS, VIOLATED, HarnessError, InterruptedRunError
from harness.plan import parse_plan
from harness.reference.zoo import all_bugs, designs
from harness.results import Outcome
from harness.zoo import kept
from harness.zoo.alive import ONLY_SIMULATED, Shown
from harness.zoo.kept import Kept, keep, plan_text
from tests.candidates.applications import need_engine

RIGHT = Shown("blind-refill", broken=frozenset({"stale-read", "stuck", "slow-convergence"}))
GOOD = Kept("lease", Outcome.PASS, "all hold", 3_000, ("pause", "kill"))


@pytest.fixture(autouse=True)
def _engine(request):
    if request.node.get_closest_marker("docker"):
        need_engine()


@pytest.mark.servers
@pytest.mark.parametrize("name", ["broadcast-amo", "pool"])
def test_a_strategy_keeps_its_promise_in_processes(tmp_path, name):
    """Cut off, paused and killed: at most once with its mark on the disk, and a pool with the roster as its bus."""
    (found,) = keep([name], "process", tmp_path)
    assert found.right, found
    assert set(found.faults) == {"partition", "pause", "kill"}


@pytest.mark.docker
def test_a_strategy_keeps_its_promise_in_containers(tmp_path):
    """Cut by the kernel, paused and killed; its report is there."""
    (found,) = keep(["versioned-keys"], "docker", tmp_path)
    assert found.right, found
    assert found.run is not None
    assert (found.run / "report.html").exists()


@pytest.mark.parametrize("name", sorted(designs()))
def test_every_strategy_has_a_plan(name):
    """Each can be prepared, promises something, and is struck by at least two kinds of fault."""
    text = plan_text(designs()[name], "process")
    experiment = prepare(parse_plan(text))
    assert experiment.plan.contract.staleness.steady is not None
    assert len(experiment.faults) == (3 if designs()[name].origin else 2)
    assert not any(episode.skipped for episode in experiment.planned)


@pytest.mark.parametrize(
    ("outcomes", "tries"), [([Outcome.INCONCLUSIVE, Outcome.PASS], 2), ([None, None], 2), ([Outcome.VIOLATED], 1)]
)
def test_a_run_that_shows_nothing_is_made_once_more(monkeypatch, tmp_path, outcomes, tries):
    """A broken promise is never tried again."""
    left = list(outcomes)
    monkeypatch.setattr(kept, "_kept", lambda name, _runtime, _root: Kept(name, left.pop(0), ""))
    assert list(keep(["lease"], "process", tmp_path)) == [Kept("lease", outcomes[-1], "", tries=tries)]


def test_whoever_interrupts_a_run_interrupts_the_zoo(monkeypatch, tmp_path):
    """The next strategy is not begun; any other error is told and the next one is."""

    def interrupted(*_):
        raise InterruptedRunError("the run was interrupted twice")

    def broken(*_):
        raise HarnessError("the engine is gone")

    monkeypatch.setattr(kept, "run", interrupted)
    with pytest.raises(InterruptedRunError):
        list(keep(["lease", "ttl"], "process", tmp_path))
    monkeypatch.setattr(kept, "run", broken)
    assert [each.why for each in keep(["lease", "ttl"], "process", tmp_path)] == ["the engine is gone"] * 2


@pytest.mark.parametrize(
    ("results", "answer"),
    [
        ((RIGHT, GOOD), (PASS, "1 of 1 bugs were shown; 1 of 1 correct strategies kept their promises")),
        ((Shown("blind-refill", broken=frozenset({"stale-read"})), GOOD), (VIOLATED, "missed stuck")),
        ((Shown("blind-refill", broken=RIGHT.broken, spared=frozenset({"stuck"})), GOOD), (VIOLATED, "0 of 1 bugs were shown")),
        ((Shown("blind-refill", error="node-1 does not serve"), GOOD), (FAILURE, "node-1 does not serve")),
        ((RIGHT, Kept("lease", Outcome.VIOLATED, "a read was too old")), (VIOLATED, "violated: a read was too old")),
        ((RIGHT, Kept("lease", None, "node-1 does not serve")), (FAILURE, "not run: node-1 does not serve")),
        ((RIGHT, Kept("lease", Outcome.INCONCLUSIVE, "too few reads")), (INCONCLUSIVE, "inconclusive: too few reads")),
    ],
)
def test_what_is_said_and_how_it_ends(monkeypatch, capsys, tmp_path, results, answer):
    """A miss or a false alarm before an error, and that before a run that shows nothing; the file says the same."""
    (bug, strategy), (status, said) = results, answer
    monkeypatch.setattr("harness.cli.zoo_alive.show", lambda _names, _runtime: iter([bug]))
    monkeypatch.setattr("harness.cli.zoo_alive.keep", lambda _names, _runtime, _root: iter([strategy]))
    run = {"runtime": "process", "bugs": ("blind-refill",), "strategies": ("lease",), "out": tmp_path, "quiet": False}
    assert run_alive(**run) == status
    heard = capsys.readouterr()
    assert said in " ".join(heard.out.split())
    assert heard.err.startswith("1 of 2: broadcast-alo+blind-refill: ")
    document = json.loads((tmp_path / "process" / "results.json").read_text())
    assert document["holds"] == (status == PASS)
    assert len(document["complaints"]) == (0 if status == PASS else 1)


def test_what_is_only_simulated_is_said_with_its_reason(monkeypatch, capsys, tmp_path):
    """All bugs are asked for; those that need virtual time are named. Long names and reasons go on in the next line."""
    monkeypatch.setattr("harness.cli.zoo_alive.show", lambda names, _runtime: (RIGHT for _ in names[:1]))
    run_alive(runtime="docker", bugs=tuple(all_bugs()), strategies=(), out=tmp_path, quiet=True)
    said = " ".join(capsys.readouterr().out.split())
    assert f"{len(ONLY_SIMULATED)} can only be simulated here" in said
    assert all(f"+{name}" in said for name in ONLY_SIMULATED)
    assert "the lag of a replica is exact in virtual time only" in said


def test_no_run_is_no_pass(tmp_path):
    """A bug that needs virtual time is not shown by being asked for."""
    asked = {"runtime": "process", "bugs": ("fill-replica",), "strategies": (), "out": tmp_path, "quiet": True}
    assert run_alive(**asked) == INCONCLUSIVE
