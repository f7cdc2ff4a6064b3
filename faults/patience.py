"""Steps that are tried again for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from faults.base import UnprovenError

T = TypeVar("T")

_AGAIN_S = 0.02


async def soon(step: Callable[[], Awaitable[T]], patience_ns: int) -> T:
    """What ``step`` gives, tried again for ``patience_ns`` while it fails."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + patience_ns / 1e9
    while True:
        try:
            return await step()
        except (UnprovenError, OSError):
            if loop.time() > give_up:
                raise
            await asyncio.sleep(_AGAIN_S)
