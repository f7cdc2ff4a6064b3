"""Faults on a virtual fleet: the same plans, targets and schedules as on real ones, applied to network and machines at once.

Here a fault cannot lie: what it does is what the network and the machines do from that moment on. So an episode is proven by what
it struck, or, where nothing came its way, by the state that it put its targets in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from faults import Fault, PlannedEpisode
from faults.clock import Clock
from faults.delay import Delay
from faults.drop import Drop
from faults.duplicate import Duplicate
from faults.kill import Kill
from faults.partition import Partition
from faults.pause import Pause
from faults.reorder import Reorder
from harness.durations import format_duration
from harness.errors import UnsupportedError
from harness.history import Episode
from harness.runtimes.base import Way
from harness.simulation.fleet import Fleet
from harness.simulation.network import Ends
from harness.topology import Link, Node

MEANS = "simulation"


def refuse_unsimulated(faults: Sequence[Fault]) -> None:
    """Raise ``UnsupportedError`` for the first fault that a virtual fleet does not know."""
    for fault in faults:
        if not isinstance(fault, Partition | Delay | Drop | Duplicate | Reorder | Pause | Kill | Clock):
            raise UnsupportedError(
                f'the fault "{fault.spec.kind}" cannot be simulated',
                where=fault.spec.error("").where,
                why="a virtual fleet has links, processes and clocks, but no server software",
                fix="run the plan on processes or in containers, or take the fault out",
            )


class Strikes:
    """The episodes of a run.

    Args:
        fleet: on whom.
        faults: the plan's.

    Attributes:
        over: those that have ended, in that order.
    """

    def __init__(self, fleet: Fleet, faults: Sequence[Fault]) -> None:
        self._fleet = fleet
        self._faults = faults
        self.over: list[Episode] = []

    def plan(self, planned: Sequence[PlannedEpisode], begin_ns: int) -> None:
        """Let every episode that is not left out begin and end at its time after ``begin_ns``."""
        for episode in planned:
            if not episode.skipped:
                self._fleet.engine.at(begin_ns + episode.intended_ns, self._begin, (episode, begin_ns))

    def _begin(self, argument: tuple[PlannedEpisode, int]) -> None:
        planned, begin_ns = argument
        engine = self._fleet.engine
        heal = self._apply(self._faults[planned.fault], planned)
        applied_ns = engine.now_ns

        def end(_: object) -> None:
            evidence = heal()
            struck = [name for t in planned.targets for name in ((t.source, t.target) if isinstance(t, Link) else (t.name,))]
            self.over.append(
                Episode(
                    fault=planned.fault,
                    kind=planned.kind,
                    targets=tuple(str(t) if isinstance(t, Link) else t.name for t in planned.targets),
                    nodes=tuple(name for name in dict.fromkeys(struck) if name in self._fleet.machines),
                    intended_ns=begin_ns + planned.intended_ns,
                    intended_end_ns=begin_ns + planned.intended_end_ns,
                    applied_ns=applied_ns,
                    proven_ns=applied_ns,
                    healed_ns=engine.now_ns,
                    evidence=evidence,
                    means=MEANS,
                )
            )

        engine.at(begin_ns + planned.intended_end_ns, end)

    def _apply(self, fault: Fault, planned: PlannedEpisode) -> Callable[[], tuple[str, ...]]:
        """Apply it now; what is returned heals it and says what it did."""
        links = [target for target in planned.targets if isinstance(target, Link)]
        nodes = [target for target in planned.targets if isinstance(target, Node)]
        match fault:
            case Partition(options=cut):
                return self._bend(links, "were lost", cut.way, cut=True)
            case Delay(options=late):
                return self._bend(links, "were late", delay_ns=late.delay, jitter_ns=late.jitter_by)
            case Drop(options=lossy):
                return self._bend(links, "were lost", drop=lossy.probability or 1.0 / (lossy.nth or 1))
            case Duplicate(options=doubled):
                return self._bend(links, "arrived twice", duplicate=doubled.probability)
            case Reorder(options=overtaken):
                return self._bend(links, "were overtaken", reorder=overtaken.probability, reorder_by_ns=overtaken.by)
            case Pause():
                return self._pause(nodes)
            case Kill(options=killed):
                return self._kill(nodes, keep_data=killed.keep_data)
            case Clock(options=bent):
                return self._clock(nodes, bent.jump_ns, bent.rate)
        raise UnsupportedError(f'the fault "{fault.spec.kind}" cannot be simulated')

    def _bend(self, links: Sequence[Link], what: str, way: Way = Way.BOTH, **changes: float) -> Callable[[], tuple[str, ...]]:
        network = self._fleet.network
        ends = [pair for link in links for pair in _directions(link, way)]
        bends = [network.bend(pair) for pair in ends]
        for bend in bends:
            for name, value in changes.items():
                setattr(bend, name, value)

        def heal() -> tuple[str, ...]:
            for pair in ends:
                network.mend(pair)
            return (f"{sum(bend.struck for bend in bends)} messages {what}",)

        return heal

    def _pause(self, nodes: Sequence[Node]) -> Callable[[], tuple[str, ...]]:
        for node in nodes:
            self._fleet.machines[node.name].pause()

        def heal() -> tuple[str, ...]:
            for node in nodes:
                self._fleet.machines[node.name].resume()
            return tuple(f"{node.name} stood still" for node in nodes)

        return heal

    def _kill(self, nodes: Sequence[Node], *, keep_data: bool) -> Callable[[], tuple[str, ...]]:
        for node in nodes:
            self._fleet.machines[node.name].kill()

        def heal() -> tuple[str, ...]:
            for node in nodes:
                self._fleet.machines[node.name].restart(keep_data=keep_data)
            return tuple(f"{node.name} was dead, and began its life {self._fleet.machines[node.name].life}" for node in nodes)

        return heal

    def _clock(self, nodes: Sequence[Node], jump_ns: int, rate: float) -> Callable[[], tuple[str, ...]]:
        for node in nodes:
            self._fleet.machines[node.name].bend_clock(wall_ns=jump_ns, rate=rate)

        def heal() -> tuple[str, ...]:
            for node in nodes:
                self._fleet.machines[node.name].bend_clock()
            return tuple(f"the clock of {node.name} was off by {format_duration(jump_ns)}, its rate {rate:g}" for node in nodes)

        return heal


def _directions(link: Link, way: Way) -> tuple[Ends, ...]:
    """Which ways of a link are meant."""
    forward, backward = (link.source, link.target), (link.target, link.source)
    return {Way.BOTH: (forward, backward), Way.FORWARD: (forward,), Way.BACKWARD: (backward,)}[way]
