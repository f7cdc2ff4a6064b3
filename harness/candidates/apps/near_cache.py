"""A cache in the application's own process, kept in step by invalidations that come from elsewhere, at any time."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Fill:
    """A value on its way into the cache; void once its key was invalidated meanwhile."""

    def __init__(self) -> None:
        self.void = False


class NearCache:
    """Values by key.

    A fill begins before its value is read from the source. An invalidation that comes before it ends voids it: what was read may
    be the value from before.

    Args:
        ttl_s: how long a value is kept; 0 for as long as nobody invalidates it.
    """

    def __init__(self, ttl_s: float) -> None:
        self._ttl_s = ttl_s
        self._entries: dict[bytes, tuple[bytes, float]] = {}
        self._fills: defaultdict[bytes, set[Fill]] = defaultdict(set)

    def get(self, key: bytes) -> bytes | None:
        """The value, unless its time is over."""
        value, until_s = self._entries.get(key, (None, 0.0))
        return value if not self._ttl_s or time.monotonic() < until_s else None

    @contextmanager
    def filling(self, key: bytes) -> Iterator[Fill]:
        """A fill that lasts as long as the context."""
        fill = Fill()
        self._fills[key].add(fill)
        try:
            yield fill
        finally:
            self._fills[key].discard(fill)
            if not self._fills[key]:
                del self._fills[key]

    def put(self, key: bytes, value: bytes, fill: Fill) -> None:
        """Keep the value, if the fill still holds."""
        if not fill.void:
            self._entries[key] = value, time.monotonic() + self._ttl_s

    def invalidate(self, key: bytes) -> None:
        """Forget a key, and let nothing in that was read before now."""
        self._entries.pop(key, None)
        for fill in self._fills.get(key, ()):
            fill.void = True

    def flush(self) -> None:
        """Forget everything, and let nothing in that was read before now."""
        self._entries.clear()
        for fills in self._fills.values():
            for fill in fills:
                fill.void = True
