"""Faults made by commands, on real servers: each proven by what the server then does, and found out where it does nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from harness.candidates.redis_admin import Admin
from harness.candidates.redis_replication import RedisReplication
from harness.history import Episode
from harness.plan import CandidateSpec, FaultSpec
from harness.runtimes.process import ProcessRuntime
from tests.faults.fake_cluster import MS, spec
from tests.faults.fleets import beats, episodes_of, sentences

pytestmark = pytest.mark.servers

LOSSES = [
    spec("flush", targets="primary"),
    spec("expire-all", targets="primary"),
    spec("evict", targets="primary"),
    spec("evict", targets="primary", policy="noeviction", share=1.0),
]
CLIENTS = [
    spec("client-kill", targets="primary", clients="replica"),
    spec("client-kill", targets="primary"),
    spec("client-pause", targets="primary"),
    spec("client-pause", targets="primary", what="all"),
    spec("output-buffer", targets="primary", clients="normal"),
    spec("output-buffer", targets="primary", clients="pubsub"),
    spec("output-buffer", targets="primary", clients="replica"),
]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers are back from a command at once."""
    monkeypatch.setattr(import_module("faults.schedule"), "REST_NS", 100 * MS)


class Recorded(RedisReplication):
    """A primary and two replicas; says at the end how the primary is set, and whether it takes a write."""

    def __init__(self) -> None:
        super().__init__(CandidateSpec.model_validate({"kind": "redis-replication"}))
        self.settings: dict[str, str] = {}

    async def close(self) -> None:
        admin = super().admin("primary")
        self.settings["a write"] = await admin.call("SET", "k", "v")
        admin.close()
        for name in ("maxmemory", "maxmemory-policy", "client-output-buffer-limit", "repl-backlog-size"):
            admin = super().admin("primary")
            self.settings[name] = (await admin.call("CONFIG", "GET", name))[1]
            admin.close()
        await super().close()


class Deaf(Recorded):
    """Its administrator's words are acknowledged, and change nothing."""

    def admin(self, node: str) -> Admin:
        class DeafAdmin(Admin):
            async def call(self, *words: str, **options: Any) -> Any:
                if words[0] == "EVAL":
                    return [7, 0] if "FLUSHALL" in words[1] else 7
                changes = words[:2] in (("CONFIG", "SET"), ("CLIENT", "KILL"), ("CLIENT", "PAUSE"))
                return "OK" if changes else await super().call(*words, **options)

        return DeafAdmin(super().admin(node).endpoint)


def tried(candidate: Recorded, directory: Path, specs: Sequence[FaultSpec]) -> tuple[Episode, ...]:
    """One episode of each, one after the other."""
    return asyncio.run(episodes_of(ProcessRuntime(directory), candidate, beats(*([s] for s in specs), rest_ms=600)))


def untouched(candidate: Recorded) -> bool:
    """Whether the primary's settings are those that it was started with."""
    limits = "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"
    return (
        candidate.settings["maxmemory"] == "0"
        and candidate.settings["maxmemory-policy"] == "noeviction"
        and (
            candidate.settings["client-output-buffer-limit"] == limits and int(candidate.settings["repl-backlog-size"]) > 1 << 19
        )
    )


def test_what_a_node_holds_is_lost_for_real(tmp_path: Path):
    """A flush, a mass expiry and two shortages of memory: proven by the server's own counts, its settings given back."""
    candidate = Recorded()
    flushed, expired, evicted, refused = episodes = tried(candidate, tmp_path, LOSSES)
    for episode in episodes:
        assert episode.proven, episode.evidence
        assert episode.means == "command"
        assert episode.healed_ns >= episode.intended_end_ns
    assert "held 20" in sentences(flushed, "at its start")
    assert "none after FLUSHALL" in sentences(flushed, "at its start")
    assert "keys of primary have expired" in sentences(expired, "near its end")
    assert "has evicted 0 keys" not in sentences(evicted, "near its end")
    assert "has evicted 0 keys and refused" in sentences(refused, "near its end")
    assert untouched(candidate), candidate.settings


def test_what_holds_clients_loses_them_for_real(tmp_path: Path):
    """Connections are closed, left without an answer, or dropped for being slow: as the server lists them, and as they end."""
    candidate = Recorded()
    episodes = tried(candidate, tmp_path, CLIENTS)
    for episode in episodes:
        assert episode.proven, episode.evidence
    replicas, normal, writes, everything, echo, message, replication = (sentences(e, "at its start") for e in episodes)
    assert "none of 2 replica connections" in replicas
    assert "normal connections of primary is left" in normal
    assert "left PUBLISH without an answer for 100ms, and answered PING" in writes
    assert "left PUBLISH without an answer for 100ms, and PING, too" in everything
    assert "closed 1 of 1 normal" in echo
    assert "closed 1 of 1 pubsub" in message
    assert "of 2 replica connections" in replication
    assert untouched(candidate), candidate.settings


@pytest.mark.parametrize("specs", [LOSSES, CLIENTS], ids=["losses", "clients"])
def test_commands_that_change_nothing_are_found_out(tmp_path: Path, specs: Sequence[FaultSpec]):
    """The same faults at a server that acknowledges and does nothing: none is proven, and each says what it did not see."""
    for episode in tried(Deaf(), tmp_path, specs):
        assert not episode.proven, (episode.kind, episode.evidence)
        assert "did not bite" in sentences(episode, "at its start"), (episode.kind, episode.evidence)


def test_a_replica_that_refuses_to_flush_is_no_flush(tmp_path: Path):
    """The server's own words stand in the evidence."""
    (episode,) = tried(Recorded(), tmp_path, [spec("flush", targets="replicas")])
    assert not episode.proven
    assert episode.applied_ns is None
    assert "READONLY" in sentences(episode, "when applied")


def test_a_pause_that_is_interrupted_is_ended(tmp_path: Path):
    """Ctrl-C in the middle of a long pause leaves a server that answers."""

    candidate = Recorded()

    async def interrupted() -> None:
        proven = asyncio.Event()
        wanted = spec("client-pause", targets="primary", lasts="20s", after="600ms")
        going = episodes_of(ProcessRuntime(tmp_path), candidate, [wanted], lambda e: e.proven and proven.set())
        running = asyncio.create_task(going)
        await proven.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(interrupted())
    assert candidate.settings["a write"] == "OK"
