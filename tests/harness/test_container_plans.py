"""Every shipped plan on containers, run for real, with the verdict and the first finding that its first lines announce."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness import conductor
from harness.errors import UnsupportedError
from harness.plan import parse_plan
from harness.results import Outcome
from harness.shipped import shipped_plans, shipped_text
from tests.watching import Silent

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]

ON_CONTAINERS = [name for name in shipped_plans() if parse_plan(shipped_text(name), name).run.runtime == "docker"]
ANNOUNCEMENT = re.compile(r"\n# It ends with verdict (pass|violated|inconclusive)(?:, by ([a-z-]+))?[.,]")


def announced(name: str) -> tuple[Outcome, str]:
    """The verdict that the first lines of a plan announce, and the finding that decides it; an empty one for none."""
    found = ANNOUNCEMENT.search(shipped_text(name))
    assert found, f"{name} does not announce its verdict"
    return Outcome(found[1]), found[2] or ""


def run(name: str, directory: Path) -> conductor.Finished:
    """A finished run; once more if this machine, not the candidate, stood still for too long."""
    text = shipped_text(name)
    for _ in range(2):
        try:
            finished = conductor.run(parse_plan(text, name), text, directory, Silent())
        except UnsupportedError as error:
            pytest.skip(str(error))
        verdict, episodes = finished.report.verdict, finished.report.history.episodes
        stalled = any(item.name == "stalls" and not item.enough for item in verdict.adequacy)
        if not stalled or (verdict.outcome is Outcome.VIOLATED and all(episode.proven for episode in episodes)):
            break
    return finished


@pytest.mark.parametrize("name", ON_CONTAINERS)
def test_a_plan_on_containers_ends_with_its_announced_verdict(name, tmp_path):
    """So it is with the finding that decides it and its witness; every fault was proven, and what is waived was found."""
    outcome, finding = announced(name)
    assert (outcome is Outcome.VIOLATED) == bool(finding)
    finished = run(name, tmp_path)
    report = finished.report
    assert report.verdict.outcome is outcome, report.verdict.why
    assert not report.failure
    assert bool(report.history.episodes) == bool(report.plan.faults)
    unproven = [episode.evidence for episode in report.history.episodes if not episode.proven]
    assert not unproven
    if finding:
        assert report.findings[0].name == finding
        assert (report.history.rows_of(report.findings[0].witness) >= 0).all()
    for waiver in report.plan.contract.waive:
        assert sum(found.count for found in report.findings if found.name == waiver.finding) > 0
