"""``drop``: packets on links between two groups of nodes are lost, each way.

    [[faults]]
    kind = "drop"
    between = ["primary", "replicas"]   # two sides: names, roles, "client", or lists of them
    probability = 0.2                   # of each packet to be lost; or in its place "nth = 5":
                                        # every fifth packet of a link and direction
    seed = 1                            # of the chances
    every = "10s"
    lasts = "5s"

**What it does to a cache.** What a bad cable or a full queue does: nothing is missing in the end, but what was lost comes again
after 200 ms, or 400, and all that is behind it waits. Replication and invalidations arrive in bursts, time-outs strike at
random, and failure detectors see peers come and go.

**How it is proven.** Where the runtime counts what it does to packets, its count of lost ones grows while marks cross the
links, at the start and near the end. Otherwise marks are sent until one on each link is as late as a retransmission makes it,
150 ms later than before at least; a machine that stands still can do that, too, and the evidence has the numbers.

**What it is not.** The loss of a message: TCP sends a lost packet again until it has arrived (``message`` loses messages). Half
of all packets lost is not half of a partition; from about that share on, connections break down altogether.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, model_validator

from faults.base import Target
from faults.disturbance import DisturbStrike
from faults.targets import Names, capabilities_of, links_of
from harness.candidates.base import Cluster
from harness.durations import parse_duration
from harness.plan import FaultSpec, Record
from harness.runtimes.base import Capability, Disturbance
from harness.topology import Link, Topology

_RETRANSMITTED_NS = parse_duration("150ms")
"""A mark that is so much later than before was lost at first: the least time-out for a retransmission is 200 ms."""


class DropOptions(Record):
    """Options of ``drop``."""

    between: tuple[Names, Names]
    probability: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    nth: Annotated[int, Field(ge=2)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _one_choice(self) -> DropOptions:
        if (self.probability is None) == (self.nth is None):
            raise ValueError('packets are lost either by chance or by count: give it either "probability" or "nth"')
        return self


class Drop:
    """Loses packets."""

    def __init__(self, spec: FaultSpec) -> None:
        self.spec = spec
        self.options = spec.read(DropOptions)
        self.needs = capabilities_of(self.options.between, inside=Capability.DISTURB) | {Capability.DISTURB}

    def targets(self, topology: Topology) -> tuple[Link, ...]:
        """The links between the two sides."""
        return links_of(self.spec, topology, self.options.between)

    def strike(self, cluster: Cluster, targets: Sequence[Target]) -> DisturbStrike:
        """Losses on some of them."""
        links = [t for t in targets if isinstance(t, Link)]
        options = self.options
        disturbance = Disturbance(drop=options.probability or 0.0, drop_every=options.nth or 0, seed=options.seed)
        return DisturbStrike(cluster, links, disturbance, self.spec.lasts, late_ns=_RETRANSMITTED_NS, counted="lost")
