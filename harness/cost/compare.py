"""Where counting says something else than theory, on virtual fleets and on real ones, and what is known of why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.cost.records import Real
from harness.cost.study import Row

TOLERANCE = 0.15
"""From this share on a difference is told."""
_LEAST = {"write_ns": 1e5, "messages": 1.0, "origin": 5.0, "metadata": 2.0, "cut_reads": 0.25}
"""Differences below this are nothing to tell, whatever their share."""
_REAL = {"messages": 1.0, "origin": 5.0, "metadata": 2.0, "idle": 10.0}
"""The same for real fleets. The time of a write is not compared: loopback is another network than the modelled one."""
_SHOWN = 4
_LATE_FILL = "who does not get the lease asks again every few milliseconds until the fill is done, which takes longer here"
_LATE_DROP = "a renewal is refused while the node owes an answer to Drop, and asked for again at once; answers take longer here"
_LATE_COMMIT = "while a write of a key is under way its owner asks the source for each read of it; commits take longer here"
_SWEPT = "counted at one moment, and what is not wanted any more goes all at once now and then"
_CAUSES: Mapping[tuple[str, str], str] = {
    ("lease", "messages"): _LATE_FILL,
    ("lease", "origin"): _LATE_FILL,
    ("owner", "messages"): _LATE_COMMIT,
    ("owner", "origin"): _LATE_COMMIT,
    ("sync-invalidation", "messages"): _LATE_DROP,
    ("sync-invalidation", "origin"): _LATE_DROP,
    ("two-tier", "messages"): _LATE_FILL,
    ("versioned-keys", "metadata"): _SWEPT,
}
"""Why real fleets may differ from theory, by strategy and quantity: for theory, what is under way is over at once."""
_BORNE = 0.9
"""A fleet that has borne less than this share of its load has been asked less than theory takes it to be."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Where counting says something else than theory.

    Attributes:
        strategy, nodes, quantity: of what.
        form, counted: both words.
        real: whether it was a real fleet that was counted.
        why: what is known of it; empty if nothing is.
    """

    strategy: str
    nodes: int
    quantity: str
    form: float
    counted: float
    real: bool = False
    why: str = ""

    def __str__(self) -> str:
        who, model = ("real nodes", "model") if self.real else ("nodes", "theory")
        what = self.quantity.removesuffix("_ns").replace("_", " ")
        why = f" ({self.why})" if self.why else ""
        return f"{self.strategy}, {self.nodes:,} {who}, {what}: {model} {self.form:,.3g}, counted {self.counted:,.3g}{why}"


def differences(rows: Sequence[Row]) -> tuple[Difference, ...]:
    """All that are worth telling."""
    return tuple(difference for row in rows for found in (_virtual(row), _really(row)) for difference in found)


def _virtual(row: Row) -> Iterator[Difference]:
    for quantity, least in _LEAST.items():
        form, counted = getattr(row, quantity), getattr(row.measured, quantity, None)
        if counted is not None and _differ(form, counted, least):
            yield Difference(row.strategy, row.nodes, quantity, form, counted)


def _really(row: Row) -> Iterator[Difference]:
    """What goes on without writes has no closed form: there the simulation is the model."""
    if row.real is None:
        return
    for quantity, least in _REAL.items():
        source: Any = row.measured if quantity == "idle" else row
        model, counted = getattr(source, quantity, None), getattr(row.real, quantity)
        if model is not None and _differ(model, counted, least):
            why = _why(row.strategy, quantity, row.real)
            yield Difference(row.strategy, row.nodes, quantity, model, counted, real=True, why=why)


def _differ(one: float, other: float, least: float) -> bool:
    return abs(one - other) > max(least, TOLERANCE * max(abs(one), abs(other)))


def _why(strategy: str, quantity: str, real: Real) -> str:
    """What was counted that may explain it, and what is known of the strategy."""
    said = []
    if real.borne < _BORNE:
        said.append(f"the machine bore {real.borne:.0%} of the load")
    if real.unanswered:
        said.append(f"{real.unanswered:,} operations had no answer")
    if quantity == "messages":
        said.append("most are " + ", ".join(f"{kind} {number:.1f}" for kind, number in list(real.kinds.items())[:_SHOWN]))
    if (strategy, quantity) in _CAUSES:
        said.append(_CAUSES[strategy, quantity])
    return "; ".join(said)
