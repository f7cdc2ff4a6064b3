"""What the links of a run suffer, and what that means for packets between addresses.

Faults name links; a kernel knows addresses. Packets do not tell who opened their connection, so whatever happens to a link
happens to all packets between its two ends: links between the same two nodes share what is done to either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.runtimes.base import Cut, Disturbance, Way
from harness.runtimes.kernel.bends import NO_BEND, Bend, Pair
from harness.topology import Link


@dataclass(frozen=True, slots=True)
class Suffering:
    """What one link suffers, in each direction."""

    forward: Bend = NO_BEND
    backward: Bend = NO_BEND

    def cut(self, how: Cut, way: Way) -> Suffering:
        """A refusal works both ways whatever ``way`` is: a reset ends a connection for both."""
        if how is Cut.REFUSE:
            return Suffering(replace(self.forward, refuse=True), replace(self.backward, refuse=True))
        return Suffering(
            self.forward if way is Way.BACKWARD else replace(self.forward, cut=True),
            self.backward if way is Way.FORWARD else replace(self.backward, cut=True),
        )

    def delay(self, delay_ns: int, jitter_ns: int) -> Suffering:
        """Hold back, each way."""
        return self._both(lambda bend: replace(bend, delay_ns=delay_ns, jitter_ns=jitter_ns))

    def throttle(self, bytes_per_second: int) -> Suffering:
        """Limit, each way."""
        return self._both(lambda bend: replace(bend, bytes_per_second=bytes_per_second))

    def disturb(self, disturbance: Disturbance) -> Suffering:
        """Drop, duplicate, reorder, each way."""
        return self._both(lambda bend: replace(bend, disturbance=disturbance))

    def _both(self, change: Callable[[Bend], Bend]) -> Suffering:
        return Suffering(change(self.forward), change(self.backward))


class Links:
    """The state of all links; a pure record."""

    def __init__(self) -> None:
        self._suffering: dict[Link, Suffering] = {}

    def change(self, links: Sequence[Link], change: Callable[[Suffering], Suffering]) -> None:
        """Add something to what the links suffer."""
        for link in links:
            self._suffering[link] = change(self._suffering.get(link, Suffering()))

    def mend(self, links: Sequence[Link]) -> None:
        """They suffer nothing any more."""
        for link in links:
            self._suffering.pop(link, None)

    def bends(self, address: Callable[[str], str]) -> Mapping[Pair, Bend]:
        """The whole state by pairs of addresses, given the address of each node."""
        bends: dict[Pair, Bend] = {}
        for link, suffering in self._suffering.items():
            for pair, bend in _directed(address(link.source), address(link.target), suffering):
                if bend != NO_BEND:
                    bends[pair] = merged(bends.get(pair, NO_BEND), bend)
        return bends


def merged(one: Bend, other: Bend) -> Bend:
    """What happens to packets for which both hold: the worse of each."""
    limits = [limit for limit in (one.bytes_per_second, other.bytes_per_second) if limit]
    slower = max(one, other, key=lambda bend: (bend.delay_ns, bend.jitter_ns))
    return Bend(
        cut=one.cut or other.cut,
        refuse=one.refuse or other.refuse,
        delay_ns=slower.delay_ns,
        jitter_ns=slower.jitter_ns,
        disturbance=one.disturbance if other.disturbance == Disturbance() else other.disturbance,
        bytes_per_second=min(limits, default=0),
    )


def _directed(source: str, target: str, suffering: Suffering) -> Iterator[tuple[Pair, Bend]]:
    yield (source, target), suffering.forward
    yield (target, source), suffering.backward
