"""Findings held against promises: which of them break one, which the contract excuses, and which nothing promises against."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from harness.plan import Contract
from harness.results import Clause, Finding, Measure, Outcome, Result


@dataclass(frozen=True, slots=True)
class Broken:
    """The findings that speak against one promise.

    Attributes:
        gating: those that break it.
        waived: those that the contract excuses.
    """

    gating: tuple[Finding, ...]
    waived: tuple[Finding, ...]

    @property
    def count(self) -> int:
        """How many instances break the promise."""
        return sum(finding.count for finding in self.gating)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(finding.name for finding in (*self.gating, *self.waived)))


class Ledger:
    """All findings and measures of one run; remembers which findings a promise asked for."""

    def __init__(self, contract: Contract, results: Iterable[Result]) -> None:
        results = tuple(results)
        self._contract = contract
        self._findings = sorted(
            (finding for result in results for finding in result.findings),
            key=lambda finding: (finding.severity, -finding.count, finding.name, finding.scope, finding.phase),
        )
        self._measures = [measure for result in results for measure in result.measures]
        self._asked: set[int] = set()

    def against(self, wanted: Callable[[Finding], bool]) -> Broken:
        """The findings that are ``wanted``, gravest first."""
        found = [finding for finding in self._findings if wanted(finding)]
        self._asked.update(id(finding) for finding in found)
        waived = tuple(finding for finding in found if self._waiver(finding) is not None)
        return Broken(tuple(finding for finding in found if finding not in waived), waived)

    def measure(self, name: str, *, phase: str = "", scope: str = "") -> Measure | None:
        """The measure of that name, phase and scope; None if no checker took it."""
        for measure in self._measures:
            if (measure.name, measure.phase, measure.scope) == (name, phase, scope):
                return measure
        return None

    @property
    def noted(self) -> tuple[Finding, ...]:
        """The findings that no promise has asked for so far."""
        return tuple(finding for finding in self._findings if id(finding) not in self._asked)

    def excuse(self, finding: Finding) -> str:
        """The reason that the contract gives for waiving ``finding``."""
        return self._waiver(finding) or ""

    def _waiver(self, finding: Finding) -> str | None:
        for waiver in self._contract.waive:
            phases = (f"during {waiver.during}", f"after {waiver.during}")
            if waiver.finding == finding.name and (waiver.during is None or finding.phase in phases):
                return waiver.reason
        return None
