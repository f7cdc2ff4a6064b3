"""The schedule, held against its definition."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faults import schedule as schedule_faults
from faults.pause import Pause
from faults.schedule import REST_NS, PlannedEpisode
from harness.errors import PlanError
from harness.plan import FaultSpec
from harness.topology import Link, Node, Topology
from tests.faults.fake_cluster import FLEET, MS

NODES = FLEET.nodes
LINKS = FLEET.links[:2]

durations = st.integers(1, 50).map(lambda tenths: tenths * 100)


@st.composite
def faults(draw: st.DrawFn) -> tuple[FaultSpec, tuple[Node, ...] | tuple[Link, ...]]:
    """A fault that a plan may hold, and what it may strike."""
    lasts, jitter = draw(durations), draw(st.integers(0, 300))
    every = lasts + 2 * jitter + draw(st.integers(1, 5000))
    targets = draw(st.sampled_from([NODES, NODES[:1], NODES[1:], LINKS, LINKS[:1]]))
    options = {"at_most": draw(st.integers(1, 4))} if draw(st.booleans()) else {}
    if draw(st.booleans()):
        options["after"] = f"{draw(st.integers(0, 5000))}ms"
    return FaultSpec.model_validate(
        {"kind": "pause", "every": f"{every}ms", "lasts": f"{lasts}ms", "jitter": f"{jitter}ms", **options}
    ), targets


class Striking(Pause):
    """A fault with given targets."""

    def __init__(self, spec: FaultSpec, targets: tuple[Node, ...] | tuple[Link, ...]) -> None:
        self.spec = spec
        self._targets = targets

    def targets(self, _: Topology) -> tuple[Node, ...] | tuple[Link, ...]:
        return self._targets


def schedule(specs, targets, seed: int, duration_ns: int) -> tuple[PlannedEpisode, ...]:
    """The schedule of faults with these specs and targets."""
    return schedule_faults(list(map(Striking, specs, targets)), FLEET, seed, duration_ns)


plans = st.lists(faults(), min_size=1, max_size=3)


def planned_or_refused(plan, seed: int, duration_ns: int) -> tuple[PlannedEpisode, ...]:
    """The schedule; nothing where the plan is refused, as one in which a fault is never free to strike has to be."""
    try:
        return schedule([spec for spec, _ in plan], [targets for _, targets in plan], seed, duration_ns)
    except PlanError:
        return ()


def ends_of(episode: PlannedEpisode) -> set[str]:
    """Every node that an episode touches."""
    return {name for t in episode.targets for name in ((t.name,) if isinstance(t, Node) else (t.source, t.target))}


@given(plans, st.integers(0, 2**32), st.integers(0, 60_000))
def test_episodes_keep_their_beat_and_end_within_the_run(plan, seed, duration_ms):
    """Each episode lasts what the plan says, starts within its jitter, and none that fits is missing."""
    planned = planned_or_refused(plan, seed, duration_ms * MS)
    for index, (spec, targets) in enumerate(plan):
        own = [e for e in planned if e.fault == index]
        first = spec.every if spec.after is None else spec.after
        for e in own:
            assert 0 <= e.intended_ns < e.intended_end_ns <= duration_ms * MS
            assert e.intended_end_ns - e.intended_ns == spec.lasts
            beat = round((e.intended_ns - first) / spec.every)
            assert abs(e.intended_ns - (first + beat * spec.every)) <= spec.jitter
            assert len(e.targets) <= (spec.at_most or len(targets))
            assert set(e.targets) <= set(targets)
            assert bool(e.targets) != bool(e.skipped)
        certain = sum(first + n * spec.every + spec.jitter + spec.lasts <= duration_ms * MS for n in range(700))
        assert not planned or len(own) >= certain
        assert all(a.intended_end_ns < b.intended_ns for a, b in combinations(own, 2))


@given(plans, st.integers(0, 2**32))
def test_what_one_fault_holds_no_other_strikes(plan, seed):
    """Where different faults overlap or follow at once, none strikes the other's node, its links, or the same link."""
    planned = planned_or_refused(plan, seed, 40_000 * MS)
    for one, other in combinations(planned, 2):
        if one.fault == other.fault or other.intended_ns >= one.intended_end_ns + REST_NS:
            continue
        assert not set(one.targets) & set(other.targets)
        struck = {t.name for e in (one, other) for t in e.targets if isinstance(t, Node)}
        assert not struck & ends_of(one) & ends_of(other)


@given(plans, st.integers(0, 2**32))
def test_an_episode_is_left_out_only_where_everything_is_held(plan, seed):
    """A skipped episode had no free target, by a reading of the rule target by target."""
    planned = planned_or_refused(plan, seed, 40_000 * MS)
    for episode in (e for e in planned if e.skipped):
        holders = [
            e
            for e in planned
            if e.fault != episode.fault and e.intended_ns <= episode.intended_ns < e.intended_end_ns + REST_NS and e.targets
        ]
        for target in plan[episode.fault][1]:
            alone = PlannedEpisode(0, "", (target,), 0, 0)
            struck = {t.name for e in (*holders, alone) for t in e.targets if isinstance(t, Node)}
            assert any(target in e.targets or struck & ends_of(e) & ends_of(alone) for e in holders)


@given(plans, st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_schedule(plan, seed):
    """Nothing but the plan and the seed decides."""
    assert planned_or_refused(plan, seed, 30_000 * MS) == planned_or_refused(plan, seed, 30_000 * MS)


def pause(**options: object) -> FaultSpec:
    return FaultSpec.model_validate({"kind": "pause", "every": "10s", "lasts": "1s", **options})


def test_another_seed_gives_other_times_and_targets():
    """The seed moves what is left to chance."""
    spec = pause(jitter="2s")
    schedules = {schedule([spec], [NODES], seed, 100_000 * MS) for seed in range(5)}
    assert len(schedules) == 5
    assert len({e.targets for planned in schedules for e in planned}) == 3


def test_all_links_or_one_node_unless_told():
    """Without at_most a cut is a whole cut, and a kill is one death."""
    assert schedule([pause()], [LINKS], 1, 11_000 * MS)[0].targets == LINKS
    assert len(schedule([pause()], [NODES], 1, 11_000 * MS)[0].targets) == 1
    assert len(schedule([pause(at_most=1)], [LINKS], 1, 11_000 * MS)[0].targets) == 1
    assert schedule([pause(at_most=9)], [NODES], 1, 11_000 * MS)[0].targets == NODES


def test_a_run_that_is_too_short_plans_nothing():
    """Two seconds are over before anything has gone wrong."""
    assert schedule([pause()], [NODES], 1, 2_000 * MS) == ()


def test_faults_on_different_links_of_a_node_may_overlap():
    """One replica is cut off while the other one's link is slow."""
    planned = schedule([pause(), pause()], [LINKS[:1], LINKS[1:]], 1, 11_000 * MS)
    assert [e.targets for e in planned] == [LINKS[:1], LINKS[1:]]


def test_a_fault_that_is_never_free_to_strike_is_an_error_of_the_plan():
    """Two faults at the same beat on the same node: the second would silently never happen."""
    with pytest.raises(PlanError, match="never finds a free target") as caught:
        schedule([pause(), pause()], [NODES[:1], NODES[:1]], 1, 60_000 * MS)
    assert '"pause"' in caught.value.why


def test_an_episode_that_cannot_be_proven_twice_is_an_error_of_the_plan():
    """A millisecond of partition is nothing that could be observed."""
    with pytest.raises(PlanError, match="too short to be proven"):
        schedule([pause(every="10ms", lasts="1ms")], [NODES], 1, 60_000 * MS)
