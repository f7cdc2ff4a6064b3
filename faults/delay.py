"""``delay``: every byte on links between two groups of nodes is held back, each way, in order.

    [[faults]]
    kind = "delay"
    between = ["primary", "replicas"]   # two sides: names, roles, "client", or lists of them
    delay = "50ms"                      # each way
    jitter_by = "10ms"                  # give or take; order is kept, so one late byte holds up those behind it
    every = "8s"
    lasts = "2s"

**What it does to a cache.** Replication and invalidation arrive later by the delay, and whatever waits for an answer (a
synchronous write, an acknowledgement) waits for both ways. It finds designs whose correctness depends on one message overtaking
another.

**How it is proven.** Marks are timed on every link before and during the delay, the fastest of three each time. The shift has to
be at least four fifths of the delay (less the jitter), at the start and near the end; the numbers stand in the evidence.

**What it is not.** Loss. A delayed connection stays healthy, and after the heal nothing has to be repaired.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from faults.base import Target, UnprovenError
from faults.links import LinkStrike
from faults.marks import MARKS, times_in_words, window
from faults.targets import Names, capabilities_of, links_of
from harness.candidates.base import Cluster
from harness.durations import format_duration
from harness.plan import Duration, FaultSpec, Record
from harness.runtimes.base import Capability
from harness.topology import Link, Topology

_SHARE = 0.8
"""Of the delay: how much of it the marks must show."""


class DelayOptions(Record):
    """Options of ``delay``."""

    between: tuple[Names, Names]
    delay: Duration
    jitter_by: Duration = 0

    @property
    def least_ns(self) -> int:
        """The smallest shift that proves the delay."""
        return round(_SHARE * (self.delay - self.jitter_by))

    @property
    def proof_ns(self) -> int:
        """How long the marks of one proof may be under way: a client's mark crosses its link twice."""
        return MARKS * 2 * (self.delay + self.jitter_by)


class Delay:
    """Delays links."""

    def __init__(self, spec: FaultSpec) -> None:
        self.spec = spec
        self.options = spec.read(DelayOptions)
        self.needs = capabilities_of(self.options.between, inside=Capability.DELAY) | {Capability.DELAY}
        if self.options.jitter_by >= self.options.delay:
            raise spec.error(
                f"a jitter of {format_duration(self.options.jitter_by)} hides a delay of {format_duration(self.options.delay)}",
                key="jitter_by",
                fix="let the delay be longer than its jitter",
            )
        if spec.lasts < 3 * self.options.proof_ns:
            raise spec.error(
                f"an episode of {format_duration(spec.lasts)} is too short to measure a delay of "
                f"{format_duration(self.options.delay)} at its start and near its end",
                key="lasts",
                fix=f"let it last {format_duration(3 * self.options.proof_ns)} or longer",
            )

    def targets(self, topology: Topology) -> tuple[Link, ...]:
        """The links between the two sides."""
        return links_of(self.spec, topology, self.options.between)

    def strike(self, cluster: Cluster, targets: Sequence[Target]) -> DelayStrike:
        """A delay of some of them."""
        return DelayStrike(cluster, [t for t in targets if isinstance(t, Link)], self.options, window(self.spec.lasts))


class DelayStrike(LinkStrike):
    """One delay; see ``faults.base.Strike``."""

    def __init__(self, cluster: Cluster, links: Sequence[Link], options: DelayOptions, window_ns: int) -> None:
        super().__init__(cluster, links)
        self.proof_ns = options.proof_ns
        self._options = options
        self._window_ns = window_ns
        self._before: Mapping[Link, int] = {}

    async def arm(self, within_ns: int) -> tuple[str, ...]:
        """Time the links before the delay, again if they are slow: one that comes back from a cut is, for a while."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + within_ns / 1e9
        self._before = await self._marks.fastest_soon(self._window_ns, within_ns)
        while max(self._before.values()) > self._options.least_ns and loop.time() < give_up:
            self._before = await self._marks.fastest_soon(self._window_ns, round((give_up - loop.time()) * 1e9))
        self._marks.timed()
        return (f"a mark crossed {times_in_words(self._before)}",)

    async def apply(self) -> None:
        """Delay."""
        await self._runtime.delay(self._links, self._options.delay, self._options.jitter_by)

    async def prove(self) -> tuple[str, ...]:
        """Every link is slower than before, by about the delay."""
        times = await self._marks.fastest(self._window_ns + self.proof_ns)
        shifts = {link: took - self._before[link] for link, took in times.items()}
        least_ns = self._options.least_ns
        if any(shift < least_ns for shift in shifts.values()):
            raise UnprovenError(
                f"the delay did not bite: a mark crossed {times_in_words(times)}, "
                f"which should have been {format_duration(least_ns)} later than before"
            )
        shifted = ", ".join(f"{link} by {format_duration(shift)}" for link, shift in shifts.items())
        return (f"marks were later than before: {shifted} (meant: {format_duration(self._options.delay)} each way)",)
