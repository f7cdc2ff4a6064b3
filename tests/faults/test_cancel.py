"""The fault that gives operations up: proven by the count of those who did, unproven where nobody did."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic_ns

import pytest

from faults import FAULTS, run_schedule, schedule
from harness import conductor
from harness.history import Episode, Status
from harness.plan import parse_plan
from tests.faults.fake_cluster import FLEET, MS, FakeRuntime, fake_cluster, spec
from tests.watching import Silent


class Impatient:
    """Clients that give up so many operations whenever they are asked how many, while they are told to, and for so long."""

    def __init__(self, pace: int, times: int = 100) -> None:
        self.pace = pace
        self.times = times
        self.count = 3
        self.told: list[tuple[float, list[int]]] = []

    def cancel(self, share: float, nodes: Sequence[int]) -> None:
        self.told.append((share, list(nodes)))

    def cancelled(self) -> int:
        if self.told and self.told[-1][0] and self.times:
            self.times -= 1
            self.count += self.pace
        return self.count


async def episode_of(clients: Impatient | None) -> Episode:
    fault = FAULTS.load("cancel")(spec("cancel", targets=("primary",), share=0.5))
    planned = schedule([fault], FLEET, 1, 30_000 * MS)
    cluster = replace(fake_cluster(FakeRuntime()), clients=clients)
    begin_ns = monotonic_ns()
    (episode,) = await run_schedule(planned, [fault], cluster, lambda: monotonic_ns() - begin_ns, lambda _: None)
    return episode


def test_operations_given_up_are_the_proof():
    """More at the end than at the start; the clients are told to stop at the end."""
    clients = Impatient(2)
    episode = asyncio.run(episode_of(clients))
    assert episode.proven, episode.evidence
    assert clients.told == [(0.5, [0]), (0, [0])]
    assert "at its start: 2 operations for primary were given up in flight" in episode.evidence
    assert "after healing: in all, 4 operations were given up in flight" in episode.evidence


@pytest.mark.parametrize(
    ("clients", "why"), [(Impatient(0), "no operation for primary was given up in flight"), (None, "nobody drives")]
)
def test_without_any_the_episode_is_unproven(clients, why):
    """Nobody sent anything there, or there is nobody."""
    episode = asyncio.run(episode_of(clients))
    assert not episode.proven
    assert any(why in sentence for sentence in episode.evidence)


def test_an_effect_that_stops_is_found_out():
    """What was given up by the start's proof does not prove the end."""
    episode = asyncio.run(episode_of(Impatient(2, times=1)))
    assert not episode.proven
    assert "unproven near its end: no operation for primary was given up in flight after the first 2" in episode.evidence


PLAN = """
    seed = 3
    [candidate]
    kind = "redis-replication"
    replicas = 1
    [[workloads]]
    kind = "register"
    keys = 20
    sessions = 4
    rate = 600
    [[faults]]
    kind = "cancel"
    targets = ["primary"]
    share = 0.3
    every = "9s"
    after = "700ms"
    lasts = "600ms"
    [adequacy]
    operations = 1
    [run]
    duration = "2s"
"""


@pytest.mark.servers
def test_a_run_with_operations_cancelled(tmp_path: Path):
    """They are info, at that node, within the episode; nothing else goes wrong, and every written value can be explained."""
    finished = conductor.run(parse_plan(PLAN), PLAN, tmp_path, Silent())
    history = finished.report.history
    (episode,) = history.episodes
    assert episode.proven, episode.evidence
    info = history.status == Status.INFO
    assert info.sum() >= 5
    assert {history.errors[code] for code in history.error[info]} == {"cancelled"}
    assert {history.nodes[node] for node in history.node[info]} == {"primary"}
    late_ns = 500 * MS  # until the last worker has heard of the end, and before that of the run
    assert (history.call_ns[info] >= episode.intended_ns).all()
    assert (history.call_ns[info] <= episode.healed_ns + late_ns).all()
    assert (history.status[~info] == Status.OK).all()
    assert finished.report.oddities == ()
