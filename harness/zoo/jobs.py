"""What there is to do in the zoo: small runs that depend on nothing but their names, so that any process can do any of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.durations import UNITS
from harness.errors import AnachronError
from harness.reference.bug import COLD, HOT, MANY
from harness.reference.zoo import all_bugs, designs
from harness.simulation.fleet import PACE
from harness.zoo import trials
from harness.zoo.scenarios import scenarios
from harness.zoo.trials import Trial

DRAWN_NS = 8 * UNITS["s"]
"""How long a random run of a bug is driven, in virtual time."""
ENDURED_NS = 3 * UNITS["s"]
"""How long a correct design is driven in one scenario: one episode of its fault, and quiet before and after."""
LEAST_DRAWN = 10
"""So many random runs of a bug at least: a rate out of fewer says little."""
_NODES = 3


@dataclass(frozen=True, slots=True)
class Forced:
    """The schedule of a bug, on the broken design or on the correct one."""

    bug: str
    correct: bool


@dataclass(frozen=True, slots=True)
class Drawn:
    """A random run under one of a bug's workloads, by index, and its faults: of the broken design, or of the correct one."""

    bug: str
    workload: int
    seed: int
    correct: bool = False


@dataclass(frozen=True, slots=True)
class Endured:
    """A run of a correct design in one scenario."""

    design: str
    scenario: str
    seed: int


Job = Forced | Drawn | Endured


@dataclass(frozen=True, slots=True)
class Answer:
    """What came out of a job.

    Attributes:
        job: which one.
        broken: the names of the findings that broke the contract.
        claim: what the most telling of them says; empty if there is none.
        error: why the run could not be made; empty if it could.
    """

    job: Job
    broken: frozenset[str] = frozenset()
    claim: str = ""
    error: str = ""


def all_jobs(seeds: int, bug: str = "") -> Iterator[Job]:
    """Everything, or all that there is to do for one bug.

    Args:
        seeds: so many runs of each correct design in each scenario, and of each bug under each of its workloads, ``LEAST_DRAWN``
            of these at least; a third as many of the correct design under those.
        bug: its name; empty for all bugs and all correct designs.
    """
    for name in [bug] if bug else all_bugs():
        yield Forced(name, correct=False)
        yield Forced(name, correct=True)
        for workload in range(len(all_bugs()[name].workloads)):
            yield from (Drawn(name, workload, seed) for seed in range(max(seeds, LEAST_DRAWN)))
            yield from (Drawn(name, workload, seed, correct=True) for seed in range(max(seeds // 3, 1)))
    if not bug:
        for name, design in designs().items():
            yield from (Endured(name, scenario, seed) for scenario in scenarios(design) for seed in range(seeds))


def do(job: Job) -> Answer:
    """Do it. What goes wrong with the run itself is part of the answer: one that cannot be made must not hide the others."""
    try:
        trial = _trial(job)
    except AnachronError as error:
        return Answer(job, error=str(error))
    except Exception as error:  # noqa: BLE001 - code of one strategy out of many; the zoo has failed then, and says where
        return Answer(job, error=f"{type(error).__name__}: {error}")
    return Answer(job, trial.broken, trial.findings[0].claim if trial.findings else "")


def _trial(job: Job) -> Trial:
    match job:
        case Forced(name, correct):
            bug = all_bugs()[name]
            return trials.forced(bug, bug.correct if correct else bug.broken)
        case Drawn(name, workload, seed, correct):
            bug = all_bugs()[name]
            return trials.random(
                bug.correct if correct else bug.broken,
                bug.correct.promise(bug.correct.settings, PACE.most_ns),
                seed=seed,
                nodes=bug.nodes,
                workloads=[bug.workloads[workload]],
                faults=bug.faults,
                duration_ns=DRAWN_NS,
            )
        case Endured(name, scenario, seed):
            design = designs()[name]
            contract = design.promise(design.settings, PACE.most_ns)
            return trials.random(
                design,
                contract,
                seed=seed,
                nodes=_NODES,
                workloads=(HOT, COLD, MANY) if contract.atomic_reads else (HOT, COLD),
                faults=scenarios(design)[scenario],
                duration_ns=ENDURED_NS,
            )
