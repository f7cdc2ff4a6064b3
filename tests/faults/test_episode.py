"""Episodes on a fake cluster: proven where the effect is there, unproven where it is not, healed whatever happens."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from time import monotonic_ns

import pytest

from faults import FAULTS, run_schedule
from faults.schedule import PlannedEpisode, schedule
from harness.candidates.probes import IdleLinkError
from harness.errors import HarnessError, StorageError
from harness.history import Episode
from harness.runtimes.base import Way
from tests.faults.fake_cluster import FLEET, MS, FakeProbe, FakeRuntime, ToothlessRuntime, fake_cluster, spec

SPECS = {
    "partition": spec("partition", between=("primary", "replicas")),
    "delay": spec("delay", between=("primary", "replicas"), delay="8ms"),
    "pause": spec("pause", targets=("replicas",)),
    "kill": spec("kill", targets=("primary",), keep_data=False),
}
KINDS = list(SPECS)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Targets that never come back are not waited for."""
    monkeypatch.setattr("faults.episode.CONFIRM_NS", 300 * MS)


class Run:
    """One schedule on one fake runtime, and what was told of it."""

    def __init__(self, runtime: FakeRuntime, *specs) -> None:
        self.cluster = fake_cluster(runtime)
        self.faults = [FAULTS.load(s.kind)(s) for s in specs]
        self.planned = schedule(self.faults, FLEET, 1, 30_000 * MS)
        self.told: list[Episode] = []
        self.begin_ns = monotonic_ns()

    def clock(self) -> int:
        return monotonic_ns() - self.begin_ns

    def hear(self, episode: Episode) -> None:
        self.told.append(episode)

    async def go(self) -> tuple[Episode, ...]:
        try:
            return await run_schedule(self.planned, self.faults, self.cluster, self.clock, self.hear)
        finally:
            assert self.cluster.candidate.open_probes == 0


async def until_broken(runtime: FakeRuntime) -> None:
    """Return when a fault is on."""
    for _ in range(1000):
        if not runtime.whole:
            return
        await asyncio.sleep(0.005)
    raise AssertionError("no fault began")


@pytest.mark.parametrize("kind", KINDS)
def test_an_episode_that_bites_is_proven_and_healed(kind):
    """All four times are there, in order, with evidence from before, its start, near its end and after healing."""
    runtime = FakeRuntime()
    run = Run(runtime, SPECS[kind])
    (episode,) = asyncio.run(run.go())
    assert episode.kind == kind
    assert episode.intended_ns <= episode.applied_ns <= episode.proven_ns < episode.healed_ns
    assert episode.intended_end_ns <= episode.healed_ns
    for step in ("before: ", "at its start: ", "near its end: ", "after healing: "):
        assert any(sentence.startswith(step) for sentence in episode.evidence), step
    assert runtime.whole
    assert run.told[-1] == episode
    assert episode.means == ("pretence" if kind in ("partition", "delay") else "signal")


@pytest.mark.parametrize("kind", KINDS)
def test_an_episode_that_does_nothing_is_unproven(kind):
    """A runtime that says that it struck and did not is found out, and the evidence says by what."""
    (episode,) = asyncio.run(Run(ToothlessRuntime(), SPECS[kind]).go())
    assert episode.applied_ns is not None
    assert not episode.proven
    assert any(s.startswith("unproven at its start: ") and "did not bite" in s for s in episode.evidence)


def test_an_episode_that_wears_off_is_unproven():
    """An effect at the start only is not what the plan wanted; nobody knows when it ended."""

    class Brief(Run):
        def hear(self, episode: Episode) -> None:
            super().hear(episode)
            if episode.proven:
                self.cluster.runtime.cuts.clear()

    run = Brief(FakeRuntime(), SPECS["partition"])
    (episode,) = asyncio.run(run.go())
    assert any(told.proven for told in run.told)
    assert not episode.proven
    assert any(s.startswith("unproven near its end: the cut did not bite") for s in episode.evidence)


@pytest.mark.parametrize(("idle_after", "proven"), [(3 + 1, True), (3, False)], ids=["after the first proof", "before any"])
def test_a_cut_on_which_nothing_runs_any_more_is_proven_by_its_beginning(monkeypatch, idle_after, proven):
    """Roles may change while a link is cut; a link on which nothing ran from the start of the cut proves nothing."""
    carry, asked = FakeProbe.carry, Counter()

    async def until_idle(probe: FakeProbe, within_ns: int, way: Way = Way.BOTH) -> int | None:
        asked[probe.link] += 1
        if asked[probe.link] > idle_after:
            raise IdleLinkError("nothing runs here any more")
        return await carry(probe, within_ns, way)

    monkeypatch.setattr(FakeProbe, "carry", until_idle)
    (episode,) = asyncio.run(Run(FakeRuntime(), SPECS["partition"]).go())
    assert episode.proven is proven
    assert any("nothing runs here any more" in sentence for sentence in episode.evidence)


def test_the_evidence_says_whom_clients_still_reach():
    """Who is cut off together with whom is what a reader asks first, and clients are on a side, too."""
    split = spec("partition", between=(("client", "primary"), ("replicas",)))
    (episode,) = asyncio.run(Run(FakeRuntime(), split).go())
    assert episode.proven
    assert any(s.endswith("the islands: primary | replica-1 | replica-2; clients reach primary") for s in episode.evidence)
    (episode,) = asyncio.run(Run(FakeRuntime(), SPECS["partition"]).go())
    assert not any("clients" in sentence for sentence in episode.evidence)


def test_silence_before_the_cut_proves_nothing_during_it():
    """A link that carried no mark before is no witness."""
    runtime = FakeRuntime()
    runtime.cuts = set(FLEET.links)
    (episode,) = asyncio.run(Run(runtime, SPECS["partition"]).go())
    assert episode.applied_ns is not None
    assert episode.healed_ns is not None
    assert not episode.proven
    assert episode.evidence[0].startswith("unproven before: no mark crossed")


def test_a_target_on_its_way_back_is_waited_for():
    """What an earlier fault left behind may take until just before the episode begins."""
    runtime = FakeRuntime()

    async def late() -> tuple[Episode, ...]:
        runtime.cuts = set(FLEET.links)
        asyncio.get_running_loop().call_later(0.15, runtime.cuts.clear)
        late_spec = spec("partition", between=("primary", "replicas"), after="500ms")
        return await Run(runtime, late_spec).go()

    assert asyncio.run(late())[0].proven


def test_a_node_that_died_by_itself_does_not_prove_a_cut():
    """No mark arrives from the dead; the silence says nothing about the link."""

    class Fatal(ToothlessRuntime):
        async def cut(self, *_) -> None:
            self.states["replica-1"] = ""

    (episode,) = asyncio.run(Run(Fatal(), SPECS["partition"]).go())
    assert not episode.proven
    assert any("unproven at its start: an end of replica-1->primary is gone" in s for s in episode.evidence)


def test_a_dead_end_beside_a_silent_link_is_one_unproven_episode():
    """While one mark fails at once and another is still under way, no further mark is sent on the same connection."""
    runtime = FakeRuntime()
    runtime.states["replica-2"] = ""
    runtime.cuts = set(FLEET.links)
    (episode,) = asyncio.run(Run(runtime, SPECS["partition"]).go())
    assert episode.evidence[0] == "unproven before: an end of replica-2->primary is gone"
    assert episode.healed_ns is not None


def test_a_node_that_comes_back_as_who_it_was_did_not_die():
    """The same identity after a kill makes the episode unproven, whatever was seen before."""
    run = Run(FakeRuntime(), SPECS["kill"])

    async def same(node: str) -> str:
        if not run.cluster.runtime.states[node]:
            raise ConnectionRefusedError
        return "the same as ever"

    run.cluster.candidate.identity = same
    (episode,) = asyncio.run(run.go())
    assert not episode.proven
    assert "unproven after healing: primary says that it is still the same as ever" in episode.evidence


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cancels", [1, 3])
def test_cancellation_heals_first(kind, cancels):
    """Ctrl-C, pressed once or several times, ends an episode early: healed, told, then over."""
    runtime = FakeRuntime()
    run = Run(runtime, SPECS[kind].model_copy(update={"lasts": 20_000 * MS}))

    async def interrupted() -> None:
        task = asyncio.create_task(run.go())
        await until_broken(runtime)
        for _ in range(cancels):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert runtime.whole

    asyncio.run(interrupted())
    assert run.told[-1].healed_ns is not None
    assert run.told[-1].healed_ns < run.told[-1].intended_end_ns


def test_a_slow_heal_is_not_interrupted_by_cancellation():
    """However impatient the user is, what is being mended is mended."""

    class Slow(FakeRuntime):
        async def mend(self, links) -> None:
            await asyncio.sleep(0.1)
            await super().mend(links)

    runtime = Slow()

    async def interrupted() -> None:
        task = asyncio.create_task(Run(runtime, SPECS["partition"]).go())
        await until_broken(runtime)
        while not task.done():
            task.cancel()
            await asyncio.sleep(0.01)
        assert task.cancelled()

    asyncio.run(interrupted())
    assert runtime.whole


def test_cancellation_before_the_time_strikes_nothing():
    """An episode that has not begun is not begun, and not spoken of."""
    runtime = FakeRuntime()
    run = Run(runtime, spec("kill", targets=("primary",), after="700ms"))

    async def interrupted() -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(run.go(), 0.05)

    asyncio.run(interrupted())
    assert runtime.done == []
    assert run.told == []


def test_what_cannot_be_applied_is_unproven_and_healed():
    """A runtime that fails half-way is mended, and the episode says what it said."""

    class Failing(FakeRuntime):
        async def cut(self, links, *rest) -> None:
            await super().cut(links[:1], *rest)
            raise HarnessError("the proxy is gone")

    runtime = Failing()
    (episode,) = asyncio.run(Run(runtime, SPECS["partition"]).go())
    assert episode.applied_ns is None
    assert not episode.proven
    assert "unproven when applied: the proxy is gone" in episode.evidence
    assert runtime.whole


def test_what_cannot_be_healed_is_said():
    """No time of healing is invented."""

    class Broken(FakeRuntime):
        async def mend(self, _) -> None:
            raise HarnessError("the proxy is gone")

    (episode,) = asyncio.run(Run(Broken(), SPECS["partition"]).go())
    assert episode.proven
    assert episode.healed_ns is None
    assert "when healed: the proxy is gone" in episode.evidence


def test_a_watcher_that_fails_ends_the_run_healed():
    """A full disk under the log of episodes stops the run with its own error, and nothing stays broken."""
    runtime = FakeRuntime()
    run = Run(runtime, SPECS["pause"])

    def full(episode: Episode) -> None:
        raise StorageError(f"no space for {episode.kind}")

    async def watched() -> None:
        await run_schedule(run.planned, run.faults, run.cluster, run.clock, full)

    with pytest.raises(StorageError, match="no space for pause"):
        asyncio.run(watched())
    assert runtime.whole


def test_episodes_of_different_faults_overlap():
    """Two faults on different targets go on side by side."""
    links = spec("partition", between=("primary", "replica-1"))
    node = spec("pause", targets=("replica-2",))
    one, other = asyncio.run(Run(FakeRuntime(), links, node).go())
    assert one.proven
    assert other.proven
    assert one.applied_ns < other.healed_ns
    assert other.applied_ns < one.healed_ns


def test_skipped_episodes_are_not_carried_out():
    """What the schedule left out stays out."""
    run = Run(FakeRuntime(), SPECS["pause"])
    run.planned = (PlannedEpisode(0, "pause", (), 0, 200 * MS, skipped="all it could strike was held"),)
    assert asyncio.run(run.go()) == ()
    assert run.cluster.runtime.done == []


def test_options_reach_the_runtime():
    """How and which way to cut, how long to delay, what to keep."""
    for wanted, done in (
        (spec("partition", between=("primary", "replicas"), how="refuse"), "cut refuse both"),
        (spec("partition", between=("primary", "replicas"), way="backward"), "cut black-hole backward"),
        (spec("delay", between=("primary", "replicas"), delay="6ms", jitter_by="1ms"), "delay 6000000 1000000"),
        (SPECS["kill"], "restart primary without data"),
        (spec("kill", targets=("primary",)), "restart primary with data"),
    ):
        run = Run(FakeRuntime(), wanted)
        asyncio.run(run.go())
        assert done in run.cluster.runtime.done
