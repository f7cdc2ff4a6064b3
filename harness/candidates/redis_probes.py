"""Marks that cross the links of Redis-like servers: what shows whether a link carries, in which direction, and how fast.

A replica's link is probed with what really runs on it, replication: a mark is written at the primary and looked for at the
replica, both over connections straight to the nodes, opened beforehand, so that only the link between the two can lose or delay
it. ``master_link_status`` would be no proof: it stays ``up`` until ``repl-timeout`` has passed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from time import monotonic_ns

from harness.candidates.redis_admin import Admin, Connection, UnusableAnswerError
from harness.runtimes.base import Endpoint, Way
from harness.topology import Link

PREFIX = "anachron:canary:"
"""Keys of the harness's own; workloads stay out of them."""

_POLL_S = 0.001
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
        """See ``harness.candidates.base.Probe``."""
        mark = str(next(self._marks))
        begin_ns = monotonic_ns()
        await self._primary.call("SET", self._key, mark)
        if way is not Way.FORWARD:
            return await self._wait_for(lambda: self._seen(mark), begin_ns, within_ns)
        offset = await self._primary.info_number("replication", "master_repl_offset")
        # A replica tells its offset once a second. WAIT makes the primary ask for it now; its own answer is of no interest.
        asking = Connection(self._primary.endpoint)
        try:
            await asking.open()
            asking.send("WAIT", _MORE_THAN_ALL, "0")
            return await self._wait_for(lambda: self._acknowledged(offset), begin_ns, within_ns)
        finally:
            asking.close()

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
        for name, value in (await self._primary.info("replication")).items():
            if name.startswith("slave"):
                fields = dict(part.split("=", 1) for part in value.split(",") if "=" in part)
                if (fields.get("ip"), fields.get("port")) == (self._announced.host, str(self._announced.port)):
                    seen = fields.get("offset", "")
                    return seen.isdecimal() and int(seen) >= offset
        return False

    async def close(self) -> None:
        """See ``harness.candidates.base.Probe``."""
        self._primary.close()
        self._replica.close()


class ClientProbe:
    """Probes the link from clients to a node: a PING there and back, on a connection opened as a client opens its own."""

    def __init__(self, through: Endpoint, node: Admin, marks: Iterator[int]) -> None:
        self._through = Connection(through)
        self._node = node
        self._marks = marks

    async def open(self) -> None:
        """Connect; raises ``OSError``."""
        await self._node.call("PING")
        if await self.carry(1_000_000_000) is None:
            raise UnusableAnswerError(f"{self._through} does not answer")

    async def carry(self, within_ns: int, way: Way = Way.BOTH) -> int | None:  # noqa: ARG002 - a PING needs both ways
        """See ``harness.candidates.base.Probe``."""
        mark = str(next(self._marks))
        begin_ns = monotonic_ns()
        try:
            async with asyncio.timeout(within_ns / 1e9):
                if not self._through.is_open:
                    await self._through.open()
                self._through.send("PING", mark)
                while await self._through.receive() != mark:
                    pass  # an answer to an earlier mark, late
                return monotonic_ns() - begin_ns
        except OSError:  # a time-out, or a link that refuses: either way the mark did not come back
            await self._node.call("PING")
            return None

    async def close(self) -> None:
        """See ``harness.candidates.base.Probe``."""
        self._through.close()
        self._node.close()
