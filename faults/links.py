"""What strikes on links have in common that marks show: the runtime mends the links, and marks cross them again."""

from __future__ import annotations

from collections.abc import Sequence

from faults.marks import Marks
from harness.candidates.base import Cluster
from harness.runtimes.base import Way
from harness.topology import Link


class LinkStrike:
    """One strike on links; see ``faults.base.Strike``. A kind adds what is done to them, and what marks then show.

    Args:
        links: those that are struck.
        way: which way the marks go.
    """

    def __init__(self, cluster: Cluster, links: Sequence[Link], way: Way = Way.BOTH) -> None:
        self.means = cluster.runtime.means
        self._runtime = cluster.runtime
        self._links = links
        self._marks = Marks(cluster, links, way)

    async def heal(self) -> None:
        """Mend."""
        await self._runtime.mend(self._links)

    async def confirm(self, within_ns: int) -> tuple[str, ...]:
        """Marks cross again."""
        return await self._marks.confirm(within_ns)

    async def close(self) -> None:
        """Close the probes."""
        await self._marks.close()
