"""The zoo's matrix: what each bug and each correct design came to, and what of it should not have been. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from checkers import CHECKERS
from checkers.statistics import wilson
from harness.findings import FINDINGS
from harness.reference.bug import Bug
from harness.zoo.jobs import Answer, Drawn, Endured, Forced
from reports.words import plural


@dataclass(frozen=True, slots=True)
class Rate:
    """In how many random runs a bug was detected.

    Attributes:
        workload: under which workload, by its kind.
        detected: so many runs broke the contract by a finding that the bug explains.
        n: of so many.
        findings: in how many runs each finding broke the contract.
    """

    workload: str
    detected: int
    n: int
    findings: Mapping[str, int]

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval of the share, at 95 %."""
        return wilson(self.detected, self.n)


@dataclass(frozen=True, slots=True)
class Failure:
    """A correct design that broke its promise.

    Attributes:
        scenario: in which scenario, or under which bug's workload.
        seed: of the run.
        broken: the names of the findings.
        claim: what the most telling of them says.
    """

    scenario: str
    seed: int
    broken: frozenset[str]
    claim: str


@dataclass(frozen=True, slots=True)
class BugRow:
    """What one bug came to.

    Attributes:
        bug: the bug.
        broken: what its forced schedule broke on the broken design.
        claim: the most telling of that.
        spared: what the same schedule broke on the correct design: nothing, if all is well.
        rates: its random runs, by workload.
        failures: the same random runs of the correct design in which that broke its promise.
        errors: why runs could not be made.
    """

    bug: Bug
    broken: frozenset[str]
    claim: str
    spared: frozenset[str]
    rates: tuple[Rate, ...]
    failures: tuple[Failure, ...] = ()
    errors: tuple[str, ...] = ()

    @property
    def missed(self) -> frozenset[str]:
        """What should have fired and did not."""
        return self.bug.fires - self.broken

    @property
    def unexpected(self) -> frozenset[str]:
        """What fired although the bug does not explain it."""
        return self.broken - self.bug.fires - self.bug.consequences

    @property
    def complaints(self) -> Iterator[str]:
        """What should not have been, a sentence each."""
        name = self.bug.full_name
        if self.missed and not self.errors:
            yield f"{name}: missed: its schedule did not bring out {_listed(self.missed)}"
        if self.unexpected:
            yield f"{name}: false alarm: its schedule brought out {_listed(self.unexpected)}, which the bug does not explain"
        if self.spared:
            yield f"{name}: false alarm: its schedule brought out {_listed(self.spared)} on the correct {self.bug.correct.name}"
        yield from (_false_alarm(self.bug.correct.name, failure) for failure in self.failures)


@dataclass(frozen=True, slots=True)
class DesignRow:
    """What one correct design came to in all scenarios.

    Attributes:
        name: the design's.
        scenarios: how many there were.
        runs: how many runs they took.
        failures: the runs in which it broke its promise.
        errors: why runs could not be made.
    """

    name: str
    scenarios: int
    runs: int
    failures: tuple[Failure, ...]
    errors: tuple[str, ...] = ()

    @property
    def complaints(self) -> Iterator[str]:
        """What should not have been, a sentence each."""
        return (_false_alarm(self.name, failure) for failure in self.failures)


@dataclass(frozen=True, slots=True)
class Matrix:
    """All of it.

    Attributes:
        bugs: in the order of the catalogue.
        designs: the correct ones.
        needed: by checker, the bugs that nobody would catch without it.
    """

    bugs: tuple[BugRow, ...]
    designs: tuple[DesignRow, ...]
    needed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def complaints(self) -> tuple[str, ...]:
        """Every miss and every false alarm."""
        return tuple(complaint for row in self._rows for complaint in row.complaints)

    @property
    def errors(self) -> tuple[str, ...]:
        """Why runs could not be made."""
        return tuple(error for row in self._rows for error in row.errors)

    @property
    def answer(self) -> str:
        """``pass``, ``violated`` where there was a miss or a false alarm, ``error`` where a run could not be made."""
        if self.complaints:
            return "violated"
        return "error" if self.errors else "pass"

    @property
    def headline(self) -> str:
        """What came of it, in a sentence or two."""
        runs = sum(row.runs for row in self.designs)
        caught = sum(1 for row in self.bugs if not row.missed and not row.errors)
        bugs = f"{caught} of {plural(len(self.bugs), 'bug')} caught by their schedules"
        clean = f"; {len(self.designs)} correct strategies in {plural(runs, 'run')}" if self.designs else ""
        return f"{bugs}{clean}; {plural(len(self.complaints), 'complaint')}, {plural(len(self.errors), 'error')}."

    @property
    def holds(self) -> bool:
        """Whether every bug was caught and nothing else was complained of."""
        return not self.complaints and not self.errors

    @property
    def workloads(self) -> tuple[str, ...]:
        """The kinds of workload that bugs were run under at random."""
        return tuple(dict.fromkeys(rate.workload for row in self.bugs for rate in row.rates))

    @property
    def _rows(self) -> tuple[BugRow | DesignRow, ...]:
        return (*self.bugs, *self.designs)


def matrix_of(answers: Iterable[Answer], bugs: Mapping[str, Bug]) -> Matrix:
    """The matrix of ``answers``, in whatever order they came."""
    of_bugs: dict[str, list[Answer]] = {}
    of_designs: dict[str, list[Answer]] = {}
    for answer in answers:
        if isinstance(answer.job, Endured):
            of_designs.setdefault(answer.job.design, []).append(answer)
        else:
            of_bugs.setdefault(answer.job.bug, []).append(answer)
    rows = tuple(_bug_row(bug, of_bugs[name]) for name, bug in bugs.items() if name in of_bugs)
    return Matrix(
        bugs=rows,
        designs=tuple(_design_row(name, of_designs[name]) for name in sorted(of_designs)),
        needed=checkers_needed(row.bug for row in rows),
    )


def checkers_needed(bugs: Iterable[Bug]) -> Mapping[str, tuple[str, ...]]:
    """By checker, the bugs of which something would be missed without it. Checkers that only measure are left out."""
    finders = {finding.checker for finding in FINDINGS.values()}
    needed: dict[str, list[str]] = {name: [] for name in CHECKERS.names if name in finders}
    for bug in bugs:
        for checker in {FINDINGS[name].checker for name in bug.fires}:
            needed[checker].append(bug.name)
    return {checker: tuple(names) for checker, names in needed.items()}


def _bug_row(bug: Bug, answers: Sequence[Answer]) -> BugRow:
    forced = {answer.job.correct: answer for answer in answers if isinstance(answer.job, Forced)}
    kinds = [str(workload["kind"]) for workload in bug.workloads]
    made = [answer for answer in answers if not answer.error]
    drawn = [(answer, answer.job) for answer in made if isinstance(answer.job, Drawn)]
    return BugRow(
        bug=bug,
        broken=forced[False].broken,
        claim=forced[False].claim,
        spared=forced[True].broken,
        rates=tuple(
            _rate(kind, bug, [answer for answer, job in drawn if job.workload == index and not job.correct])
            for index, kind in enumerate(kinds)
        ),
        failures=_failures((f"{kinds[job.workload]} of {bug.name}", job.seed, answer) for answer, job in drawn if job.correct),
        errors=_errors(bug.full_name, answers),
    )


def _rate(workload: str, bug: Bug, answers: Sequence[Answer]) -> Rate:
    explained = bug.fires | bug.consequences
    detected = sum(1 for answer in answers if answer.broken & explained)
    findings = Counter(name for answer in answers for name in answer.broken)
    return Rate(workload, detected, len(answers), dict(sorted(findings.items())))


def _design_row(name: str, answers: Sequence[Answer]) -> DesignRow:
    jobs = [(answer, answer.job) for answer in answers if isinstance(answer.job, Endured)]
    return DesignRow(
        name=name,
        scenarios=len({job.scenario for _, job in jobs}),
        runs=len(jobs),
        failures=_failures((job.scenario, job.seed, answer) for answer, job in jobs),
        errors=_errors(name, answers),
    )


def _failures(runs: Iterable[tuple[str, int, Answer]]) -> tuple[Failure, ...]:
    """Of runs of a correct design, by scenario and seed, those in which it broke its promise."""
    broken = [Failure(scenario, seed, answer.broken, answer.claim) for scenario, seed, answer in runs if answer.broken]
    return tuple(sorted(broken, key=lambda failure: (failure.scenario, failure.seed)))


def _false_alarm(design: str, failure: Failure) -> str:
    where = f"{design}: false alarm: {_listed(failure.broken)} in the scenario {failure.scenario}, seed {failure.seed}"
    return f"{where}: {failure.claim}"


def _errors(name: str, answers: Iterable[Answer]) -> tuple[str, ...]:
    return tuple(sorted({f"{name}: {answer.error}" for answer in answers if answer.error}))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
