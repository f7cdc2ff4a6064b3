"""How bytes travel through a proxied link: lanes, and the flows of single connections on them.

A *lane* is one direction of a link, with its settings and counters. A *flow* is one direction of one connection: a queue from the
side that reads to the side that writes. Settings are looked at when bytes leave, not when they arrive, so a change is in force
for whatever has not been passed on yet. A queue never reorders; the end of a stream, or its reset, waits in it like bytes do.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from time import monotonic_ns
from typing import NamedTuple

HELD_MAX = 4 << 20
"""Bytes that a flow holds before it stops reading; about what a kernel's send buffer would take."""
PIECE_MAX = 64 << 10
"""Bytes passed on at once."""

_SECOND_NS = 1_000_000_000
_THROTTLE_QUANTUM_NS = 10_000_000
_THROTTLE_CREDIT_NS = 20_000_000


class Mark(Enum):
    """What a queue holds beside bytes."""

    END = "end"
    """The sender has finished."""
    RESET = "reset"
    """The sender's connection broke."""


class _Item(NamedTuple):
    arrived_ns: int
    chance: float
    """Place in the jitter, from -1 to 1."""
    content: memoryview | Mark


@dataclass
class Lane:
    """One direction of a link.

    Attributes:
        cut: nothing passes.
        delay_ns, jitter_ns: each chunk leaves so long after it came.
        bytes_per_second: of all connections together; None is no limit.
        passed: bytes passed on so far.
        chance: the source of jitter.
    """

    cut: bool = False
    delay_ns: int = 0
    jitter_ns: int = 0
    bytes_per_second: int | None = None
    passed: int = 0
    chance: random.Random = field(default_factory=random.Random)
    _free_at_ns: int = 0

    def throttle(self, bytes_per_second: int | None) -> None:
        """Limit the lane from now on, whatever it did before."""
        self.bytes_per_second = bytes_per_second
        self._free_at_ns = 0

    def mend(self) -> None:
        """Back to passing everything at once."""
        self.cut, self.delay_ns, self.jitter_ns = False, 0, 0
        self.throttle(None)

    def wait_ns(self, item: _Item, now_ns: int) -> int:
        """How much longer the delay holds ``item`` back."""
        return item.arrived_ns + max(0, self.delay_ns + int(item.chance * self.jitter_ns)) - now_ns

    def grant(self, size: int, now_ns: int) -> tuple[int, int]:
        """How many of ``size`` bytes may leave now and, if none, after how many ns to ask again.

        A token bucket that is told as the time at which the lane is free again after what it took. What was not used is kept for
        20 ms, which makes up for timers that fire late.
        """
        if self.bytes_per_second is None:
            return min(size, PIECE_MAX), 0
        piece = min(size, PIECE_MAX, max(1, self.bytes_per_second * _THROTTLE_QUANTUM_NS // _SECOND_NS))
        needs_ns = piece * _SECOND_NS // self.bytes_per_second
        if self._free_at_ns > now_ns:
            return 0, self._free_at_ns - now_ns
        self._free_at_ns = max(self._free_at_ns, now_ns - _THROTTLE_CREDIT_NS) + needs_ns
        return piece, 0


class Flow:
    """One direction of one connection; calls ``on_end`` when its end, or a reset, has been passed on."""

    def __init__(self, lane: Lane, on_end: Callable[[], None]) -> None:
        self.lane = lane
        self.held = 0
        self.kept = 0
        """Bytes that are kept back before they come here; they count for when to stop reading."""
        self.ended = False
        """Nothing more will be passed on."""
        self._on_end = on_end
        self._queue: deque[_Item] = deque()
        self._source: asyncio.Transport | None = None
        self._sink: asyncio.Transport | None = None
        self._writable = True
        self._timer: asyncio.TimerHandle | None = None

    def read_from(self, source: asyncio.Transport) -> None:
        """Take bytes from ``source``; it is paused while too much is held."""
        self._source = source

    def write_to(self, sink: asyncio.Transport) -> None:
        """Pass bytes on to ``sink``; until it is known they are held."""
        self._sink = sink
        self.pump()

    def feed(self, content: bytes | Mark) -> None:
        """Queue what came in, and pass on what may leave."""
        if self.ended:
            return
        waiting = content if isinstance(content, Mark) else memoryview(content)  # cheap to cut into pieces
        self._queue.append(_Item(monotonic_ns(), self.lane.chance.uniform(-1, 1), waiting))
        if isinstance(content, bytes):
            self.held += len(content)
        self.pump()

    def keep(self, kept: int) -> None:
        """So many bytes are kept back before the flow now."""
        if kept != self.kept:
            self.kept = kept
            self._throttle_source()

    def set_writable(self, writable: bool) -> None:  # noqa: FBT001  # a state told by the transport, not a mode
        """The sink takes more bytes, or no more for now."""
        self._writable = writable
        if writable:
            self.pump()

    def stop(self) -> None:
        """Nothing is passed on any more."""
        self.ended = True
        self._queue.clear()
        self.held = self.kept = 0
        self._cancel_timer()

    def pump(self) -> None:
        """Pass on everything that may leave now, and come back for the rest when its time comes."""
        self._cancel_timer()
        while self._queue and self._sink and not self._sink.is_closing() and self._writable and not self.lane.cut:
            now_ns = monotonic_ns()
            item = self._queue[0]
            wait_ns = self.lane.wait_ns(item, now_ns)
            if wait_ns > 0:
                self._later(wait_ns)
                break
            if isinstance(item.content, Mark):
                self._finish(self._sink, item.content)
                break
            size, wait_ns = self.lane.grant(len(item.content), now_ns)
            if size == 0:
                self._later(wait_ns)
                break
            if size == len(item.content):
                self._queue.popleft()
            else:
                self._queue[0] = item._replace(content=item.content[size:])
            self.held -= size
            self.lane.passed += size
            self._sink.write(item.content[:size])
        self._throttle_source()

    def _finish(self, sink: asyncio.Transport, mark: Mark) -> None:
        self.stop()
        if mark is Mark.RESET:
            reset(sink)
        else:
            try:
                sink.write_eof()
            except OSError:  # the other side broke meanwhile; asyncio has not told yet
                sink.abort()
        self._on_end()

    def _throttle_source(self) -> None:
        if self._source is None or self._source.is_closing():
            return
        if self.held + self.kept > HELD_MAX:
            self._source.pause_reading()
        elif self.held + self.kept <= HELD_MAX // 2:
            self._source.resume_reading()

    def _later(self, wait_ns: int) -> None:
        self._timer = asyncio.get_running_loop().call_later(wait_ns / _SECOND_NS, self.pump)

    def _cancel_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None


def reset(transport: asyncio.Transport) -> None:
    """Close a connection with RST, as a crash or a middlebox would, instead of FIN."""
    connection = transport.get_extra_info("socket")
    if connection is not None and not transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
