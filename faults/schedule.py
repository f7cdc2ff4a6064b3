"""When each fault strikes, and whom: drawn from the seed before the run starts. Pure: no clock, no I/O.

Each fault follows its own beat (``after``, ``every``, ``lasts``, ``jitter``), whatever the others do, so different faults overlap
in time. They must not overlap in space: a paused node cannot be killed, and a mark that a dead peer should have sent proves no
cut. So an episode takes its targets only from what is free, first come, first served (at the same instant: in the plan's order):

* a fault on a node holds the node and every link at it;
* a fault on a link holds the link, and keeps faults off its two nodes; other links of these nodes stay free;
* a fault on whoever has a role by then (``current-primary``) holds everything;
* what was held is left alone for ``REST_NS`` after its episode, to come back.

Nothing is shifted. An episode that finds too few free targets strikes fewer; one that finds none is left out and says so
(``skipped``). A fault of which every episode would be left out is an error in the plan. An episode that would not end within the
run is not planned.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import NamedTuple

from faults.base import Drawing, Fault, Target
from faults.offices import is_office
from harness.durations import format_duration
from harness.plan import FaultSpec
from harness.topology import Link, Topology

REST_NS = 1_000_000_000
"""How long the targets of one fault are left alone by the other faults: a replica looks for its primary once a second."""

SHORTEST_NS = 100_000_000
"""An episode that is shorter could not be proven twice."""


@dataclass(frozen=True, slots=True)
class PlannedEpisode:
    """One episode as it is meant to be.

    Attributes:
        fault: index of the fault in the plan.
        kind: the fault's kind.
        targets: what it strikes; empty if it is left out.
        intended_ns, intended_end_ns: from when to when, since the start of the run.
        skipped: why it is left out; empty if it is not.
    """

    fault: int
    kind: str
    targets: tuple[Target, ...]
    intended_ns: int
    intended_end_ns: int
    skipped: str = ""


class _Window(NamedTuple):
    begin_ns: int
    fault: int
    number: int
    end_ns: int


def schedule(faults: Sequence[Fault], topology: Topology, seed: int, duration_ns: int) -> tuple[PlannedEpisode, ...]:
    """All episodes of a run, by the time they begin.

    Args:
        faults: the plan's faults.
        topology: what they strike at.
        seed: the plan's seed; what one fault draws does not move the times of another.
        duration_ns: the length of the run.

    Raises ``PlanError`` for a target that the topology does not have, and for a fault that could never be proven, or never be
    free to strike.
    """
    specs = [fault.spec for fault in faults]
    possible = [fault.targets(topology) for fault in faults]
    planned: list[PlannedEpisode] = []
    active: list[PlannedEpisode] = []
    for window in sorted(w for index, spec in enumerate(specs) for w in _windows(index, spec, seed, duration_ns)):
        spec = specs[window.fault]
        active = [e for e in active if e.intended_end_ns + REST_NS > window.begin_ns]
        holders = [e for e in active if e.fault != window.fault]
        held = [target for e in holders for target in e.targets]
        free = [t for t in possible[window.fault] if not any(_clash(t, other) for other in held)]
        chosen = _drawn(faults[window.fault], topology, _random(seed, window.fault, window.number, "targets"), free)
        episode = PlannedEpisode(
            fault=window.fault,
            kind=spec.kind,
            targets=tuple(t for t in free if t in chosen),
            intended_ns=window.begin_ns,
            intended_end_ns=window.end_ns,
            skipped="" if chosen else f"all it could strike was held by {_kinds(holders)}",
        )
        planned.append(episode)
        active.append(episode)
    for index, spec in enumerate(specs):
        own = [e for e in planned if e.fault == index]
        if own and not any(e.targets for e in own):
            raise spec.error(
                f'the fault "{spec.kind}" never finds a free target',
                why=own[0].skipped,
                fix="give it an `after` that lies between",
            )
    return tuple(planned)


def clash(one: PlannedEpisode, other: PlannedEpisode) -> bool:
    """Whether two episodes may not happen at the same time."""
    return any(_clash(a, b) for a in one.targets for b in other.targets)


def _windows(index: int, spec: FaultSpec, seed: int, duration_ns: int) -> Iterator[_Window]:
    if spec.lasts < SHORTEST_NS:
        raise spec.error(
            f"an episode of {format_duration(spec.lasts)} is too short to be proven",
            key="lasts",
            why="its effect is observed at its start and again near its end",
            fix=f"let it last {format_duration(SHORTEST_NS)} or longer",
        )
    first_ns = spec.every if spec.after is None else spec.after
    for number in count():
        beat_ns = first_ns + number * spec.every
        if beat_ns - spec.jitter + spec.lasts > duration_ns:
            return
        begin_ns = max(0, beat_ns + _random(seed, index, number, "jitter").randint(-spec.jitter, spec.jitter))
        if begin_ns + spec.lasts <= duration_ns:
            yield _Window(begin_ns, index, number, begin_ns + spec.lasts)


def _drawn(fault: Fault, topology: Topology, random: Random, free: Sequence[Target]) -> set[Target]:
    """What an episode strikes of what is free: by the fault's own rule if it has one; else links all, and nodes one."""
    if isinstance(fault, Drawing):
        return set(fault.draw(topology, random, free))
    wanted = fault.spec.at_most or (len(free) if free and isinstance(free[0], Link) else 1)
    return set(random.sample(free, min(wanted, len(free))))


def _random(seed: int, fault: int, number: int, purpose: str) -> Random:
    """Random numbers of one episode for one purpose: what is drawn for one does not move another."""
    return Random(f"{seed}/{fault}/{number}/{purpose}")


def _clash(one: Target, other: Target) -> bool:
    if is_office(one) or is_office(other):
        return True
    if isinstance(one, Link):
        return one == other if isinstance(other, Link) else other.name in (one.source, one.target)
    return _clash(other, one) if isinstance(other, Link) else one == other


def _kinds(episodes: Sequence[PlannedEpisode]) -> str:
    return " and ".join(sorted({f'"{e.kind}"' for e in episodes}))
