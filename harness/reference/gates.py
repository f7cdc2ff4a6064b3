"""Gates: the named points of flows at which a schedule can hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.reference.effects import Gate

if TYPE_CHECKING:
    from harness.reference.host import Task


class Gates:
    """Which gates are shut, and who stands before them.

    Attributes:
        held: for each shut gate, by the place's name and the gate's, the flows that stand there.
    """

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], list[Task]] = {}

    def shut(self, place: str, gate: str) -> None:
        """Hold every flow that comes to ``gate`` at ``place`` from now on."""
        self.held.setdefault((place, gate), [])

    def open(self, place: str, gate: str) -> None:
        """Hold no more; whoever stands there goes on, in order."""
        for task in self.held.pop((place, gate), ()):
            task.host.go_on(task)

    def holds(self, place: str, gate: Gate, task: Task) -> bool:
        """Whether ``task`` is held at ``gate``."""
        waiting = self.held.get((place, gate.name))
        if waiting is None:
            return False
        waiting.append(task)
        return True

    def crowd(self) -> int:
        """How many flows are held."""
        return sum(map(len, self.held.values()))
