"""Faults on whoever has a role by then."""

from __future__ import annotations

import asyncio
from time import monotonic_ns

import pytest

from faults import FAULTS, run_schedule, schedule
from harness.candidates import Cluster
from harness.errors import PlanError
from harness.history import Episode
from harness.topology import Link
from tests.faults.fake_cluster import FLEET, MS, FakeCandidate, FakeRuntime, spec


class Moving(FakeCandidate):
    """Its roles are where the test puts them."""

    def __init__(self, runtime: FakeRuntime, *primaries: str) -> None:
        super().__init__(runtime)
        self.primaries = primaries

    async def current(self, role: str) -> tuple[str, ...]:
        return self.primaries if role == "primary" else ()


def struck(candidate: FakeCandidate, *specs) -> tuple[Episode, ...]:
    """The episodes of a short run."""
    faults = [FAULTS.load(s.kind)(s) for s in specs]
    planned = schedule(faults, FLEET, 1, 10_000 * MS)
    begin_ns = monotonic_ns()
    cluster = Cluster(candidate, candidate.runtime)
    return asyncio.run(run_schedule(planned, faults, cluster, lambda: monotonic_ns() - begin_ns, lambda _: None))


def test_whoever_is_primary_is_struck():
    """The episode names the node, not the role: that is who it was."""
    runtime = FakeRuntime()
    (episode,) = struck(Moving(runtime, "replica-2"), spec("kill", targets="current-primary"))
    assert episode.proven, episode.evidence
    assert episode.targets == episode.nodes == ("replica-2",)
    assert runtime.done[0] == "kill replica-2"


def test_of_several_the_candidate_knows_who_is_right():
    """After a split two say that they are primary: the first one is struck, or the next if that one is a target anyway."""
    (episode,) = struck(Moving(FakeRuntime(), "replica-1", "primary"), spec("pause", targets="current-primary"))
    assert episode.targets == ("replica-1",)
    wanted = spec("pause", targets=("current-primary", "replica-1"), at_most=2)
    (episode,) = struck(Moving(FakeRuntime(), "replica-1", "primary"), wanted)
    assert set(episode.targets) == {"replica-1", "primary"}


@pytest.mark.parametrize(
    ("candidate", "why"),
    [(Moving(FakeRuntime()), "nobody says that he is primary"), (FakeCandidate(FakeRuntime()), "cannot tell who is primary now")],
)
def test_where_nobody_has_the_role_nobody_is_struck(candidate: FakeCandidate, why: str):
    """Such an episode was never applied, and says why."""
    (episode,) = struck(candidate, spec("kill", targets="current-primary"))
    assert episode.applied_ns is None
    assert not episode.proven
    assert why in episode.evidence[0]
    assert candidate.runtime.done == []


def test_it_may_be_anybody_so_nothing_else_is_struck_meanwhile():
    """A fault on another node at the same time could turn out to be one on the same."""
    office = FAULTS.load("kill")(spec("kill", targets="current-primary", every="4s", after="1s"))
    links = FAULTS.load("partition")(spec("partition", between=("replica-2", "primary"), every="2s", after="1100ms"))
    planned = schedule([office, links], FLEET, 1, 8_000 * MS)
    assert [e.targets for e in planned if e.kind == "partition" and not e.skipped] == [(Link("replica-2", "primary"),)] * 2
    assert [e.skipped for e in planned if e.skipped] == ['all it could strike was held by "kill"'] * 2


def test_a_role_that_nobody_can_have_is_an_error_of_the_plan():
    """A typing error is found before the run; sides of a link are named, not elected."""
    with pytest.raises(PlanError, match='no node or role "current-leader"'):
        FAULTS.load("kill")(spec("kill", targets="current-leader")).targets(FLEET)
    with pytest.raises(PlanError, match='no node or role "current-primary"'):
        FAULTS.load("partition")(spec("partition", between=("current-primary", "replicas"))).targets(FLEET)
