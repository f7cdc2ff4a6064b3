"""Plans that are simulated: the same run directory, verdict and reports as of real nodes, and the same run again and again."""

from __future__ import annotations

import tomllib

import pytest

from harness import conductor
from harness.cli import dry_run
from harness.cli.replays import replay_run
from harness.errors import InterruptedRunError, PlanError, UnsupportedError
from harness.fingerprint import fingerprint
from harness.plan import Contract, parse_plan
from harness.results import Outcome
from harness.shipped import shipped_plans, shipped_text
from harness.store import list_runs
from tests.watching import Silent

ANNOUNCED = {
    "simulated-broadcast": Outcome.PASS,
    "simulated-blind-refill": Outcome.VIOLATED,
    "mistake-asynchronous": Outcome.VIOLATED,
    "mistake-local-lock": Outcome.VIOLATED,
    "mistake-no-version": Outcome.VIOLATED,
    "mistake-exactness": Outcome.PASS,
}


def run(text, tmp_path, watch=None):
    """A finished run of a plan."""
    return conductor.run(parse_plan(text), text, tmp_path, watch or Silent())


def shorter(name="simulated-broadcast", **changes):
    """The text of a shipped plan with a shorter run and other changes."""
    text = shipped_text(name).replace('duration = "10s"', 'duration = "1s"').replace('duration = "8s"', 'duration = "1s"')
    for before, after in changes.values():
        assert before in text
        text = text.replace(before, after)
    return text


def test_every_simulated_plan_is_in_this_table():
    """A plan that is shipped is run."""
    names = {name for name in shipped_plans() if parse_plan(shipped_text(name)).run.runtime == "simulated"}
    assert names == ANNOUNCED.keys()


@pytest.mark.parametrize("name", ANNOUNCED)
def test_a_simulated_plan_ends_with_its_announced_verdict(name, tmp_path):
    """So says its comment; the stored run says so again, and all reports are there."""
    text = shipped_text(name)
    assert f"ends with verdict {ANNOUNCED[name]}" in text.partition("\nseed")[0].replace("\n# ", " ")
    finished = run(text, tmp_path)
    verdict = finished.report.verdict
    assert verdict.outcome is ANNOUNCED[name], verdict.why
    assert set(finished.paths) == {"report.html", "results.json", "junit.xml", "summary.md"}
    assert all(episode.proven for episode in finished.report.history.episodes)
    again = conductor.evaluate(finished.directory)
    assert again.verdict == verdict
    assert again.plan.hash == finished.report.plan.hash


def test_a_replay_is_the_same_run(tmp_path):
    """The frozen plan gives the same history, to the byte; another seed gives another."""
    first = run(shipped_text("simulated-broadcast"), tmp_path)
    again = run(first.directory.plan_file.read_text(), tmp_path)
    other = run(shorter(seed=("seed = 7", "seed = 8")), tmp_path)
    prints = [fingerprint(finished.directory.load_history()) for finished in (first, again, other)]
    assert prints[0] == prints[1] != prints[2]
    assert first.directory.history_file.read_bytes() == again.directory.history_file.read_bytes()


def test_a_replay_by_the_command_is_the_same_run(tmp_path):
    """`anachron replay` makes runs with the same fingerprint."""
    finished = run(shorter(), tmp_path)
    replay_run(finished.directory.path, 2, runs_dir=None, quiet=True)
    runs = list_runs(tmp_path)
    assert len(runs) == 3
    assert len({fingerprint(directory.load_history()) for directory in runs}) == 1


def test_without_a_contract_the_plan_is_held_to_theory(tmp_path):
    """The run directory's plan says what is promised, for the plan's faults only; the theory's numbers lose nothing."""
    finished = run(shorter(), tmp_path)
    contract = finished.report.plan.contract
    written = finished.directory.plan_file.read_text()
    assert Contract.model_validate(tomllib.loads(written)["contract"]) == contract
    assert set(contract.staleness.during) == {"partition", "drop", "kill"}
    assert "what the theory" in written
    assert finished.directory.load_plan().hash == finished.report.plan.hash


def test_a_contract_of_the_plan_is_the_one_that_counts(tmp_path):
    """Whoever writes a contract is held to that one, even to none of its keys."""
    text = shorter(contract=("[run]", '[contract]\nconverges_within = "3s"\n\n[run]'))
    finished = run(text, tmp_path)
    assert finished.report.plan.contract == Contract.model_validate({"converges_within": "3s"})
    assert finished.directory.plan_file.read_text().endswith(text)


def test_progress_counts_operations_and_tells_of_episodes(tmp_path):
    """Whoever watches sees the run go on, in virtual time."""

    class Watching(Silent):
        def __init__(self):
            self.elapsed, self.answered, self.kinds = [], [], []

        def counts(self, elapsed_ns, duration_ns, ok, fail, info):  # noqa: ARG002
            self.elapsed.append(elapsed_ns)
            self.answered.append(ok)

        def episode(self, episode):
            self.kinds.append(episode.kind)

    watch = Watching()
    run(shipped_text("simulated-broadcast"), tmp_path, watch)
    assert watch.elapsed == sorted(watch.elapsed)
    assert watch.answered == sorted(watch.answered)
    assert watch.answered[-1] > 10_000
    assert watch.kinds == ["partition", "drop", "kill"]


def test_ctrl_c_leaves_nothing_to_judge(tmp_path):
    """A simulated run that is interrupted says that the same seed runs it again."""

    class Impatient(Silent):
        def counts(self, elapsed_ns, duration_ns, ok, fail, info):  # noqa: ARG002
            raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError, match="interrupted") as interrupted:
        run(shorter(), tmp_path, Impatient())
    assert "same seed" in interrupted.value.fix


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        (shipped_text("too-short").replace("[run]", '[run]\nruntime = "simulated"'), PlanError, "cannot be simulated"),
        (shorter(fault=('kind = "kill"', 'kind = "flush"')), UnsupportedError, "cannot be simulated"),
        (shorter(place=('"bus"', '"store"')), PlanError, "store"),
    ],
    ids=["another candidate", "another fault", "another place"],
)
def test_what_cannot_be_simulated_is_refused_before_anything_starts(text, error, words):
    """Each with the place in the plan and the remedy."""
    with pytest.raises(error) as refused:
        conductor.prepare(parse_plan(text))
    assert words in str(refused.value)
    assert refused.value.where


def test_a_rehearsal_says_what_would_be_simulated():
    """No process, no connection: only places, sessions and episodes."""
    told = dry_run.tell(conductor.prepare(parse_plan(shipped_text("simulated-broadcast"))))
    assert told.count("would be simulated") == 7
    assert "connections" not in told
    assert "partition" in told
