"""A place for one actor where time passes when the test says so, and the steps of a flow by hand."""

from __future__ import annotations

from random import Random
from typing import Any

from harness.reference.effects import Effect, Flow, Gate
from harness.reference.settings import Settings


class Workbench:
    """A ``Place``.

    Attributes:
        now_ns: the time on both clocks.
        sent: what was said to whom.
        spawned: the flows that were begun and not run.
    """

    name = "node-1"
    peers = ("node-1", "node-2")

    def __init__(self, settings: Settings, seed: int = 1) -> None:
        self.settings = settings
        self.random = Random(seed)
        self.now_ns = 0
        self.sent: list[tuple[str, Any]] = []
        self.spawned: list[Flow[Any]] = []

    def monotonic_ns(self) -> int:
        """The test's time."""
        return self.now_ns

    def wall_ns(self) -> int:
        """The same."""
        return self.now_ns

    def send(self, to: str, message: Any) -> None:
        """Note it."""
        self.sent.append((to, message))

    def become(self, role: str) -> None:
        """Nobody asks."""

    def spawn(self, flow: Flow[Any]) -> None:
        """Leave it to the test."""
        self.spawned.append(flow)


def advance(flow: Flow[Any], reply: Any = None) -> Effect | Any:
    """Send ``reply`` into ``flow``; the next effect that is no gate, or what it returned."""
    try:
        effect = flow.send(reply)
        while isinstance(effect, Gate):
            effect = flow.send(None)
    except StopIteration as stop:
        return stop.value
    return effect
