"""What happens to the packets of a run: one record for each directed pair of addresses that does not simply get through.

A run's network is one value, ``Bends``. It is replaced as a whole: there is never a moment at which half of a partition stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from harness.runtimes.base import Disturbance


@dataclass(frozen=True, slots=True)
class Bend:
    """What happens to packets on their way from one address to another.

    Attributes:
        cut: they vanish.
        refuse: their connections are reset and new ones are refused; what is not TCP vanishes. Outranks ``cut``.
        delay_ns: they arrive so much later.
        jitter_ns: give or take so much; order is kept.
        disturbance: some are lost, doubled or overtaken.
        bytes_per_second: no more than this gets through; the rest waits in a short queue, and is lost if that is full. 0 for any.
    """

    cut: bool = False
    refuse: bool = False
    delay_ns: int = 0
    jitter_ns: int = 0
    disturbance: Disturbance = field(default_factory=Disturbance)
    bytes_per_second: int = 0


NO_BEND = Bend()

Pair: TypeAlias = tuple[str, str]
"""Source address and target address, as in ``("172.28.9.11", "172.28.9.12")``."""

Bends: TypeAlias = Mapping[Pair, Bend]
"""The state of a run's network; a pair that is not in it is left alone."""
