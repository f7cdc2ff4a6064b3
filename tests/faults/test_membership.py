"""The fault that changes who is in a pool: proven by the operations that went elsewhere, unproven where none did."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from time import monotonic_ns

import pytest

from faults import FAULTS, run_schedule, schedule
from harness import conductor
from harness.errors import PlanError
from harness.history import Episode
from harness.plan import parse_plan
from harness.topology import ROUTED, Link, Node, Topology
from tests.faults.fake_cluster import FLEET, MS, FakeRuntime, fake_cluster, spec
from tests.watching import Silent

POOL = Topology(
    tuple(Node(index, f"cache-{index + 1}", "cache", "memcached", 11_211) for index in range(3)),
    tuple(Link("client", f"cache-{index}") for index in (1, 2, 3)),
    writable=(ROUTED,),
    readable=(ROUTED,),
)


class Drivers:
    """Clients that divert so many operations whenever they are asked how many, while somebody is left out, and for so long."""

    def __init__(self, pace: int, times: int = 100) -> None:
        self.pace = pace
        self.times = times
        self.count = 3
        self.told: list[tuple[tuple[int, ...], bool]] = []

    def leave_out(self, nodes, *, every):
        self.told.append((tuple(nodes), every))

    def diverted(self) -> int:
        if self.told and self.told[-1][0] and self.times:
            self.times -= 1
            self.count += self.pace
        return self.count


async def episode_of(clients: Drivers | None, **options: object) -> Episode:
    fault = FAULTS.load("membership")(spec("membership", targets=("cache-2",), **options))
    planned = schedule([fault], POOL, 1, 30_000 * MS)
    cluster = replace(fake_cluster(FakeRuntime()), clients=clients)
    begin_ns = monotonic_ns()
    (episode,) = await run_schedule(planned, [fault], cluster, lambda: monotonic_ns() - begin_ns, lambda _: None)
    return episode


def test_diverted_operations_are_the_proof():
    """The node is out from the start to the end, for the sessions that were meant."""
    clients = Drivers(2)
    episode = asyncio.run(episode_of(clients, whom="some"))
    assert episode.proven, episode.evidence
    assert clients.told == [((1,), False), ((), False)]
    assert "at its start: 2 operations for cache-2 were sent elsewhere" in episode.evidence


def test_nodes_that_flap_come_and_go_and_are_in_at_the_end():
    """Out and in, in turns."""
    clients = Drivers(2)
    episode = asyncio.run(episode_of(clients, flap="40ms"))
    assert episode.proven, episode.evidence
    assert [nodes for nodes, _ in clients.told[:3]] == [(1,), (), (1,)]
    assert clients.told[-1] == ((), True)


@pytest.mark.parametrize(
    ("clients", "why"), [(Drivers(0), "no operation for cache-2 was sent elsewhere"), (None, "nobody drives")]
)
def test_without_any_the_episode_is_unproven(clients, why):
    """Nobody sent anything there, or there is nobody."""
    episode = asyncio.run(episode_of(clients))
    assert not episode.proven
    assert any(why in words for words in episode.evidence)


def test_an_effect_that_stops_is_found_out():
    """What went elsewhere by the start's proof does not prove the end."""
    episode = asyncio.run(episode_of(Drivers(2, times=1)))
    assert not episode.proven
    assert "unproven near its end: no operation for cache-2 was sent elsewhere after the first 2" in episode.evidence


@pytest.mark.parametrize(
    ("topology", "options", "why"),
    [
        (FLEET, {"targets": ("replicas",)}, "do not decide who is a member"),
        (POOL, {"targets": ("caches",), "at_most": 3}, "nobody would be left"),
    ],
)
def test_what_cannot_be_is_refused(topology, options, why):
    """Clients that are told where to go leave nobody out; and a pool keeps a member."""
    with pytest.raises(PlanError, match=why):
        FAULTS.load("membership")(spec("membership", **options)).targets(topology)


PLAN = """
seed = 5
[candidate]
kind = "memcached-pool"
[contract]
sessions = { monotonic_reads = "any-node" }
[[workloads]]
kind = "register"
keys = 30
sessions = 8
rate = 800
[[faults]]
kind = "membership"
targets = ["caches"]
whom = "some"
every = "5s"
lasts = "1500ms"
after = "700ms"
[run]
duration = "5s"
"""


@pytest.mark.servers
def test_clients_that_disagree_on_the_pool_read_back_in_time(tmp_path: Path):
    """Two nodes serve the same keys while half of the sessions leave one out: sessions see old values."""
    report = conductor.run(parse_plan(PLAN), PLAN, tmp_path, Silent()).report
    (episode,) = report.history.episodes
    assert episode.proven, episode.evidence
    assert any(f.name in {"monotonic-reads", "stale-read"} for result in report.results for f in result.findings)
