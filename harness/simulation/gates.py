"""Gates: the named points of flows at which a schedule can hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.reference.effects import Gate

if TYPE_CHECKING:
    from harness.simulation.machine import Task


class Gates:
    """Which gates are shut, and who stands before them.

    Attributes:
        held: for each shut gate, by the machine's name and the gate's, the flows that stand there.
    """

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], list[Task]] = {}

    def shut(self, machine: str, gate: str) -> None:
        """Hold every flow that comes to ``gate`` at ``machine`` from now on."""
        self.held.setdefault((machine, gate), [])

    def open(self, machine: str, gate: str) -> None:
        """Hold no more; whoever stands there goes on, in order."""
        for task in self.held.pop((machine, gate), ()):
            task.machine.go_on(task)

    def holds(self, machine: str, gate: Gate, task: Task) -> bool:
        """Whether ``task`` is held at ``gate``."""
        waiting = self.held.get((machine, gate.name))
        if waiting is None:
            return False
        waiting.append(task)
        return True

    def crowd(self) -> int:
        """How many flows are held."""
        return sum(map(len, self.held.values()))
