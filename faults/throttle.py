"""``throttle``: links between two groups of nodes carry only so many bytes a second, each way.

    [[faults]]
    kind = "throttle"
    between = ["primary", "replicas"]   # two sides: names, roles, "client", or lists of them
    bytes_per_second = 50000
    every = "10s"
    lasts = "4s"

**What it does to a cache.** A link that is slower than what is written falls behind for as long as that goes on: replicas grow
older by the second, output buffers fill up, and a full copy of the data takes longer than the patience that is left for it.
Afterwards the backlog has to be worked off.

**How it is proven.** A mark behind a load crosses every link: before the episode, and at its start and near its end, when it
takes at least half the time that so many bytes need at that rate, or does not arrive within four times of it. The load is what
the link may carry in an eighth of the episode, half a second's worth at most.

**What it is not.** A delay: a link that carries less than its rate is as fast as ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from faults.base import Target, UnprovenError
from faults.links import LinkStrike
from faults.marks import Times, times_in_words, window, words
from faults.targets import Names, capabilities_of, links_of
from harness.candidates.base import Cluster
from harness.durations import format_duration
from harness.plan import FaultSpec, Record
from harness.runtimes.base import Capability
from harness.topology import Link, Topology

_LONGEST_NS = 500_000_000
_LEAST_SIZE = 4096
"""Of a load: some packets, so that the first ones' free passage is not all that is seen."""

_PATIENCE = 4


class ThrottleOptions(Record):
    """Options of ``throttle``."""

    between: tuple[Names, Names]
    bytes_per_second: Annotated[int, Field(ge=1000, le=1_000_000_000)]


class Throttle:
    """Throttles links."""

    def __init__(self, spec: FaultSpec) -> None:
        self.spec = spec
        self.options = spec.read(ThrottleOptions)
        self.needs = capabilities_of(self.options.between, inside=Capability.THROTTLE) | {Capability.THROTTLE}

    def targets(self, topology: Topology) -> tuple[Link, ...]:
        """The links between the two sides."""
        return links_of(self.spec, topology, self.options.between)

    def strike(self, cluster: Cluster, targets: Sequence[Target]) -> ThrottleStrike:
        """A narrow pipe for some of them."""
        return ThrottleStrike(
            cluster, [t for t in targets if isinstance(t, Link)], self.options.bytes_per_second, self.spec.lasts
        )


class ThrottleStrike(LinkStrike):
    """One throttling; see ``faults.base.Strike``."""

    def __init__(self, cluster: Cluster, links: Sequence[Link], rate: int, lasts_ns: int) -> None:
        super().__init__(cluster, links)
        self._rate = rate
        self._window_ns = window(lasts_ns)
        self._size = max(_LEAST_SIZE, rate * min(_LONGEST_NS, lasts_ns // 8) // 1_000_000_000)
        self._needs_ns = self._size * 1_000_000_000 // rate
        self.proof_ns = min(_PATIENCE * self._needs_ns, lasts_ns // 3)
        self._before: Mapping[Link, int] = {}

    async def arm(self, within_ns: int) -> tuple[str, ...]:
        """Time the load before."""
        self._before = await self._marks.fastest_soon(self._window_ns, within_ns)
        patience_ns = min(self._needs_ns // 2, self.proof_ns)
        times = await self._marks.cross_behind(self._size, patience_ns)
        slow = [link for link, took in times.items() if took is None]
        if slow:
            raise UnprovenError(f"{words(slow)} did not carry {self._size} bytes within {format_duration(patience_ns)}")
        return (f"{self._size} bytes crossed {times_in_words(times)}",)

    async def apply(self) -> None:
        """Throttle."""
        await self._runtime.throttle(self._links, self._rate)

    async def prove(self) -> tuple[str, ...]:
        """The load takes its time."""
        times: Times = await self._marks.cross_behind(self._size, self.proof_ns)
        fast = {link: took for link, took in times.items() if took is not None and took < self._needs_ns // 2}
        if fast:
            raise UnprovenError(
                f"the throttle did not bite: {self._size} bytes crossed {times_in_words(fast)}, "
                f"which should have taken {format_duration(self._needs_ns)}"
            )
        missing = [link for link, took in times.items() if took is None]
        told = [f"{self._size} bytes crossed {times_in_words(times)}"] if len(missing) < len(times) else []
        told += [f"they did not cross {words(missing)} within {format_duration(self.proof_ns)}"] if missing else []
        return (f"{'; '.join(told)} (meant: {format_duration(self._needs_ns)})",)
