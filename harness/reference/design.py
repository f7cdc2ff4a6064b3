"""A design: a coherence strategy with the places it needs, and what it promises. A bug is a design with one thing done wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.plan import Contract
from harness.reference.bus import Broadcast
from harness.reference.messages import BUS, ORIGIN, STORE
from harness.reference.node import Actor, Strategy
from harness.reference.origin import Origin
from harness.reference.settings import Settings

FAULTS = ("partition", "delay", "drop", "duplicate", "reorder", "pause", "kill", "clock")
"""The kinds of fault that a reference fleet is held to its promise under."""


@dataclass(frozen=True, slots=True)
class Design:
    """Who runs where, and what they promise together.

    Attributes:
        name: as in ``reference:broadcast-alo``.
        node: what runs at each cache node.
        promise: the contract that the theory of the strategy gives, from the settings and the longest time in ns that a message
            takes while nothing is broken (DEFINITIONS, "Staleness").
        origin: the source of truth; None where the cache nodes themselves are the store.
        bus: what carries events; None if nothing does.
        store: the cache tier that all nodes share; None if there is none.
        stores: the names of its members.
        settings: the times that it is meant to be run with.
        talks: whether cache nodes talk to each other.
    """

    name: str
    node: type[Strategy]
    promise: Callable[[Settings, int], Contract]
    origin: type[Origin] | None = Origin
    bus: type[Broadcast] | None = None
    store: type[Actor] | None = None
    stores: tuple[str, ...] = (STORE,)
    settings: Settings = field(default=Settings())
    talks: bool = False

    @property
    def shared(self) -> Mapping[str, type[Actor]]:
        """What runs at each place that the cache nodes share."""
        places = {ORIGIN: self.origin, BUS: self.bus, **dict.fromkeys(self.stores, self.store)}
        return {place: actor for place, actor in places.items() if actor is not None}


def bounded(steady_ns: int, repair_ns: int, *, during: Mapping[str, str | None] | None = None, **promises: Any) -> Contract:
    """The contract of a design that is no staler than ``steady_ns``, and ``repair_ns`` after the end of any fault.

    Args:
        steady_ns: how stale a read may be while nothing is broken, in ns.
        repair_ns: how long after a fault, or after the last write, everything is as it should be, in ns.
        during: another bound for a kind of fault, as a plan writes it; None where nothing is promised while it lasts.
        promises: the contract's other keys.
    """
    bounds = dict.fromkeys(FAULTS, f"fault + {repair_ns}ns") | dict(during or {})
    return Contract.model_validate(
        {
            "staleness": {
                "steady": f"{steady_ns}ns",
                "during": {kind: bound for kind, bound in bounds.items() if bound is not None},
                "after_heal": f"{repair_ns}ns",
            },
            "converges_within": f"{repair_ns}ns",
            "lost_writes": 0,
            **promises,
        }
    )


def exact(**promises: Any) -> Contract:
    """The contract of a design in which every read that is answered returns the latest write, whatever is broken.

    Args:
        promises: the contract's other keys.
    """
    anywhere = dict.fromkeys(("read_your_writes", "monotonic_reads"), "any-node")
    return bounded(0, 0, during=dict.fromkeys(FAULTS, "0ns"), linearizable=True, sessions=anywhere, **promises)
