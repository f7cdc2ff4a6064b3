"""A plan on a virtual fleet: what ``harness.experiment`` is to real nodes, in virtual time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.candidates.reference import Reference
from harness.errors import InterruptedRunError
from harness.experiment import Experiment, Recording, Watcher, settling_ns
from harness.history import Episode, Status
from harness.simulation.fleet import Fleet
from harness.simulation.play import BEGIN_NS, play


def simulate(experiment: Experiment, watch: Watcher) -> Recording:
    """Carry the experiment out; raises ``InterruptedRunError`` on Ctrl-C."""
    candidate, plan = experiment.candidate, experiment.plan
    assert isinstance(candidate, Reference)  # noqa: S101 - the conductor simulates nothing else
    progress = _Progress(watch, plan.run.duration)
    watch.stage("driving")
    try:
        history = play(
            candidate.design,
            count=candidate.nodes,
            settings=candidate.settings,
            seed=plan.seed,
            workloads=plan.workloads,
            duration_ns=plan.run.duration,
            settle_ns=settling_ns(plan),
            timeout_ns=plan.run.timeout,
            faults=experiment.faults,
            planned=experiment.planned,
            look=progress.look,
        )
    except KeyboardInterrupt:
        raise InterruptedRunError(
            "the run was interrupted before there was anything to judge",
            why="a simulated run is kept in memory until its end",
            fix="run it again; the same seed gives the same run",
        ) from None
    progress.tell(history.episodes)
    return Recording(history)


class _Progress:
    """Tells a watcher of a run that goes on."""

    def __init__(self, watch: Watcher, duration_ns: int) -> None:
        self._watch = watch
        self._duration_ns = duration_ns
        self._counted = 0
        self._told = 0
        self._counts: Counter[int] = Counter()

    def look(self, fleet: Fleet, episodes: Sequence[Episode]) -> None:
        """Tell how many operations have ended, and which episodes are over."""
        self._counts += fleet.rows.tally(self._counted)
        self._counted = len(fleet.rows.ended)
        counts = (self._counts[status] for status in (Status.OK, Status.FAIL, Status.INFO))
        self._watch.counts(fleet.engine.now_ns - BEGIN_NS, self._duration_ns, *counts)
        self.tell(episodes)

    def tell(self, episodes: Sequence[Episode]) -> None:
        """Tell of the episodes that have not been told of."""
        for episode in episodes[self._told :]:
            self._watch.episode(episode)
        self._told = len(episodes)
