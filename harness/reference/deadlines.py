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
        over: whether a wait is over.
        expire: told of every wait that was not over in time.
    """

    def __init__(self, timer: Timer, after_ns: int, over: Callable[[Any], bool], expire: Callable[[Any], None]) -> None:
        self._timer = timer
        self._after_ns = after_ns
        self._over = over
        self._expire = expire
        self._waits: deque[tuple[int, Any]] = deque()
        self._set = False

    def begin(self, wait: Any) -> None:
        """Let ``wait`` expire after the common time, unless it is over by then."""
        waits = self._waits
        while waits and self._over(waits[0][1]):
            waits.popleft()
        deadline_ns = self._timer.now_ns + self._after_ns
        waits.append((deadline_ns, wait))
        if not self._set:
            self._set = True
            self._timer.at(deadline_ns, self._look)

    def _look(self, _: Any) -> None:
        now_ns, waits = self._timer.now_ns, self._waits
        while waits and (waits[0][0] <= now_ns or self._over(waits[0][1])):
            _, wait = waits.popleft()
            if not self._over(wait):
                self._expire(wait)
        self._set = bool(waits)
        if waits:
            self._timer.at(waits[0][0], self._look)
