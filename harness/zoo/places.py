"""The places of a live fleet as whoever carries a schedule out speaks to them: gates, rules, what is held, who is connected."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from contextlib import suppress

from harness.candidates.asking import UnusableAnswerError
from harness.candidates.redis_admin import Admin
from harness.durations import UNITS
from harness.topology import Link

_WITHIN_NS = 100 * UNITS["ms"]
_LOOK_S = 0.01
_WAIT_S = 3.0
"""How long connections are waited for; who is paused or dead neither makes nor ends any."""


class Places:
    """Connections of our own to all places.

    Args:
        admins: one for each place, by its name.
    """

    def __init__(self, admins: Mapping[str, Admin]) -> None:
        self._admins = admins

    def close(self) -> None:
        """Close them."""
        for admin in self._admins.values():
            admin.close()

    def __contains__(self, place: str) -> bool:
        return place in self._admins

    def __str__(self) -> str:
        return ", ".join(self._admins)

    async def tell(self, place: str, *words: str) -> None:
        """Have ``place`` do something; raises ``OSError``."""
        await self._admins[place].call(*words)

    async def held(self) -> int:
        """How many flows and messages are held anywhere; a place that does not answer holds nothing that we know of."""
        held = 0
        for admin in self._admins.values():
            with suppress(OSError):
                held += int(await admin.call("HELD", within_ns=_WITHIN_NS))
        return held

    async def joined(self, links: Collection[Link]) -> None:
        """Return once both ends of each of ``links`` are connected, or after a while."""
        await self._until(links, joined=True)

    async def parted(self, links: Collection[Link]) -> None:
        """Return once both ends of each of ``links`` have given their connection up, or after a while."""
        await self._until(links, joined=False)

    async def _until(self, links: Collection[Link], *, joined: bool) -> None:
        ends = [(link.source, link.target) for link in links] + [(link.target, link.source) for link in links]
        last_s = time.monotonic() + _WAIT_S
        for one, other in ends:
            while one in self and other in self and time.monotonic() < last_s:
                with suppress(OSError):
                    if (other in await self._peers(one)) == joined:
                        break
                await asyncio.sleep(_LOOK_S)

    async def _peers(self, place: str) -> list[str]:
        answer = await self._admins[place].call("PEERS", within_ns=_WITHIN_NS)
        if not isinstance(answer, str):
            raise UnusableAnswerError(f"{place} does not say with whom it is connected")
        return answer.split()
