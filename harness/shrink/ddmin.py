"""Delta debugging: the few of many items that a test still fails with (Zeller and Hildebrandt, TSE 2002)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Generic, TypeVar

T = TypeVar("T")


class Bounded(Generic[T]):
    """A test that is asked so often and no more: then its answer is no. A case that was tested is not tested again.

    Args:
        test: whether a case still shows what is looked for.
        most: how often it may be asked.
        late: whether there is no time for another one.

    Attributes:
        asked: how often it was asked.
        spent: whether an answer was no for want of tries or time: then a smaller case may have been missed.
    """

    def __init__(self, test: Callable[[T], bool], most: int, late: Callable[[], bool] = lambda: False) -> None:
        self._test = test
        self._most = most
        self._late = late
        self._known: dict[T, bool] = {}
        self.asked = 0
        self.spent = False

    def __call__(self, case: T) -> bool:
        """Whether ``case`` shows it."""
        if case in self._known:
            return self._known[case]
        if self.asked >= self._most or self._late():
            self.spent = True
            return False
        self.asked += 1
        found = self._known[case] = self._test(case)
        return found


def ddmin(items: Sequence[T], test: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    """A part of ``items``, in their order, with which ``test`` holds, and without any one of which it does not.

    ``test`` holds for all ``items``. It need not be monotone: then another, smaller part may exist.

    >>> ddmin("a stitch in time", lambda part: {"s", "t"} <= set(part))
    ('s', 't')
    """
    rest = tuple(items)
    if rest and test(()):
        return ()
    parts = 2
    while len(rest) > 1:
        edges = [len(rest) * part // parts for part in range(parts + 1)]
        smaller = next(filter(test, (rest[begin:end] for begin, end in pairwise(edges))), None)
        if smaller is not None:
            rest, parts = smaller, 2
            continue
        # Of two parts each is what the other leaves.
        leaving = (rest[:begin] + rest[end:] for begin, end in pairwise(edges)) if parts > 2 else ()  # noqa: PLR2004
        smaller = next(filter(test, leaving), None)
        if smaller is not None:
            rest, parts = smaller, parts - 1
        elif parts < len(rest):
            parts = min(2 * parts, len(rest))
        else:
            break
    return rest
