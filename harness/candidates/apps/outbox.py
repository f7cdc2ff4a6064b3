"""What could not be told to a server yet, and is tried again until it could; in memory, so gone with the process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

_AGAIN_S = 0.05

News = TypeVar("News", bound=Hashable)


class Outbox(Generic[News]):
    """News in the order in which they came, each once; of keys, as a rule.

    Args:
        tell: tells the server of one; raises ``OSError`` where that failed, and may be told of it again.
    """

    def __init__(self, tell: Callable[[News], Awaitable[None]]) -> None:
        self._tell = tell
        self._waiting: dict[News, None] = {}
        self._telling: asyncio.Task[None] | None = None

    def add(self, news: News) -> None:
        """Tell of ``news`` as soon as it can be told."""
        # What is being told now may have been sent before this; so it goes to the end.
        self._waiting.pop(news, None)
        self._waiting[news] = None
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while self._waiting:
            news = next(iter(self._waiting))
            del self._waiting[news]
            try:
                await self._tell(news)
            except OSError:
                self._waiting = {news: None, **self._waiting}
                await asyncio.sleep(_AGAIN_S)
