"""A question: a fleet of so many nodes under such a load."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.durations import UNITS
from harness.reference.settings import Settings
from harness.simulation.network import Pace

S = UNITS["s"]


@dataclass(frozen=True, slots=True)
class Load:
    """What clients do; everything is spread evenly and comes at random times (Poisson).

    Attributes:
        keys: how many keys there are.
        reads: so many a second at each node.
        writes: so many a second in the whole fleet.
    """

    keys: int
    reads: float
    writes: float


@dataclass(frozen=True, slots=True)
class Case:
    """A fleet and its load.

    Attributes:
        nodes: how many cache nodes.
        load: what clients do.
        settings: the times of the strategy.
        pace: how long messages take.
        cut_ns: how long the cut lasts in which availability is asked for.
    """

    nodes: int
    load: Load
    settings: Settings
    pace: Pace
    cut_ns: int = 5 * S

    @property
    def hop_ns(self) -> float:
        """How long a message takes on average."""
        return self.pace.least_ns + self.pace.spread_ns / 2

    @property
    def read_rate(self) -> float:
        """How often a second one key is read at one node."""
        return self.load.reads / self.load.keys

    @property
    def write_rate(self) -> float:
        """How often a second one key is written."""
        return self.load.writes / self.load.keys

    @property
    def reread(self) -> float:
        """The share of writes of a key that are followed by a read at a given node before the next write."""
        return self.read_rate / (self.read_rate + self.write_rate)

    def loads(self, life_ns: int, *, writes: float = 1.0, readers: float = 1.0) -> float:
        """How often a second one entry is loaded that lives until its key is written, or for ``life_ns`` at most.

        Args:
            life_ns: how long it lives.
            writes: the share of writes that end its life.
            readers: how many nodes' reads it serves.
        """
        return 1 / (self.lives_s(life_ns, writes=writes) + 1 / (self.read_rate * readers))

    def lives_s(self, life_ns: int, *, writes: float = 1.0) -> float:
        """How long on average such an entry lives, in seconds."""
        life_s, rate = life_ns / S, self.write_rate * writes
        return (1 - math.exp(-rate * life_s)) / rate if rate else life_s

    def present(self, life_ns: int, *, writes: float = 1.0) -> float:
        """The share of time in which such an entry is there."""
        lives_s = self.lives_s(life_ns, writes=writes)
        return lives_s / (lives_s + 1 / self.read_rate)

    def slowest_round_trip_ns(self) -> float:
        """How long on average the slowest of one round trip to each node takes: the mean of a maximum."""
        steps = 1_000
        spread = self.pace.spread_ns
        beyond = 0.0
        for step in range(steps):
            x = 2 * (step + 0.5) / steps  # of the spread; the sum of two even spreads is a triangle over 0 .. 2
            below = x * x / 2 if x < 1 else 1 - (2 - x) ** 2 / 2
            beyond += (1 - below**self.nodes) * 2 / steps
        return 2 * self.pace.least_ns + spread * beyond
