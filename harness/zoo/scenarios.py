"""What a correct design must bear: one fault after the other, at every place that it can strike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.reference.design import Design
from harness.reference.messages import BUS, ORIGIN, STORE

Fault = Mapping[str, Any]

DURATION = "8s"
"""Of the driving; in virtual time."""

_BEAT = {"every": "4s", "lasts": "1500ms", "after": "1s"}


def _links(kind: str, one: str, other: str, **options: Any) -> Fault:
    return {"kind": kind, "between": ((one,), (other,)), **_BEAT, **options}


def _nodes(kind: str, target: str, **options: Any) -> Fault:
    return {"kind": kind, "targets": (target,), **_BEAT, **options}


def _at_link(one: str, other: str) -> Mapping[str, tuple[Fault, ...]]:
    """Everything that can be wrong with the links between two sides."""
    name = f"{one}-{other}"
    return {
        f"{name} cut": (_links("partition", one, other),),
        f"{name} cut one by one": (_links("partition", one, other, at_most=1),),
        f"{name} delayed": (_links("delay", one, other, delay="40ms", jitter_by="35ms"),),
        f"{name} lossy": (_links("drop", one, other, probability=0.2),),
        f"{name} duplicated": (_links("duplicate", one, other, probability=0.3),),
        f"{name} reordered": (_links("reorder", one, other, probability=0.3, by="60ms"),),
    }


def _at_node(target: str) -> Mapping[str, tuple[Fault, ...]]:
    """Everything that can happen to one place."""
    return {
        f"{target} paused": (_nodes("pause", target),),
        f"{target} killed": (_nodes("kill", target, lasts="500ms"),),
        f"{target} clock forward": (_nodes("clock", target, by="5s"),),
        f"{target} clock back": (_nodes("clock", target, by="5s", way="back"),),
        f"{target} clock slow": (_nodes("clock", target, rate=0.8),),
    }


def scenarios(design: Design) -> Mapping[str, tuple[Fault, ...]]:
    """The faults that ``design`` has places for, by a name for each scenario; the first has none."""
    found: dict[str, tuple[Fault, ...]] = {"no fault": (), **_at_node("node"), **_at_link("client", "node")}
    for place, there in ((ORIGIN, design.origin), (BUS, design.bus), (STORE, design.store)):
        if there:
            found |= {**_at_link("node", place), **_at_node(place)}
            if design.origin and place != ORIGIN:
                found |= _at_link(ORIGIN, place)
    if len(design.stores) > 1:
        one = design.stores[0]
        alone = {"kind": "partition", "between": ((one,), ("node", BUS)), **_BEAT}
        found |= {f"{one} alone": (alone,), f"{one} cut from bus": (_links("partition", one, BUS),), **_at_node(one)}
    if design.talks:
        found |= _at_link("node", "node")
    return found
