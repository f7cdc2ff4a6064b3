"""The bugs on real processes: each by its schedule, on the broken design and on the correct one.

What is found is what real processes did, so it may be more than in virtual time: an answer that takes a little longer makes a
read stale by a little more. So a bug is *shown* if all that must fire did, and the correct design broke nothing.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.candidates.reference import Reference
from harness.durations import UNITS
from harness.errors import AnachronError
from harness.history import History
from harness.plan import CandidateSpec
from harness.reference.bug import Bug
from harness.reference.zoo import all_bugs
from harness.runtimes import RUNTIMES
from harness.runtimes.base import Capability
from harness.simulation.script import Jump, parse_script
from harness.zoo.live import force_live
from harness.zoo.trials import judged, settle_ns

HOP_NS = 20 * UNITS["ms"]
"""How long a message between two processes may take."""

ONLY_SIMULATED = {
    "counter-reset": "a process that dies loses its disk with its memory",
    "double-delete": "the lag of a replica is exact in virtual time only",
    "empty-primary": "a process that dies loses its disk with its memory",
    "fill-replica": "the lag of a replica is exact in virtual time only",
    "inval-before-repl": "the lag of a replica is exact in virtual time only",
    "rdb-restart": "a process that dies loses its disk with its memory",
}
"""Bugs whose schedules need what a real process does not have, and why."""

_TIMES = {
    "conditional-fetch": {"window": "2s"},
    "gutter-delete": {"ttl": "6s"},
    "refresh-discard": {"window": "300ms"},
    "zombie-node": {"ttl": "6s"},
}
"""Settings for bugs whose schedules must hit a window of time: a real process takes a while."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What came of one bug.

    Attributes:
        bug: its name.
        broken: what was found on the broken design.
        spared: what was found on the correct one, which should be nothing.
        claim: the most telling finding, in words.
        error: why it could not be run; empty if it could.
        tries: how often its schedule was carried out.
    """

    bug: str
    broken: frozenset[str] = frozenset()
    spared: frozenset[str] = frozenset()
    claim: str = ""
    error: str = ""
    tries: int = 1

    @property
    def missed(self) -> frozenset[str]:
        """What must fire and did not."""
        return frozenset() if self.error else all_bugs()[self.bug].fires - self.broken

    @property
    def right(self) -> bool:
        """Whether the bug was shown."""
        return not (self.error or self.missed or self.spared)


def possible(names: Sequence[str], runtime: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Which of the bugs can be shown on a runtime, and why the others cannot."""
    clock = RUNTIMES.load(runtime)(Path()).refusal(Capability.CLOCK)
    refused = {name: ONLY_SIMULATED[name] for name in names if name in ONLY_SIMULATED}
    for name in names:
        if clock and any(isinstance(step, Jump) for step in parse_script(all_bugs()[name].schedule, name)):
            refused.setdefault(name, clock)
    return tuple(name for name in names if name not in refused), refused


def show(names: Sequence[str], runtime: str) -> Iterator[Shown]:
    """Carry out one schedule after the other on ``runtime``.

    What did not show may have come too late on a busy machine, so it gets another try. A false alarm gets none.
    """
    for name in names:
        found = _shown(all_bugs()[name], runtime)
        if not (found.right or found.spared):
            found = replace(_shown(all_bugs()[name], runtime), tries=2)
        yield found


def _shown(bug: Bug, runtime: str) -> Shown:
    fleets = [_fleet(bug, strategy) for strategy in (bug.full_name, bug.correct.name)]
    contract = fleets[0].promise(HOP_NS)
    try:
        histories = asyncio.run(_side_by_side(bug, fleets, runtime, settle_ns(contract)))
    except AnachronError as error:
        return Shown(bug.name, error=str(error))
    broken, correct = (judged(history, contract) for history in histories)
    return Shown(bug.name, broken.broken, correct.broken, broken.findings[0].claim if broken.findings else "")


def _fleet(bug: Bug, strategy: str) -> Reference:
    spec = {"kind": "reference", "strategy": strategy, "nodes": bug.nodes, **_TIMES.get(bug.name, {})}
    return Reference(CandidateSpec.model_validate(spec))


async def _side_by_side(bug: Bug, fleets: Sequence[Reference], runtime: str, settle_ns: int) -> list[History]:
    """The bug's schedule on each of the fleets; raises the first error once all of them have stopped."""
    steps = parse_script(bug.schedule, bug.name)
    with tempfile.TemporaryDirectory(prefix="anachron-zoo-") as directory:
        places = [RUNTIMES.load(runtime)(Path(directory, str(number))) for number in range(len(fleets))]
        lives = [force_live(fleet, place, steps, settle_ns) for fleet, place in zip(fleets, places, strict=True)]
        ends = await asyncio.gather(*lives, return_exceptions=True)
    for end in ends:
        if isinstance(end, BaseException):
            raise end
    return [end for end in ends if isinstance(end, History)]
