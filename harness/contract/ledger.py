"""Findings held against promises: which of them break one, which the contract excuses, and which nothing promises against."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from harness.findings import telling
from harness.plan import Contract, Waiver
from harness.results import Clause, Finding, Measure, Outcome, Result


@dataclass(frozen=True, slots=True)
class Broken:
    """The findings that speak against one promise, most telling first.

    Attributes:
        gating: those that break it.
        waived: those that the contract excuses, each with its reason.
    """

    gating: tuple[Finding, ...]
    waived: tuple[tuple[Finding, str], ...]

    @property
    def all(self) -> tuple[Finding, ...]:
        """Both kinds."""
        return (*self.gating, *(finding for finding, _ in self.waived))

    @property
    def count(self) -> int:
        """How many instances break the promise."""
        return sum(finding.count for finding in self.gating)

    @property
    def excused(self) -> int:
        """How many instances the contract excuses."""
        return sum(finding.count for finding, _ in self.waived)

    @property
    def names(self) -> tuple[str, ...]:
        """The findings' names, each once."""
        return tuple(dict.fromkeys(finding.name for finding in self.all))


class Ledger:
    """All findings and measures of one run. It remembers which findings a promise asked for: the others break none."""

    def __init__(self, contract: Contract, results: Iterable[Result]) -> None:
        results = tuple(results)
        self._waivers = contract.waive
        self._findings = sorted((finding for result in results for finding in result.findings), key=telling)
        self._measures = [measure for result in results for measure in result.measures]
        self._asked: set[int] = set()

    def against(self, wanted: Callable[[Finding], bool]) -> Broken:
        """The findings that are ``wanted``."""
        found = [finding for finding in self._findings if wanted(finding)]
        self._asked.update(id(finding) for finding in found)
        excuses = [(finding, self._waiver(finding)) for finding in found]
        return Broken(
            gating=tuple(finding for finding, waiver in excuses if waiver is None),
            waived=tuple((finding, waiver.reason) for finding, waiver in excuses if waiver is not None),
        )

    def measures(self, name: str) -> list[Measure]:
        """All measures of that name, in the order they were taken."""
        return [measure for measure in self._measures if measure.name == name]

    @property
    def gating(self) -> tuple[Finding, ...]:
        """The findings that a promise has asked for and no waiver excuses, most telling first."""
        return tuple(finding for finding in self._findings if id(finding) in self._asked and self._waiver(finding) is None)

    @property
    def noted(self) -> tuple[Finding, ...]:
        """The findings that no promise has asked for so far."""
        return tuple(finding for finding in self._findings if id(finding) not in self._asked)

    @property
    def excused(self) -> tuple[Finding, ...]:
        """The findings that a promise has asked for and a waiver excuses."""
        return tuple(finding for finding in self._findings if id(finding) in self._asked and self._waiver(finding) is not None)

    def _waiver(self, finding: Finding) -> Waiver | None:
        for waiver in self._waivers:
            if waiver.finding == finding.name and (waiver.during is None or finding.phase in _phases(waiver.during)):
                return waiver
        return None


def settle(
    name: str,
    promise: str,
    broken: Broken,
    *,
    measured: str,
    n: int,
    missing: str = "",
    interval: str = "",
    resolution: str = "",
    allowed: int = 0,
) -> Clause:
    """The clause that a promise comes to.

    A violation needs ``broken.gating`` beyond ``allowed`` instances and nothing else. Without one, a promise that nothing could
    have broken (``n`` is 0) or for which evidence is ``missing`` is inconclusive; one that only waived findings break is waived.
    """
    outcome, why = Outcome.PASS, ""
    if broken.count > allowed:
        outcome, why = Outcome.VIOLATED, _worst(broken.gating)
    elif missing or n == 0:
        outcome, why = Outcome.INCONCLUSIVE, missing or "nothing in this run could have broken it"
    elif broken.waived:
        finding, reason = broken.waived[0]
        outcome, why = Outcome.WAIVED, f"{_times(broken.excused)} {finding.name}, waived: {reason}"
    seen = [f"{_times(broken.count)} broken" if broken.count else "", f"{_times(broken.excused)} waived" if broken.waived else ""]
    return Clause(
        name=name,
        promise=promise,
        measured="; ".join(part for part in (*seen, measured) if part),
        outcome=outcome,
        n=n,
        interval=interval,
        resolution=resolution,
        why=why,
        findings=broken.names,
    )


def _worst(findings: tuple[Finding, ...]) -> str:
    first = findings[0]
    count = sum(finding.count for finding in findings)
    more = f" ({first.name}, {_times(count)} in all)" if count > 1 else f" ({first.name})"
    return first.claim.rstrip(".") + more


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _phases(fault: str) -> tuple[str, str]:
    return f"during {fault}", f"after {fault}"
