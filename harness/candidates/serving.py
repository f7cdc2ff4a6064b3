"""When a node that was started serves, and what is said of one that does not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic_ns

from harness.errors import StartupError
from harness.runtimes.base import Runtime

_POLL_S = 0.01


async def served(runtime: Runtime, node: str, missing: Callable[[str], Awaitable[str]], within_s: float) -> None:
    """Return when ``node`` lacks nothing any more; raises ``StartupError`` with what it lacks if that is not so in time.

    Args:
        runtime: where it runs.
        node: which one.
        missing: tells what it still lacks; empty if nothing. May raise ``OSError`` while it is silent.
        within_s: how long it may take.
    """
    deadline_ns = monotonic_ns() + int(within_s * 1e9)
    lacks = "nothing was heard of it"
    while monotonic_ns() < deadline_ns:
        if not await runtime.state(node):
            raise not_serving(runtime, node, "its process has ended")
        try:
            lacks = await missing(node)
        except OSError as error:
            lacks = str(error)
        if not lacks:
            return
        await asyncio.sleep(_POLL_S)
    raise not_serving(runtime, node, f"after {within_s:.0f}s {lacks}")


def not_serving(runtime: Runtime, node: str, what: str) -> StartupError:
    """The error that says so, with the end of the node's log."""
    log = runtime.log_end(node)
    return StartupError(f"{node} does not serve: {what}", why=f"the end of its log:\n{log}" if log else "its log is empty")


class OnRuntime:
    """What runs on a runtime once it has been started: sets ``_runtime`` then, and asks for ``_running``."""

    _runtime: Runtime | None = None

    @property
    def _running(self) -> Runtime:
        if self._runtime is None:
            raise RuntimeError("the candidate was not started")
        return self._runtime
