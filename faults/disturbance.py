"""What drop, duplicate and reorder have in common: packets that are struck by chance, which the connection repairs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Literal

from faults.base import UnprovenError
from faults.links import LinkStrike
from faults.marks import times_in_words, window, words
from harness.candidates.base import Cluster
from harness.durations import format_duration
from harness.runtimes.base import Counting, Disturbance, Packets
from harness.topology import Link

_PATIENCE_NS = 2_000_000_000
"""How long one proof goes on at most: packets are struck by chance."""

_LATE_WITHIN_NS = 1_000_000_000
"""How late a mark may be; TCP sends a lost packet again after 200 ms, 400 ms and so on."""

_PAUSE_S = 0.005


class DisturbStrike(LinkStrike):
    """One disturbance of packets; see ``faults.base.Strike``.

    Args:
        disturbance: what happens to them.
        late_ns: how much later than before a mark is by it; 0 if it is not.
        counted: which of the runtime's counts shows it: ``lost``, ``doubled``, ``late``.
    """

    def __init__(
        self,
        cluster: Cluster,
        links: Sequence[Link],
        disturbance: Disturbance,
        lasts_ns: int,
        *,
        late_ns: int,
        counted: Literal["lost", "doubled", "late"],
    ) -> None:
        super().__init__(cluster, links)
        self.proof_ns = min(_PATIENCE_NS, lasts_ns // 3)
        self._disturbance = disturbance
        self._late_ns = late_ns
        self._counted = counted
        self._window_ns = window(lasts_ns)
        self._before: Mapping[Link, int] = {}

    async def arm(self, within_ns: int) -> tuple[str, ...]:
        """Time the links before."""
        self._before = await self._marks.fastest_soon(self._window_ns, within_ns)
        return (f"a mark crossed {times_in_words(self._before)}",)

    async def apply(self) -> None:
        """Disturb."""
        await self._runtime.disturb(self._links, self._disturbance)

    async def prove(self) -> tuple[str, ...]:
        """Send marks until each link has carried one late, or the runtime has counted what it is to do; or time is up."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self.proof_ns / 1e9
        before = await self._packets()
        late: dict[Link, int | None] = {}
        sent = 0
        while True:
            left_ns = max(self._window_ns, round((give_up - loop.time()) * 1e9))
            times = await self._marks.cross(min(_LATE_WITHIN_NS, left_ns))
            sent += 1
            if self._late_ns:
                late |= {link: took for link, took in times.items() if took is None or took >= self._before[link] + self._late_ns}
            now = await self._packets()
            counted = self._count(now) - self._count(before)
            if counted or (before is None and len(late) == len(times)):
                break
            if loop.time() > give_up:
                raise UnprovenError(self._nothing(sent, late, before))
            await asyncio.sleep(_PAUSE_S)
        told = [f"a mark crossed {link} {_in_words(took)}" for link, took in late.items()]
        if before and now:
            seen = now.seen - before.seen
            told.append(f"{counted} of {seen} packets were {self._counted}, by the runtime's count, while {sent} marks crossed")
        return (f"{'; '.join(told)} (before: {times_in_words(self._before)})",)

    def _nothing(self, sent: int, late: Mapping[Link, int | None], before: Packets | None) -> str:
        if before:
            return (
                f"the disturbance did not bite: the runtime counts no packet that was {self._counted} while {sent} marks crossed"
            )
        if not self._late_ns:
            return f"what was {self._counted} TCP puts right unseen, and this runtime does not count it"
        on_time = words([link for link in self._before if link not in late])
        return f"the disturbance did not bite: of {sent} marks over {on_time} none was {format_duration(self._late_ns)} late"

    def _count(self, packets: Packets | None) -> int:
        """The count that matters; 0 where nobody counts."""
        return int(getattr(packets, self._counted)) if packets else 0

    async def _packets(self) -> Packets | None:
        """The runtime's counts, if it has any."""
        return await self._runtime.packets() if isinstance(self._runtime, Counting) else None


def _in_words(took_ns: int | None) -> str:
    return "too late to be waited for" if took_ns is None else f"in {format_duration(took_ns)}"
