"""``replay``: the frozen plan of a run once more, and how often its findings came back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from checkers.statistics import wilson
from harness.cli.output import complain, say
from harness.cli.runs import gravest, run_one, was_interrupted
from harness.errors import HarnessError, InterruptedRunError, PlanError
from harness.plan import Plan
from harness.store import RunDirectory
from reports import Report


@dataclass(frozen=True, slots=True)
class Original:
    """What the run's own results say; ``answer`` is empty where it has none (it was killed, say)."""

    plan_hash: str
    answer: str
    findings: frozenset[str]


def replay_run(run: Path, times: int, *, runs_dir: Path | None, quiet: bool) -> int:
    """Run the plan of ``run`` again ``times`` times and return the gravest exit status; raises ``PlanError``, ``HistoryError``.

    Replays that fail or are cut short are told and left out of the rates: they say nothing about the candidate. Ctrl-C ends all.
    """
    directory = RunDirectory.open(run)
    plan, original = directory.load_plan(), read_original(directory)
    _same_plan(plan, original, directory)
    text = directory.plan_file.read_text(encoding="utf-8")
    root = runs_dir or directory.path.resolve().parent
    reports: list[Report] = []
    statuses: list[int] = []
    for number in range(1, times + 1):
        if times > 1:
            say(f"replay {number} of {times}")
        try:
            finished = run_one(plan, text, root, quiet=quiet)
        except HarnessError as error:
            complain(str(error))
            statuses.append(error.exit_status)
            if isinstance(error, InterruptedRunError):
                break
            continue
        statuses.append(finished.report.exit_status)
        if was_interrupted(finished.report):
            break
        reports.append(finished.report)
    say("\n" + "\n".join(rates(original, [(r.answer, {f.name for f in r.findings}) for r in reports])))
    return gravest(statuses)


def read_original(directory: RunDirectory) -> Original:
    """What ``results.json`` in ``directory`` says."""
    try:
        document = json.loads((directory.path / "results.json").read_bytes())
        return Original(
            plan_hash=str(document["plan"]["hash"]),
            answer=str(document["verdict"]["answer"]),
            findings=frozenset(str(finding["name"]) for finding in document["findings"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return Original("", "", frozenset())


def rates(original: Original, replays: Sequence[tuple[str, Iterable[str]]]) -> list[str]:
    """How often each verdict and each finding came, a line each; ``*`` marks what the original run had."""
    n = len(replays)
    if n == 0:
        return ["no replay ran to its end: there is nothing to compare"]
    answers = Counter(answer for answer, _ in replays)
    findings = Counter(name for _, names in replays for name in set(names))
    rows = [
        ("verdict " + answer, answers[answer], answer == original.answer)
        for answer in _ordered(answers, {original.answer} - {""})
    ]
    rows += [(name, findings[name], name in original.findings) for name in _ordered(findings, original.findings)]
    width = max(len(name) for name, _, _ in rows)
    lines = [f"of {n} replays  (* as in the original run; 95 % interval)"]
    for name, count, before in rows:
        low, high = wilson(count, n)
        lines.append(f"{'*' if before else ' '} {name:<{width}}  {count}/{n}  {count / n:.0%}  [{low:.0%}, {high:.0%}]")
    return lines


def _ordered(counted: Counter[str], before: Iterable[str]) -> list[str]:
    return sorted(counted.keys() | set(before), key=lambda name: (-counted[name], name))


def _same_plan(plan: Plan, original: Original, directory: RunDirectory) -> None:
    """Refuse a plan that is no longer the one that was run."""
    if original.plan_hash and plan.hash != original.plan_hash:
        raise PlanError(
            "this is not the plan that was run",
            where=str(directory.plan_file),
            why=f"its hash is {plan.hash}, the run's was {original.plan_hash}: it was edited, or another version wrote it",
            fix=f"run it as a plan of its own: anachron run {directory.plan_file}",
        )
