"""The correct strategies on real processes: each with sessions at random and a few faults, held to what it promises over sockets.

These are whole runs, as ``anachron run`` makes them, each with a directory of its own, for whoever wants to see why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.conductor import run
from harness.errors import AnachronError, InterruptedRunError
from harness.history import Episode
from harness.plan import parse_plan
from harness.reference.design import Design
from harness.reference.messages import BUS, ORIGIN
from harness.reference.zoo import designs
from harness.results import Outcome

_DRIVING = """\
name = "zoo-{name}"

[candidate]
kind = "reference"
strategy = "{name}"

[[workloads]]
kind = "register"
keys = 30
sessions = 8
rate = 400

[[workloads]]
kind = "cold-register"
sessions = 4
scale = 0.2

[[faults]]
kind = "partition"
between = ["node-1", "{other}"]
every = "60s"
after = "2s"
lasts = "1s"

[[faults]]
kind = "pause"
targets = ["node-2"]
every = "60s"
after = "4s"
lasts = "600ms"
"""
_MANY = """
[[workloads]]
kind = "multi-key"
sessions = 8
rate = 300
"""
_KILL = """
[[faults]]
kind = "kill"
targets = ["node-3"]
every = "60s"
after = "5500ms"
lasts = "600ms"
"""
_RUN = """
[adequacy]
resolution = "2s"
coverage = {coverage}
success_rate = 0.8
stalled = 0.25

[run]
duration = "8s"
runtime = "{runtime}"
"""
_COVERAGE = {"replicas": 0.2}
"""Where values live for a second only: of what is gone, nobody can see whether it was the newest."""
_MOST = 0.75


@dataclass(frozen=True, slots=True)
class Kept:
    """What came of one strategy.

    Attributes:
        strategy: its name.
        outcome: the verdict on its run; None if there was none.
        why: the verdict's reason, or why it could not be run.
        operations: how many there were.
        faults: the kinds of fault that struck it, each proven.
        run: the run's directory; None if there is none.
        tries: how often it was run.
    """

    strategy: str
    outcome: Outcome | None
    why: str
    operations: int = 0
    faults: tuple[str, ...] = ()
    run: Path | None = None
    tries: int = 1

    @property
    def right(self) -> bool:
        """Whether it was driven, struck, and kept its promise."""
        return self.outcome is Outcome.PASS


def keep(names: Sequence[str], runtime: str, root: Path) -> Iterator[Kept]:
    """Run one strategy after the other on ``runtime``; the runs are kept under ``root``. Raises ``InterruptedRunError``.

    A run that shows nothing, for want of time on a busy machine, say, is made once more. A broken promise is never tried again.
    """
    for name in names:
        found = _kept(name, runtime, root)
        if found.outcome in (None, Outcome.INCONCLUSIVE):
            found = replace(_kept(name, runtime, root), tries=2)
        yield found


def _kept(name: str, runtime: str, root: Path) -> Kept:
    text = plan_text(designs()[name], runtime)
    try:
        finished = run(parse_plan(text), text, root, Unwatched())
    except InterruptedRunError:
        raise
    except AnachronError as error:
        return Kept(name, None, str(error))
    report = finished.report
    if not (report.history.complete or report.failure):
        raise InterruptedRunError("the zoo was interrupted", where=str(finished.directory.path))
    return Kept(
        name,
        None if report.failure else report.verdict.outcome,
        report.failure or report.verdict.why,
        len(report.history),
        tuple(episode.kind for episode in report.history.episodes if episode.proven),
        finished.directory.path,
    )


def plan_text(design: Design, runtime: str) -> str:
    """The plan by which ``design`` is tried: a node is cut off from what tells it of writes, one stops, and one is killed.

    A process that dies loses its disk with its memory; so nodes that are the source of truth themselves are not killed.
    """
    heard_from = (BUS,) if design.bus else ("node",) if design.talks else design.stores if design.store else (ORIGIN,)
    many = _MANY if design.promise(design.settings, 0).atomic_reads else ""
    text = f"{_DRIVING}{many}{_KILL if design.origin else ''}{_RUN}"
    coverage = _COVERAGE.get(design.name, _MOST)
    return text.format(name=design.name, other=heard_from[0], coverage=coverage, runtime=runtime)


class Unwatched:
    """Nobody looks on; see ``harness.experiment.Watcher``."""

    def stage(self, words: str) -> None:
        """Say nothing."""

    def counts(self, elapsed_ns: int, duration_ns: int, ok: int, fail: int, info: int) -> None:
        """Say nothing."""

    def episode(self, episode: Episode) -> None:
        """Say nothing."""
