"""Marks that cross the links of Redis-like servers: what shows whether a link carries, in which direction, and how fast.

A replica's link is probed with what really runs on it, replication: a mark is written at the primary and looked for at the
replica, both over connections straight to the nodes, opened beforehand, so that only the link between the two can lose or delay
it. ``master_link_status`` would be no proof: it stays ``up`` until ``repl-timeout`` has passed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from time import monotonic_ns

from harness.candidates.asking import UnusableAnswerError
from harness.candidates.probes import IdleLinkError
from harness.candidates.redis_admin import Admin, RespConnection
from harness.candidates.redis_bus import BusProbe
from harness.runtimes.base import Endpoint, Way
from harness.topology import Link

PREFIX = "anachron:canary:"
"""Keys of the harness's own; workloads stay out of them."""

_POLL_S = 0.001
_PING_POLL_S = 0.01
_MORE_THAN_ALL = "1000"


class ReplicationProbe:
    """Probes the link that a replica opened to its primary.

    Backward is the way of the data: the mark arrives at the replica. Forward is the way of the acknowledgements: the primary is
    asked for the replica's offset until it has passed the mark. Data that goes through says nothing about the way back.
    """

    def __init__(self, link: Link, primary: Admin, replica: Admin, announced: Endpoint, marks: Iterator[int]) -> None:
        self._key = f"{PREFIX}{link}"
        self._primary = primary
        self._replica = replica
        self._announced = announced
        self._marks = marks

    async def open(self) -> None:
        """Connect to both ends; raises ``OSError``."""
        await asyncio.gather(self._primary.call("PING"), self._replica.call("PING"))

    async def carry(self, within_ns: int, way: Way = Way.BOTH) -> int | None:
        """See ``harness.candidates.probes.Probe``."""
        mark = str(next(self._marks))
        begin_ns = monotonic_ns()
        await self._write(mark)
        if way is not Way.FORWARD:
            return await self._wait_for(lambda: self._seen(mark), begin_ns, within_ns)
        offset = await self._primary.info_number("replication", "master_repl_offset")
        # A replica tells its offset once a second. WAIT makes the primary ask for it now; its own answer is of no interest.
        asking = RespConnection(self._primary.endpoint, self._primary.access)
        try:
            await asking.open()
            asking.command("WAIT", _MORE_THAN_ALL, "0")
            return await self._wait_for(lambda: self._acknowledged(offset), begin_ns, within_ns)
        finally:
            asking.close()

    async def carry_load(self, size: int, within_ns: int) -> int | None:
        """See ``harness.candidates.probes.LoadProbe``: the stream keeps its order."""
        begin_ns = monotonic_ns()
        await self._write("x" * size)
        took_ns = await self.carry(within_ns, Way.BACKWARD)
        return None if took_ns is None else monotonic_ns() - begin_ns

    async def _write(self, value: str) -> None:
        """Raises ``OSError``, and ``IdleLinkError`` if the primary has become a replica."""
        try:
            await self._primary.call("SET", self._key, value)
        except UnusableAnswerError:
            if (await self._primary.info("replication")).get("role") == "master":
                raise
            raise IdleLinkError("the primary has been given another role: nothing runs on its links any more") from None

    async def silence_ns(self) -> int | None:
        """See ``harness.candidates.probes.HearingProbe``: a replica acknowledges once a second, whether there is news or not."""
        lag = (await self._as_the_primary_sees_it()).get("lag", "")
        return int(lag) * 1_000_000_000 if lag.isdecimal() else None

    async def _wait_for(self, arrived: Callable[[], Awaitable[bool]], begin_ns: int, within_ns: int) -> int | None:
        while True:
            has_arrived = await arrived()
            took_ns = monotonic_ns() - begin_ns
            if has_arrived:
                return took_ns
            if took_ns >= within_ns:
                await self._replica.call("PING")  # an end that does not serve raises: its silence would prove nothing
                return None
            await asyncio.sleep(_POLL_S)

    async def _seen(self, mark: str) -> bool:
        return bool(await self._replica.call("GET", self._key) == mark)

    async def _acknowledged(self, offset: int) -> bool:
        seen = (await self._as_the_primary_sees_it()).get("offset", "")
        return seen.isdecimal() and int(seen) >= offset

    async def _as_the_primary_sees_it(self) -> dict[str, str]:
        """What the primary says of the replica; nothing if it does not know it (any more)."""
        for name, value in (await self._primary.info("replication")).items():
            if name.startswith("slave"):
                fields = dict(part.split("=", 1) for part in value.split(",") if "=" in part)
                if (fields.get("ip"), fields.get("port")) == (self._announced.host, str(self._announced.port)):
                    return fields
        return {}

    async def close(self) -> None:
        """See ``harness.candidates.probes.Probe``."""
        self._primary.close()
        self._replica.close()


class ClientProbe:
    """Probes the link from clients to a node: a PING there and back, on a connection opened as a client opens its own."""

    def __init__(self, through: Endpoint, node: Admin, marks: Iterator[int]) -> None:
        self._through = RespConnection(through, node.access)
        self._node = node
        self._marks = marks

    async def open(self) -> None:
        """Connect; raises ``OSError``."""
        await self._node.call("PING")
        if await self.carry(1_000_000_000) is None:
            raise UnusableAnswerError(f"{self._through} does not answer")

    async def carry(self, within_ns: int, way: Way = Way.BOTH) -> int | None:  # noqa: ARG002 - a PING needs both ways
        """See ``harness.candidates.probes.Probe``."""
        return await self.carry_load(0, within_ns)

    async def carry_load(self, size: int, within_ns: int) -> int | None:
        """See ``harness.candidates.probes.LoadProbe``; the load goes both ways."""
        mark = f"{next(self._marks)}{'x' * size}"
        begin_ns = monotonic_ns()
        try:
            async with asyncio.timeout(within_ns / 1e9):
                if not self._through.is_open:
                    await self._through.open()
                self._through.command("PING", mark)
                while await self._through.reply() != mark:
                    pass  # an answer to an earlier mark, late
                return monotonic_ns() - begin_ns
        except OSError:  # a time-out, or a link that refuses: either way the mark did not come back
            await self._node.call("PING")
            return None

    async def close(self) -> None:
        """See ``harness.candidates.probes.Probe``."""
        self._through.close()
        self._node.close()


class StreamProbe:
    """Probes the link between a replica and its primary without writing: what is published at the primary arrives in its stream.

    Args:
        bus: marks by publication.
        acknowledged: the probe for the way of the acknowledgements.
        data: the way of the stream, from the primary to the replica.
        follows: whether the replica still follows this primary.
    """

    def __init__(self, bus: BusProbe, acknowledged: ReplicationProbe, data: Way, follows: Callable[[], Awaitable[bool]]) -> None:
        self._bus = bus
        self._acknowledged = acknowledged
        self._data = data
        self._follows = follows

    async def open(self) -> None:
        """Connect to both ends; raises ``OSError``."""
        await asyncio.gather(self._bus.open(), self._acknowledged.open())

    async def carry(self, within_ns: int, way: Way = Way.BOTH) -> int | None:
        """See ``harness.candidates.probes.Probe``."""
        if way in (Way.BOTH, self._data):
            took_ns = await self._bus.carry(within_ns, self._data)
        else:
            took_ns = await self._acknowledged.carry(within_ns, Way.FORWARD)
        if took_ns is None and not await self._follows():
            raise IdleLinkError("the replica has been given another role: nothing runs on its link any more")
        return took_ns

    async def close(self) -> None:
        """See ``harness.candidates.probes.Probe``."""
        await asyncio.gather(self._bus.close(), self._acknowledged.close())


class PingProbe:
    """Probes a sentinel's link to another node: it pings it all the time, and tells how long ago the last good answer was.

    A ping needs both ways. How long it took is not known to better than the time between two pings. An answer counts as a mark
    only if the sentinel read it after everything that had arrived before: it may be slow, and find the answer to an older ping
    among what waits for it.
    """

    coarse_ns = 200_000_000

    def __init__(self, source: Admin, target: Admin, age_ms: Callable[[], Awaitable[int | None]]) -> None:
        self._ends = (source, target)
        self._age_ms = age_ms

    async def open(self) -> None:
        """Connect to both ends; raises ``OSError``."""
        await asyncio.gather(*(end.call("PING") for end in self._ends))

    async def carry(self, within_ns: int, way: Way = Way.BOTH) -> int | None:  # noqa: ARG002 - a ping needs both ways
        """See ``harness.candidates.probes.Probe``."""
        begin_ns = monotonic_ns()
        # It reads what has arrived in rounds. The first question falls into some round; before the second is answered, that
        # one is over, and whatever had arrived when it began has been read.
        for _ in range(2):
            await self._age_ms()
        all_read_ns = monotonic_ns()
        while True:
            asked_ns = monotonic_ns()
            age_ms = await self._age_ms()
            # Counted from before the question, however long the way of its answer; and in whole milliseconds, cut off.
            if age_ms is not None and asked_ns - (age_ms + 1) * 1_000_000 > all_read_ns:
                return monotonic_ns() - begin_ns
            if monotonic_ns() - begin_ns >= within_ns:
                await asyncio.gather(*(end.call("PING") for end in self._ends))  # the silence of a dead end proves nothing
                return None
            await asyncio.sleep(_PING_POLL_S)

    async def close(self) -> None:
        """See ``harness.candidates.probes.Probe``."""
        for end in self._ends:
            end.close()
