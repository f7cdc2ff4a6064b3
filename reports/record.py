"""What a report is drawn from: one run's plan, history, results and verdict, with the facts around them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.durations import format_duration
from harness.errors import FAILURE, INCONCLUSIVE, PASS, VIOLATED
from harness.findings import telling
from harness.history import History
from harness.plan import Plan
from harness.results import Clause, Curve, Finding, Measure, Outcome, Result, Verdict
from harness.store import NodeLog
from reports.means import means_of
from reports.words import ALL_BY_PROXY, SOME_BY_PROXY, plural

_EXIT_STATUS = {Outcome.PASS: PASS, Outcome.VIOLATED: VIOLATED, Outcome.INCONCLUSIVE: INCONCLUSIVE}

GATING, WAIVED, NOTED = "decided the verdict", "waived by the contract", "breaking no promise"
"""What a finding means for the verdict."""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is known of one run.

    Attributes:
        plan: the plan that was run; ``plan_text`` is its file as it was written.
        history: what happened.
        results: what each checker said of it.
        verdict: what the contract says of that.
        run: the run's name: its directory, as ``anachron replay`` takes it.
        environment: facts in words, by name. ``candidate`` (the product with its version), ``runtime``, ``means`` (``proxy``,
            ``kernel``) are shown first; everything is shown.
        logs: ends of the nodes' logs, by node.
        node_logs: all of the nodes' logs, by node, as far as their times are known.
        oddities: what the reader must know of how the run went: start-ups that were retried, stalls, a run cut short.
        failure: why the harness itself failed; empty if it did not.
        command: what to type to come to this again; empty where that is ``anachron replay`` of the run.
    """

    plan: Plan
    plan_text: str
    history: History
    results: tuple[Result, ...]
    verdict: Verdict
    run: str
    environment: Mapping[str, str] = field(default_factory=dict)
    logs: Mapping[str, str] = field(default_factory=dict)
    node_logs: Mapping[str, NodeLog] = field(default_factory=dict)
    oddities: tuple[str, ...] = ()
    failure: str = ""
    command: str = ""

    @property
    def answer(self) -> str:
        """``pass``, ``violated``, ``inconclusive`` or ``error``; a violation that was proven outranks a failed harness."""
        if self.failure and self.verdict.outcome is not Outcome.VIOLATED:
            return "error"
        return self.verdict.outcome.value

    @property
    def why(self) -> str:
        """The answer in one sentence."""
        return self.failure if self.answer == "error" else self.verdict.why

    @property
    def exit_status(self) -> int:
        """The exit status of a command that ends with this report."""
        return FAILURE if self.answer == "error" else _EXIT_STATUS[self.verdict.outcome]

    @property
    def replay(self) -> str:
        """The command that runs the same plan again, or for a history from elsewhere checks it again."""
        return self.command or f"anachron replay {shlex.quote(self.run)}"

    @property
    def facts(self) -> tuple[str, ...]:
        """What was run, in a few words each."""
        run = (
            self.environment.get("candidate", self.plan.candidate.kind),
            f"{self.plan.run.runtime} runtime",
            f"seed {self.plan.seed}",
            f"plan {self.plan.hash}",
        )
        return (
            *(run if self.plan.candidate.kind != "unknown" else ("a history of unknown origin",)),
            format_duration(self.history.end_ns),
            plural(len(self.history), "operation"),
        )

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings: those that decided the verdict first, then as ``harness.findings.telling`` says."""
        found = [finding for result in self.results for finding in result.findings]
        rank = (GATING, WAIVED, NOTED)
        return tuple(sorted(found, key=lambda finding: (rank.index(self.weight(finding)), telling(finding))))

    @property
    def clauses(self) -> tuple[Clause, ...]:
        """All clauses as people read them: what needs them first, each kind in the contract's order."""
        rank = (Outcome.VIOLATED, Outcome.INCONCLUSIVE, Outcome.WAIVED, Outcome.PASS)
        return tuple(sorted(self.verdict.clauses, key=lambda clause: rank.index(clause.outcome)))

    def against(self, clause: Clause) -> tuple[Finding, ...]:
        """The findings that decided ``clause``."""
        return tuple(f for f in self.findings if f.name in clause.findings and self.weight(f) == GATING)

    def weight(self, finding: Finding) -> str:
        """What ``finding`` means for the verdict: ``GATING``, ``WAIVED`` or ``NOTED``."""
        if finding in self.verdict.excused:
            return WAIVED
        broken = any(finding.name in clause.findings for clause in self.verdict.clauses if clause.outcome is Outcome.VIOLATED)
        return GATING if broken and finding not in self.verdict.noted else NOTED

    def proof(self, clause: Clause) -> Finding | None:
        """The finding whose claim is the reason of ``clause``."""
        return next((finding for finding in self.against(clause) if finding.claim.rstrip(".") in clause.why), None)

    @property
    def measures(self) -> tuple[tuple[str, Measure], ...]:
        """All measures, each with its checker's name."""
        return tuple((result.checker, measure) for result in self.results for measure in result.measures)

    @property
    def curves(self) -> tuple[Curve, ...]:
        """All curves."""
        return tuple(curve for result in self.results for curve in result.curves)

    @property
    def proxy_note(self) -> str:
        """What to know of network faults that were made by a user-space proxy; empty if none was."""
        means = {means_of(episode) for episode in self.history.episodes}
        if not any("proxy" in each for each in means):
            return ""
        return SOME_BY_PROXY if any("kernel" in each for each in means) else ALL_BY_PROXY
