"""A bug: a design with one thing done wrong, the schedule that shows it, and what must be found then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.reference.design import Design

HOT = {"kind": "register", "keys": 30, "sessions": 12, "rate": 1200.0}
COLD = {"kind": "cold-register", "sessions": 6, "scale": 0.2}
MANY = {"kind": "multi-key", "sessions": 24, "rate": 1200.0}
WIDE = {"kind": "register", "keys": 800, "sessions": 60, "rate": 1200.0, "zipf": 0.3, "reads": 0.7}
"""Many keys, each written now and then: what is wrong with one stays wrong for a while."""

SLOW_SOURCE = {
    "kind": "reorder",
    "between": (("node",), ("origin",)),
    "after": "500ms",
    "every": "2500ms",
    "lasts": "1500ms",
    "probability": 0.1,
    "by": "300ms",
}
"""Every tenth request to the source, and every tenth answer, takes far longer than the others."""


@dataclass(frozen=True, slots=True)
class Bug:
    """One classic mistake.

    Attributes:
        name: as in ``reference:broadcast-alo+blind-refill``.
        number: in the catalogue of cache bugs (``anachron list bugs``).
        correct: the nearest correct design; it must keep its promise under the same schedule.
        broken: the same with the mistake in it; it is held to the promise of ``correct``.
        title: the mistake in a few words.
        mechanism: how it comes about, in a few sentences.
        observed: what somebody outside sees.
        seen_in: where it happened in public.
        fix: the setting or the rule that prevents it.
        schedule: four to eight steps that make it happen (``harness.simulation.script``).
        fires: the findings that must break the contract then, all of them.
        consequences: further ones that may; any other is a false alarm.
        nodes: how many cache nodes the schedule takes.
        workloads, faults: what random runs are driven and struck with, as in a plan.
    """

    name: str
    number: int
    correct: Design
    broken: Design
    title: str
    mechanism: str
    observed: str
    seen_in: tuple[str, ...]
    fix: str
    schedule: str
    fires: frozenset[str]
    consequences: frozenset[str] = frozenset()
    nodes: int = 3
    workloads: tuple[Mapping[str, Any], ...] = (HOT, COLD)
    faults: tuple[Mapping[str, Any], ...] = ()

    @property
    def full_name(self) -> str:
        """As a plan names it: ``broadcast-alo+blind-refill``."""
        return f"{self.correct.name}+{self.name}"
