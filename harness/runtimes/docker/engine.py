"""Calls to the Docker engine that do not hold up the event loop and fail with a sentence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import docker

from harness.errors import HarnessError
from harness.images.engine import ENGINE_ERRORS

T = TypeVar("T")

WITHIN_S = 60
"""How long the engine may take for one call: to start or to remove a container on a busy machine takes seconds."""

_SLOTS = 3
"""Calls that make the engine work hard, at the same time: two processors start containers no faster with more."""


class Engine:
    """A client of the engine, for coroutines.

    Attributes:
        client: the SDK's client, which blocks.
    """

    def __init__(self, client: docker.DockerClient) -> None:
        self.client = client
        self._slots = asyncio.Semaphore(_SLOTS)
        self._running: set[asyncio.Future[Any]] = set()

    async def ask(self, what: str, call: Callable[[], T]) -> T:
        """What ``call`` returns; raises ``HarnessError`` that says the engine cannot do ``what``.

        A call goes on when its caller is cancelled: see ``settle``.
        """
        async with self._slots:
            running = asyncio.ensure_future(asyncio.to_thread(call))
            self._running.add(running)
            running.add_done_callback(self._running.discard)
            try:
                return await asyncio.shield(running)
            except ENGINE_ERRORS as error:
                raise HarnessError(f"the Docker engine cannot {what}", why=reason(error)) from error

    async def settle(self) -> None:
        """Return when no call is under way: only then is it known what there is to remove."""
        while self._running:
            await asyncio.wait(self._running)


def reason(error: Exception) -> str:
    """What the engine said, without the address of the request."""
    return str(getattr(error, "explanation", None) or error)
