"""``partition``: links between two groups of nodes are cut, and mended at the episode's end.

    [[faults]]
    kind = "partition"
    between = ["primary", "replicas"]   # two sides: names, roles, "client", or lists of them
    how = "black-hole"                  # bytes vanish, connections stay open; "refuse" resets them and refuses new ones
    way = "both"                        # of a black hole: "forward" only from who opened the connection, "backward" only to it
    every = "10s"
    lasts = "3s"
    at_most = 1                         # cut one of the links an episode; without it all of them

**What it does to a cache.** Replicas and near caches go on answering with what they had. A black hole is the worse of the two
ways: nobody is told, so that nobody reconnects, until a time-out somewhere expires.

**How it is proven.** Before the cut a mark written by the real peer crosses every link, on connections that exist by then. During
it, at the start and near the end, a fresh mark does not arrive within the time in which it did before, although both ends still
serve. The status that a server reports of its own link lags by seconds, and proves nothing. The marks of a cut of both ways go
the way of the data; while that is cut there is nothing new to acknowledge, so the other way is cut, but not proven by itself.

**What it is not.** A proxy's cut is not a kernel's: both ends keep a healthy connection with the proxy, whose socket buffers
acknowledge bytes that go nowhere, and there is no back-off of retransmissions to wait for after the heal. The evidence says
``proxy``. A cut of one way only is no partition: with ``forward`` on a replication link the data still flows, and only
acknowledgements are lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from faults.base import Target, UnprovenError
from faults.marks import Marks, times_in_words, window, words
from faults.targets import Names, capabilities_of, links_of
from harness.candidates.base import Cluster
from harness.durations import format_duration
from harness.plan import FaultSpec, Record
from harness.runtimes.base import Capability, Cut, Way
from harness.topology import Link, Topology


class PartitionOptions(Record):
    """Options of ``partition``."""

    between: tuple[Names, Names]
    how: Annotated[Cut, Field(strict=False)] = Cut.BLACK_HOLE
    way: Annotated[Way, Field(strict=False)] = Way.BOTH


class Partition:
    """Cuts links."""

    def __init__(self, spec: FaultSpec) -> None:
        self.spec = spec
        self.options = spec.read(PartitionOptions)
        self.needs = capabilities_of(self.options.between, inside=Capability.CUT)
        if self.options.how is Cut.REFUSE and self.options.way is not Way.BOTH:
            raise spec.error(
                f'how = "refuse" cannot have way = "{self.options.way}"',
                key="way",
                why="a reset ends a connection for both ends",
                fix='leave way out, or take how = "black-hole"',
            )

    def targets(self, topology: Topology) -> tuple[Link, ...]:
        """The links between the two sides."""
        return links_of(self.spec, topology, self.options.between)

    def strike(self, cluster: Cluster, targets: Sequence[Target]) -> PartitionStrike:
        """A cut of some of them."""
        return PartitionStrike(cluster, [t for t in targets if isinstance(t, Link)], self.options, window(self.spec.lasts))


class PartitionStrike:
    """One cut; see ``faults.base.Strike``."""

    def __init__(self, cluster: Cluster, links: Sequence[Link], options: PartitionOptions, window_ns: int) -> None:
        self.means = cluster.runtime.means
        self.proof_ns = window_ns
        self._runtime = cluster.runtime
        self._links = links
        self._options = options
        self._marks = Marks(cluster, links, options.way)
        self._islands = " | ".join(", ".join(group) for group in cluster.topology.islands(links))

    async def arm(self, within_ns: int) -> tuple[str, ...]:
        """Marks cross before the cut."""
        times = await self._marks.fastest_soon(self.proof_ns, within_ns)
        return (f"a mark crossed {times_in_words(times)}",)

    async def apply(self) -> None:
        """Cut."""
        await self._runtime.cut(self._links, self._options.how, self._options.way)

    async def prove(self) -> tuple[str, ...]:
        """No mark crosses any link."""
        times = await self._marks.cross(self.proof_ns)
        if any(took is not None for took in times.values()):
            raise UnprovenError(f"the cut did not bite: a mark crossed {times_in_words(times)}")
        return (f"no mark crossed {words(self._links)} within {format_duration(self.proof_ns)}; the islands: {self._islands}",)

    async def heal(self) -> None:
        """Mend."""
        await self._runtime.mend(self._links)

    async def confirm(self, within_ns: int) -> tuple[str, ...]:
        """Marks cross again."""
        return await self._marks.confirm(within_ns)

    async def close(self) -> None:
        """Close the probes."""
        await self._marks.close()
