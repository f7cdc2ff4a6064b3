"""What time it is at a node, by its own word."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from faults.administering import RESP, administered
from harness.candidates.asking import Asking, Connection, UnusableAnswerError
from harness.candidates.base import Cluster
from harness.candidates.memcached_admin import Lines
from harness.candidates.redis_admin import Admin
from harness.topology import Node

MEMCACHED = "memcached"

_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Offset:
    """How far ahead of the harness's clock a node's was, give or take ``within_ns``."""

    ahead_ns: int
    within_ns: int


class Timepiece(Protocol):
    """Tells the time at one node.

    Attributes:
        shows_ns: how soon it shows that the clock was bent.
    """

    shows_ns: int

    async def offset(self) -> Offset:
        """How far ahead it is now; raises ``OSError``."""

    def close(self) -> None:
        """Give the connection back."""


def timepiece(cluster: Cluster, node: Node) -> Timepiece:
    """The clock of ``node``, which speaks RESP or memcached's protocol."""
    return _Resp(administered(cluster, node)) if node.protocol == RESP else _Memcached(cluster, node)


class _Resp:
    """``TIME`` of Redis and Valkey: to the microsecond."""

    shows_ns = 0

    def __init__(self, admin: Admin) -> None:
        self._admin = admin

    async def offset(self) -> Offset:
        asked_ns = time.time_ns()
        reply = await self._admin.call("TIME")
        told_ns = time.time_ns()
        match reply:
            case [str(seconds), str(micros)] if seconds.isdecimal() and micros.isdecimal():
                now_ns = int(seconds) * _SECOND_NS + int(micros) * 1000
            case _:
                raise UnusableAnswerError(f"TIME was answered with {reply!r:.80}")
        return Offset(now_ns - (asked_ns + told_ns) // 2, (told_ns - asked_ns) // 2)

    def close(self) -> None:
        self._admin.close()


class _Memcached:
    """``stats`` of memcached, which counts seconds and looks at the clock once in each."""

    shows_ns = 1_500_000_000

    def __init__(self, cluster: Cluster, node: Node) -> None:
        self._asking = Asking(Connection(cluster.runtime.endpoint(node.name), Lines))

    async def offset(self) -> Offset:
        lines = await self._asking.ask(b"stats\r\n", "stats")
        told_ns = time.time_ns()
        seconds = next((line.removeprefix("STAT time ") for line in lines if line.startswith("STAT time ")), "")
        if not seconds.isdecimal():
            raise UnusableAnswerError(f"{self._asking} does not say what time it is: {seconds!r:.80}")
        return Offset(int(seconds) * _SECOND_NS - told_ns, _SECOND_NS)

    def close(self) -> None:
        self._asking.close()
