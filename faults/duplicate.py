"""``duplicate``: packets on links between two groups of nodes arrive twice, each way.

    [[faults]]
    kind = "duplicate"
    between = ["primary", "replicas"]   # two sides: names, roles, "client", or lists of them
    probability = 0.3                   # of each packet to arrive twice
    seed = 1                            # of the chances
    every = "10s"
    lasts = "5s"

**What it does to a cache.** Over TCP next to nothing: the second copy is thrown away, at the price of an acknowledgement. It is
the control of an experiment: whoever breaks under it has taken packets for messages. Protocols over UDP see every copy.

**How it is proven.** By the runtime's own count of packets that it doubled while marks crossed the links, at the start and near
the end. No server can tell; a runtime that does not count proves nothing.

**What it is not.** A message that arrives twice, which is what a retry makes (``message`` doubles messages).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from faults.base import Target
from faults.disturbance import DisturbStrike
from faults.targets import Names, capabilities_of, links_of
from harness.candidates.base import Cluster
from harness.plan import FaultSpec, Record
from harness.runtimes.base import Capability, Disturbance
from harness.topology import Link, Topology


class DuplicateOptions(Record):
    """Options of ``duplicate``."""

    between: tuple[Names, Names]
    probability: Annotated[float, Field(gt=0.0, le=1.0)]
    seed: Annotated[int, Field(ge=0)] = 0


class Duplicate:
    """Doubles packets."""

    def __init__(self, spec: FaultSpec) -> None:
        self.spec = spec
        self.options = spec.read(DuplicateOptions)
        self.needs = capabilities_of(self.options.between, inside=Capability.DISTURB) | {Capability.DISTURB}

    def targets(self, topology: Topology) -> tuple[Link, ...]:
        """The links between the two sides."""
        return links_of(self.spec, topology, self.options.between)

    def strike(self, cluster: Cluster, targets: Sequence[Target]) -> DisturbStrike:
        """Copies on some of them."""
        links = [t for t in targets if isinstance(t, Link)]
        disturbance = Disturbance(duplicate=self.options.probability, seed=self.options.seed)
        return DisturbStrike(cluster, links, disturbance, self.spec.lasts, late_ns=0, counted="doubled")
