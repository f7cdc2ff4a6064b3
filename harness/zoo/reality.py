"""What the zoo came to on real processes: its answer, for the terminal and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import FAILURE, INCONCLUSIVE, PASS, VIOLATED
from harness.reference.zoo import all_bugs
from harness.results import Outcome
from harness.zoo.alive import Shown
from harness.zoo.kept import Kept

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Reality:
    """All of it.

    Attributes:
        bugs: those whose schedules were carried out.
        simulated: those that only virtual time can show, and why.
        strategies: the correct ones, each driven and struck by faults.
    """

    bugs: tuple[Shown, ...]
    simulated: Mapping[str, str]
    strategies: tuple[Kept, ...]

    @property
    def status(self) -> int:
        """The exit status: a miss or a false alarm before an error, and that before a run that shows nothing, or none."""
        outcomes = {each.outcome for each in self.strategies}
        if Outcome.VIOLATED in outcomes or any(each.missed or each.spared for each in self.bugs):
            return VIOLATED
        if None in outcomes or any(each.error for each in self.bugs):
            return FAILURE
        shows = self.bugs or self.strategies
        return PASS if shows and Outcome.INCONCLUSIVE not in outcomes else INCONCLUSIVE

    @property
    def headline(self) -> str:
        """What came of it, in a sentence."""
        shown = sum(each.right for each in self.bugs)
        parts = [f"{shown} of {len(self.bugs)} bugs were shown"]
        if self.simulated:
            parts.append(f"{len(self.simulated)} can only be simulated here")
        if self.strategies:
            kept = sum(each.right for each in self.strategies)
            parts.append(f"{kept} of {len(self.strategies)} correct strategies kept their promises")
        return "; ".join(parts)

    @property
    def complaints(self) -> Iterator[str]:
        """What should not have been, a line each."""
        for bug in self.bugs:
            name = all_bugs()[bug.bug].full_name
            if bug.error:
                yield f"{name} could not be run: {bug.error}"
            if bug.missed:
                yield f"{name}: missed: its schedule did not bring out {', '.join(sorted(bug.missed))}"
            if bug.spared:
                yield f"{name}: false alarm: {', '.join(sorted(bug.spared))} on the correct {all_bugs()[bug.bug].correct.name}"
        for strategy in self.strategies:
            if not strategy.right:
                yield f"{strategy.strategy}: {word(strategy.outcome)}: {strategy.why}"

    def document(self, facts: Mapping[str, str]) -> str:
        """The text of ``results.json``."""
        return json.dumps(
            {
                "format": FORMAT,
                "holds": self.status == PASS,
                "complaints": list(self.complaints),
                "bugs": [_bug(each) for each in self.bugs],
                "only_simulated": dict(self.simulated),
                "strategies": [_strategy(each) for each in self.strategies],
                "facts": dict(facts),
            },
            indent=2,
            ensure_ascii=False,
        )


def word(outcome: Outcome | None) -> str:
    """An outcome in a word."""
    return outcome.value if outcome else "not run"


def _bug(shown: Shown) -> dict[str, Any]:
    bug = all_bugs()[shown.bug]
    return {
        "name": bug.name,
        "number": bug.number,
        "strategy": bug.correct.name,
        "title": bug.title,
        "must_fire": sorted(bug.fires),
        "fired": sorted(shown.broken),
        "missed": sorted(shown.missed),
        "on_the_correct_strategy": sorted(shown.spared),
        "claim": shown.claim,
        "tries": shown.tries,
        "error": shown.error,
    }


def _strategy(kept: Kept) -> dict[str, Any]:
    return {
        "name": kept.strategy,
        "outcome": word(kept.outcome),
        "why": kept.why,
        "operations": kept.operations,
        "proven_faults": list(kept.faults),
        "run": str(kept.run) if kept.run else None,
        "tries": kept.tries,
    }
