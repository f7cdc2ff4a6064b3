"""Links of other kinds: on which nothing runs, or only at times of its own."""

from __future__ import annotations

import asyncio
from time import monotonic_ns

import pytest

from faults import FAULTS, run_schedule, schedule
from harness.candidates import Cluster
from harness.candidates.probes import IdleLinkError
from harness.history import Episode
from harness.plan import FaultSpec
from harness.topology import Link
from tests.faults.fake_cluster import FLEET, MS, FakeCandidate, FakeProbe, FakeRuntime, spec


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Targets that never come back are not waited for."""
    monkeypatch.setattr("faults.episode.CONFIRM_NS", 300 * MS)


def run(candidate: FakeCandidate, one: FaultSpec) -> Episode:
    """One episode of a fault."""

    async def scenario() -> Episode:
        fault = FAULTS.load(one.kind)(one)
        planned = schedule([fault], FLEET, 1, 30_000 * MS)
        begin_ns = monotonic_ns()
        cluster = Cluster(candidate, candidate.runtime)
        (episode,) = await run_schedule(planned, [fault], cluster, lambda: monotonic_ns() - begin_ns, lambda _: None)
        assert candidate.open_probes == 0
        return episode

    return asyncio.run(scenario())


class OtherProbe(FakeProbe):
    """From replica-1, marks go at times of their own; from replica-2, nothing runs any more once the link is cut."""

    def __init__(self, candidate: FakeCandidate, link: Link) -> None:
        super().__init__(candidate, link)
        if link.source == "replica-1":
            self.coarse_ns = 200 * MS

    async def _carry(self, within_ns: int) -> int | None:
        if self.link.source == "replica-2" and self.link in self.candidate.runtime.cuts:
            raise IdleLinkError("it has been given another role")
        return await super()._carry(within_ns)


class OtherCandidate(FakeCandidate):
    """On the links of clients nothing runs at all."""

    async def probe(self, link: Link) -> FakeProbe:
        if link.source == "client":
            raise IdleLinkError("nobody is there")
        self.open_probes += 1
        return OtherProbe(self, link)


def test_a_link_on_which_nothing_runs_needs_no_mark():
    """It is left out where others show the cut: one on which nothing ran before, and one on which nothing runs any more."""
    between = (("client", "replicas"), "primary")
    episode = run(OtherCandidate(FakeRuntime()), spec("partition", between=between))
    assert episode.proven, episode.evidence
    assert episode.targets == ("replica-1->primary", "replica-2->primary", "client->primary")
    assert any("no mark crossed replica-1->primary within" in sentence for sentence in episode.evidence)


@pytest.mark.parametrize(("side", "why"), [("client", "nobody is there"), ("replica-2", "another role")])
def test_where_nothing_runs_nothing_is_proven(side: str, why: str):
    """Neither where nothing ran, nor where it has ended for another reason."""
    episode = run(OtherCandidate(FakeRuntime()), spec("partition", between=(side, "primary")))
    assert not episode.proven
    assert why in " ".join(episode.evidence)


def test_a_delay_of_what_goes_at_its_own_times_is_not_proven():
    """Its marks tell that the link carries, but not how fast."""
    episode = run(OtherCandidate(FakeRuntime()), spec("delay", between=("replica-1", "primary"), delay="8ms"))
    assert not episode.proven
    assert any("how fast replica-1->primary is cannot be told" in sentence for sentence in episode.evidence)
