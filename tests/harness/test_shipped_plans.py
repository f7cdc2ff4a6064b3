"""Every shipped plan that needs no containers, run for real, with the verdict that its first lines announce."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest

from harness import conductor
from harness.history import Episode, Function
from harness.plan import parse_plan
from harness.results import Outcome

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]

ANNOUNCED = {
    "replication": Outcome.PASS,
    "fresh-replicas": Outcome.VIOLATED,
    "linearizable-primary": Outcome.PASS,
    "restart-with-data": Outcome.PASS,
    "restart-without-data": Outcome.VIOLATED,
    "restart-waived": Outcome.PASS,
    "too-short": Outcome.INCONCLUSIVE,
    "redis-multi-key": Outcome.PASS,
}


class Told:
    """A watcher that remembers."""

    def __init__(self):
        self.stages: list[str] = []
        self.episodes: list[Episode] = []

    def stage(self, words):
        self.stages.append(words)

    def counts(self, elapsed_ns, duration_ns, ok, fail, info):
        pass

    def episode(self, episode):
        self.episodes.append(episode)


def text_of(name):
    """The text of a shipped plan."""
    return files("harness").joinpath("plans", f"{name}.toml").read_text()


def run(name, tmp_path):
    """A finished run of a shipped plan; once more if this machine, not the candidate, stood still for too long."""
    text = text_of(name)
    for _ in range(2):
        finished = conductor.run(parse_plan(text, name), text, tmp_path, Told())
        stalled = [item for item in finished.report.verdict.adequacy if item.name == "stalls" and not item.enough]
        if not stalled or finished.report.verdict.outcome is Outcome.VIOLATED:
            break
    return finished


def clause(finished, name):
    """The clause of that name."""
    (found,) = (clause for clause in finished.report.verdict.clauses if clause.name == name)
    return found


def test_every_shipped_plan_announces_its_verdict():
    """The table of this test is the plans' own first lines."""
    names = {path.name.removesuffix(".toml") for path in files("harness").joinpath("plans").iterdir()}
    assert {name for name in names if parse_plan(text_of(name), name).run.runtime == "process"} == ANNOUNCED.keys()
    for name, outcome in ANNOUNCED.items():
        head = text_of(name).partition("\nseed")[0].replace("\n# ", " ")
        assert f"ends with verdict {outcome}" in head


@pytest.mark.parametrize("name", ANNOUNCED)
def test_a_shipped_plan_ends_with_its_announced_verdict_again_and_again(name, tmp_path):
    """The run, and a check of what it stored, come to the verdict; every episode that struck was proven."""
    finished = run(name, tmp_path)
    verdict = finished.report.verdict
    assert verdict.outcome is ANNOUNCED[name], verdict.why
    assert all(episode.proven for episode in finished.report.history.episodes)
    assert not finished.report.failure
    assert set(finished.paths) == {"report.html", "results.json", "junit.xml", "summary.md"}
    again = conductor.evaluate(finished.directory)
    assert again.verdict == verdict
    assert again.results == finished.report.results
    CHECKS.get(name, _nothing_more)(finished)


def _promises_of_freshness_are_broken_with_witnesses(finished):
    first = finished.report.findings[0]
    assert first.name in {"monotonic-reads", "stale-read"}
    assert len(first.witness) >= 3
    assert (finished.report.history.rows_of(first.witness) >= 0).all()
    assert clause(finished, "staleness.steady").outcome is Outcome.VIOLATED


def _acknowledged_writes_are_lost(finished):
    lost = clause(finished, "lost_writes")
    assert lost.outcome is Outcome.VIOLATED
    assert lost.findings == ("lost-write",)


def _the_loss_is_counted_and_excused(finished):
    lost = clause(finished, "lost_writes")
    assert lost.outcome is Outcome.WAIVED
    assert sum(finding.count for finding in finished.report.findings if finding.name == "lost-write") > 0


def _what_was_not_exercised_is_named(finished):
    lacking = {item.name for item in finished.report.verdict.adequacy if not item.enough}
    assert "fault partition" in lacking


def _many_reads_of_several_keys_were_compared(finished):
    history = finished.report.history
    atomic = clause(finished, "atomic_reads")
    assert atomic.n > 1_000
    _, sizes = np.unique(history.group[(history.group >= 0) & (history.function == Function.WRITE)], return_counts=True)
    assert (sizes == 3).all()


def _nothing_more(_finished):
    pass


CHECKS = {
    "fresh-replicas": _promises_of_freshness_are_broken_with_witnesses,
    "restart-without-data": _acknowledged_writes_are_lost,
    "restart-waived": _the_loss_is_counted_and_excused,
    "too-short": _what_was_not_exercised_is_named,
    "redis-multi-key": _many_reads_of_several_keys_were_compared,
}
