"""Virtual time: a heap of things that will happen, each at its time, equals in the order in which they were planned."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from typing import Any

from harness.reference.deadlines import Act


class Engine:
    """A clock that jumps from one event to the next.

    Attributes:
        now_ns: the virtual time.
    """

    def __init__(self) -> None:
        self.now_ns = 0
        self._heap: list[tuple[int, int, Act, Any]] = []
        self._planned = 0

    @property
    def ahead(self) -> int:
        """How many events are planned and have not happened."""
        return len(self._heap)

    @property
    def events(self) -> int:
        """How many have happened."""
        return self._planned - len(self._heap)

    def at(self, time_ns: int, act: Act, argument: Any = None) -> None:
        """Let ``act(argument)`` happen at ``time_ns``, or now if that is past."""
        self._planned += 1
        heappush(self._heap, (time_ns, self._planned, act, argument))

    def run(self, until_ns: int) -> None:
        """Let everything happen that is due by ``until_ns``, which is then the time."""
        heap = self._heap
        while heap and heap[0][0] <= until_ns:
            time_ns, _, act, argument = heappop(heap)
            if time_ns > self.now_ns:  # noqa: PLR1730 - max() costs as much as the rest of the turn
                self.now_ns = time_ns
            act(argument)
        self.now_ns = until_ns

    def run_while(self, condition: Callable[[], bool], until_ns: int) -> None:
        """Let things happen one by one while ``condition`` holds and something is due by ``until_ns``."""
        heap = self._heap
        while condition() and heap and heap[0][0] <= until_ns:
            self.run_one()

    def run_one(self) -> None:
        """Let the next thing happen."""
        time_ns, _, act, argument = heappop(self._heap)
        self.now_ns = max(self.now_ns, time_ns)
        act(argument)


@contextmanager
def uncollected() -> Iterator[None]:
    """Without Python's search for cyclic garbage: a run leaves hardly any, and each search walks through the whole fleet.

    It takes half of a run's time, and more of a large fleet's.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
