"""The fault on messages: proven by what it struck, unproven where nothing matched, and what it does to a run."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic_ns

import pytest

from faults import FAULTS, run_schedule, schedule
from harness import conductor
from harness.errors import PlanError, UnsupportedError
from harness.history import Episode, Function, Status
from harness.plan import parse_plan
from harness.runtimes.messages import Message
from harness.topology import Link, Node, Topology
from tests.faults.fake_cluster import FLEET, MS, FakeRuntime, ToothlessRuntime, fake_cluster, spec
from tests.watching import Silent

PRIMARY = Link("client", "primary")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Targets that never come back are not waited for."""
    monkeypatch.setattr("faults.episode.CONFIRM_NS", 300 * MS)


async def episode_of(runtime: FakeRuntime, **options: object) -> Episode:
    """The one episode of a ``message`` fault on a fake runtime."""
    fault = FAULTS.load("message")(spec("message", **options))
    planned = schedule([fault], FLEET, 1, 30_000 * MS)
    begin_ns = monotonic_ns()
    (episode,) = await run_schedule(planned, [fault], fake_cluster(runtime), lambda: monotonic_ns() - begin_ns, lambda _: None)
    assert runtime.whole
    return episode


def test_where_all_replication_is_dropped_a_canary_proves_it():
    """It crosses before, does not during, and does after; what was dropped is counted."""
    episode = asyncio.run(episode_of(FakeRuntime(), between=("primary", "replica-1"), action="drop", way="backward"))
    assert episode.proven, episode.evidence
    assert episode.means == "proxy"
    evidence = " ".join(episode.evidence)
    for words in (
        "before: a canary crossed replica-1->primary",
        "at its start: no canary crossed",
        "near its end: no canary crossed",
        "after healing: in all, messages dropped (* of *, backward): replica-1->primary 2",
        "after healing: marks crossed",
    ):
        assert words in evidence, words


@pytest.mark.parametrize(
    "choice", [{"nth": 1}, {"every_nth": 2}, {"limit": 1}, {"way": "forward"}, {"key": "user:*"}, {"command": "del"}]
)
def test_a_rule_that_may_let_a_canary_pass_needs_none(choice):
    """It would prove nothing that it crosses."""
    options = {"between": ("primary", "replica-1"), "action": "drop", **choice}
    episode = asyncio.run(episode_of(FakeRuntime(), **options))
    assert "canary" not in " ".join(episode.evidence)


def test_an_episode_without_a_message_that_matches_is_unproven():
    """It is waited for as long as it could come, and the evidence says so."""
    episode = asyncio.run(episode_of(FakeRuntime(), between=("client", "primary"), action="hold", command="set", way="forward"))
    assert episode.applied_ns is not None
    assert not episode.proven
    assert "unproven at its start: no message matched: SET of *, forward" in episode.evidence
    assert episode.healed_ns - episode.applied_ns >= 300 * MS - 60 * MS


def episode_with_reads(times: int, **choice: int) -> Episode:
    """An episode of doubled reads, in which each comes a tenth of a second after the one before, among writes."""
    runtime = FakeRuntime()

    async def scenario() -> Episode:
        options = {"between": ("client", "primary"), "action": "duplicate", "command": "get", "lasts": "500ms", **choice}
        running = asyncio.create_task(episode_of(runtime, **options))
        while PRIMARY not in runtime.rules:  # noqa: ASYNC110  # it can only be asked for
            await asyncio.sleep(0.005)
        for _ in range(times):
            await asyncio.sleep(0.1)
            runtime.send(PRIMARY, Message(b"", "SET"))
            runtime.send(PRIMARY, Message(b"", "GET"))
        return await running

    return asyncio.run(scenario())


def test_a_message_that_comes_late_proves_the_episode():
    """From the time on at which it was struck."""
    episode = episode_with_reads(2)
    assert episode.proven, episode.evidence
    assert episode.proven_ns - episode.applied_ns >= 100 * MS
    assert "near its end: messages doubled (GET of *, both): client->primary 2" in episode.evidence


@pytest.mark.parametrize("choice", [{}, {"every_nth": 2}, {"limit": 2}])
def test_a_rule_that_stops_is_found_out(choice):
    """What was struck by the start's proof does not prove the end, as long as more may be struck."""
    episode = episode_with_reads(1, **choice)
    assert not episode.proven
    assert "unproven near its end: no message matched after the first 1: GET of *, both" in episode.evidence


@pytest.mark.parametrize("choice", [{"nth": 3}, {"limit": 1}])
def test_a_rule_that_has_done_all_it_may_is_not_asked_for_more(choice):
    """The one message that it could strike proves it."""
    episode = episode_with_reads(1, **choice)
    assert episode.proven, episode.evidence
    assert "near its end: messages doubled (GET of *, both): client->primary 1" in episode.evidence


@pytest.mark.parametrize("action", ["drop", "hold"])
def test_a_rule_that_does_nothing_is_found_out(action):
    """A runtime that says that it meddles and does not is unproven, with a canary or without."""
    episode = asyncio.run(episode_of(ToothlessRuntime(), between=("primary", "replica-1"), action=action))
    assert not episode.proven
    assert any("did not bite" in s or "no message matched" in s for s in episode.evidence)


@pytest.mark.docker
def test_messages_among_containers_need_proxies_among_them(tmp_path: Path):
    """A plan that would find its links without proxies is refused before anything starts."""
    text = PLAN.replace("RUNTIME", "docker").replace("node_proxies = true", "")
    with pytest.raises(UnsupportedError, match='"message" needs "messages"') as caught:
        conductor.run(parse_plan(text), text, tmp_path, Silent())
    assert "node_proxies = true" in caught.value.why


def test_a_protocol_that_nobody_can_cut_is_refused():
    """Before anything starts, with the protocols that are known."""
    nodes = (Node(0, "origin", "origin", "http"), Node(1, "cache", "cache", "memcached"))
    fleet = Topology(nodes, (Link("client", "origin"), Link("client", "cache")), (0,), (0, 1))
    assert FAULTS.load("message")(spec("message", between=("client", "cache"), action="drop")).targets(fleet)
    with pytest.raises(PlanError, match="cannot be told apart") as caught:
        FAULTS.load("message")(spec("message", between=("client", "all"), action="drop")).targets(fleet)
    assert "it speaks http; known are resp and memcached" in caught.value.why


PLAN = """
    seed = 3
    [candidate]
    kind = "redis-replication"
    replicas = 1
    read_from = "primary"
    [[workloads]]
    kind = "register"
    keys = 20
    sessions = 4
    rate = 400
    [[faults]]
    kind = "message"
    between = ["client", "primary"]
    action = "drop"
    command = "set"
    way = "backward"
    every_nth = 5
    every = "9s"
    after = "800ms"
    lasts = "700ms"
    [[faults]]
    kind = "message"
    between = ["primary", "replicas"]
    action = "drop"
    command = "set"
    every = "9s"
    after = "700ms"
    lasts = "700ms"
    [adequacy]
    operations = 1
    [run]
    duration = "2s"
    timeout = "200ms"
    runtime = "RUNTIME"
    client_proxies = true
    node_proxies = true
"""


@pytest.mark.parametrize(
    "runtime", [pytest.param("process", marks=pytest.mark.servers), pytest.param("docker", marks=pytest.mark.docker)]
)
def test_a_run_with_messages_lost(runtime: str, tmp_path: Path):
    """Answers to writes are lost: those writes are info, while reads go on, and no connection was reset or refused."""
    text = PLAN.replace("RUNTIME", runtime)
    finished = conductor.run(parse_plan(text), text, tmp_path, Silent())
    history = finished.report.history
    assert len(history.episodes) == 2
    for episode in history.episodes:
        assert episode.proven, episode.evidence
    info = history.status == Status.INFO
    assert info.sum() >= 3
    assert set(history.function[info]) == {Function.WRITE}
    assert not (history.status == Status.FAIL).any()
    assert finished.report.oddities == ()
