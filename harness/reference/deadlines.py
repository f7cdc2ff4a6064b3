"""Time that passes, and waits that end with it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

Act = Callable[[Any], None]


class Timer(Protocol):
    """A clock that can be asked to do something later, virtual or real."""

    @property
    def now_ns(self) -> int:
        """The time."""

    def at(self, time_ns: int, act: Act, argument: Any = None) -> None:
        """Let ``act(argument)`` happen at ``time_ns``, or soon if that is past."""


class Deadlines:
    """Many waits of one length, nearly all of which end before their time: one timer for all of them.

    Args:
        timer: whose time it is.
        after_ns: how long each waits.
        expire: told of every wait that was not over in time.
    """

    def __init__(self, timer: Timer, after_ns: int, expire: Callable[[Any], None]) -> None:
        self._timer = timer
        self._after_ns = after_ns
        self._expire = expire
        self._waits: deque[tuple[int, Any]] = deque()

    def begin(self, wait: Any) -> None:
        """Let ``wait`` expire after the common time. Whether it is over by then is for ``expire`` to know."""
        deadline_ns = self._timer.now_ns + self._after_ns
        if not self._waits:
            self._timer.at(deadline_ns, self._look)
        self._waits.append((deadline_ns, wait))

    def _look(self, _: Any) -> None:
        now_ns, waits = self._timer.now_ns, self._waits
        while waits and waits[0][0] <= now_ns:
            self._expire(waits.popleft()[1])
        if waits:
            self._timer.at(waits[0][0], self._look)
