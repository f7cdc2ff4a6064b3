"""A gate before a flow: it lets whole messages go on by the rules of ``messages``, and keeps the end of a stream behind them.

Where nothing is kept back it adds nothing: bytes go on in the turn in which they came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from time import monotonic_ns

from harness.runtimes.messages import Relay
from harness.runtimes.shaping import Flow, Mark


class Gate:
    """Takes what one side reads, and feeds ``flow`` with what ``relay`` lets go on."""

    def __init__(self, flow: Flow, relay: Relay) -> None:
        self.relay = relay
        self._flow = flow
        self._end: Mark | None = None
        self._timer: asyncio.TimerHandle | None = None

    def feed(self, content: bytes | Mark) -> None:
        """Bytes came in, or the end of the stream: it waits until nothing is kept back, as it would behind bytes."""
        if isinstance(content, Mark):
            self._end = content
            self._pass(())
        else:
            self._pass(self.relay.feed(content, monotonic_ns()))

    def release(self) -> None:
        """Let everything go on that is kept back."""
        self._pass(self.relay.release())

    def stop(self) -> None:
        """Nothing is passed on any more."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _pass(self, contents: Iterable[bytes]) -> None:
        flow = self._flow
        if flow.ended:
            return
        for content in contents:
            flow.feed(content)
        kept = self.relay.keeps
        if not (kept or flow.kept or self._end or self._timer):
            return
        if self._end and not kept:
            for content in self.relay.rest():
                flow.feed(content)
            flow.feed(self._end)
            return
        flow.keep(kept)
        self.stop()
        if self.relay.next_ns is not None:
            wait_ns = max(0, self.relay.next_ns - monotonic_ns())
            self._timer = asyncio.get_running_loop().call_later(wait_ns / 1e9, self._ripen)

    def _ripen(self) -> None:
        self._timer = None
        self._pass(self.relay.ripe(monotonic_ns()))
