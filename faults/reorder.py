"""``reorder``: packets on links between two groups of nodes are held back, so that later ones overtake them, each way.

    [[faults]]
    kind = "reorder"
    between = ["primary", "replicas"]   # two sides: names, roles, "client", or lists of them
    probability = 0.3                   # of each packet to be held back
    by = "20ms"                         # for how long
    seed = 1                            # of the chances
    every = "10s"
    lasts = "5s"

**What it does to a cache.** TCP gives its reader the bytes in order again, so that what was overtaken holds up what overtook
it: replication and invalidations arrive in bursts, as with a delay that comes and goes. Different connections do overtake each
other: an invalidation on one, the older answer on the other.

**How it is proven.** Where the runtime counts what it does to packets, its count of those held back grows while marks cross the
links, at the start and near the end. Otherwise marks are sent until each link has carried one that was later than before by at
least four fifths of ``by``; a machine that stands still can do that, too. Whether something overtook them only the packets know.

**What it is not.** Messages out of order on one connection, which no network does to TCP (``message`` holds messages).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from faults.base import Target
from faults.disturbance import DisturbStrike
from faults.targets import Names, capabilities_of, links_of
from harness.candidates.base import Cluster
from harness.durations import parse_duration
from harness.plan import Duration, FaultSpec, Record
from harness.runtimes.base import Capability, Disturbance
from harness.topology import Link, Topology

_SHARE = 0.8
"""Of the time for which packets are held back: how much of it a mark must show."""

_LEAST_NS = parse_duration("5ms")


class ReorderOptions(Record):
    """Options of ``reorder``."""

    between: tuple[Names, Names]
    probability: Annotated[float, Field(gt=0.0, lt=1.0)]
    by: Duration
    seed: Annotated[int, Field(ge=0)] = 0


class Reorder:
    """Holds packets back."""

    def __init__(self, spec: FaultSpec) -> None:
        self.spec = spec
        self.options = spec.read(ReorderOptions)
        self.needs = capabilities_of(self.options.between, inside=Capability.DISTURB) | {Capability.DISTURB}
        if self.options.by < _LEAST_NS:
            raise spec.error(
                "packets that are held back so shortly cannot be told from others",
                key="by",
                fix="hold them back for 5ms or longer",
            )

    def targets(self, topology: Topology) -> tuple[Link, ...]:
        """The links between the two sides."""
        return links_of(self.spec, topology, self.options.between)

    def strike(self, cluster: Cluster, targets: Sequence[Target]) -> DisturbStrike:
        """Disorder on some of them."""
        links = [t for t in targets if isinstance(t, Link)]
        options = self.options
        disturbance = Disturbance(reorder=options.probability, reorder_by_ns=options.by, seed=options.seed)
        late_ns = round(_SHARE * options.by)
        return DisturbStrike(cluster, links, disturbance, self.spec.lasts, late_ns=late_ns, counted="late")
