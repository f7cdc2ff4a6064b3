"""Marks that cross the bus of a Redis cluster.

A message that is published at one node is sent to every other node over the connection that it keeps to that one: nobody else
passes it on. So a mark published at the source and heard at the target has crossed their link, on a connection that was there,
and its way back is a mark that is published at the target and heard at the source, on the connection that this one keeps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from time import monotonic_ns

from harness.candidates.redis_admin import Admin, RespConnection
from harness.runtimes.base import Way
from harness.topology import Link

_CHANNEL = "anachron:canary:"
_LISTENS_WITHIN_S = 1.0


class BusProbe:
    """Probes the link between two nodes of a cluster."""

    def __init__(self, link: Link, source: Admin, target: Admin, marks: Iterator[int]) -> None:
        self._channel = f"{_CHANNEL}{link}"
        self._ends = (source, target)
        self._ears = tuple(RespConnection(end.endpoint, end.access) for end in self._ends)
        self._marks = marks

    async def open(self) -> None:
        """Connect to both ends, and listen there; raises ``OSError``."""
        await asyncio.gather(*(end.call("PING") for end in self._ends))
        await asyncio.gather(*map(self._listen, self._ears))

    async def _listen(self, ear: RespConnection) -> None:
        async with asyncio.timeout(_LISTENS_WITHIN_S):
            await ear.open()
            ear.command("SUBSCRIBE", self._channel)
            await ear.reply()

    async def carry(self, within_ns: int, way: Way = Way.BOTH) -> int | None:
        """See ``harness.candidates.probes.Probe``."""
        ways = {Way.FORWARD: ((0, 1),), Way.BACKWARD: ((1, 0),), Way.BOTH: ((0, 1), (1, 0))}[way]
        took = await asyncio.gather(*(self._cross(at, to, within_ns) for at, to in ways))
        arrived = [one for one in took if one is not None]
        if len(arrived) == len(took):
            return max(arrived)
        await asyncio.gather(*(end.call("PING") for end in self._ends))  # the silence of a dead end would prove nothing
        return None

    async def _cross(self, at: int, to: int, within_ns: int) -> int | None:
        ear = self._ears[to]
        if not ear.is_open:
            # Who gives a server another role has it drop its clients, us too. That says nothing about the link.
            await self._listen(ear)
        mark = f"{at} {next(self._marks)}"
        begin_ns = monotonic_ns()
        await self._ends[at].call("PUBLISH", self._channel, mark)
        try:
            async with asyncio.timeout(within_ns / 1e9):
                while await ear.reply() != ["message", self._channel, mark]:
                    pass  # an earlier mark, late; or one of the other way, heard where it was published
        except TimeoutError:
            return None
        return monotonic_ns() - begin_ns

    async def close(self) -> None:
        """See ``harness.candidates.probes.Probe``."""
        for end, ear in zip(self._ends, self._ears, strict=True):
            end.close()
            ear.close()
