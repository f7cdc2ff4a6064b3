"""``cancel``: clients give operations up in flight: they close the connection right after sending, and wait for no answer.

    [[faults]]
    kind = "cancel"
    targets = ["primary"]               # names or roles: the nodes that such operations were sent to
    share = 0.2                         # of the operations sent there
    every = "10s"
    lasts = "3s"
    at_most = 1                         # how many nodes an episode; one without it

**What it does to a cache.** A page that nobody waits for any more, a request that ran into its deadline, a deployment that stops
its workers: the server may do what it was asked or not, and its answer goes nowhere. Nobody knows the outcome of such a write: it
is ``info``. A refill that is given up between its read and its write leaves its lease or its lock behind. A client library that
puts the connection back into its pool takes the late answer for that of the next operation.

**How it is proven.** The drivers count what they gave up: at least one operation by the start's proof, and near the
end more than by then.

**What it is not.** A lost connection: the network and the server are well, and the client connects again at once. The drivers of
this run close the connection, as a careful client does; what a careless one would do with it is not tested.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from faults.base import Target
from faults.clients import ClientStrike
from faults.nodes import NodeOptions
from faults.targets import nodes_of
from harness.candidates.base import Cluster
from harness.plan import FaultSpec
from harness.runtimes.base import Capability
from harness.topology import Node, Topology


class CancelOptions(NodeOptions):
    """Options of ``cancel``."""

    share: float = Field(gt=0, le=1, allow_inf_nan=False)


class Cancel:
    """Gives operations up."""

    def __init__(self, spec: FaultSpec) -> None:
        self.spec = spec
        self.options = spec.read(CancelOptions)
        self.needs: frozenset[Capability] = frozenset()

    def targets(self, topology: Topology) -> tuple[Node, ...]:
        """The nodes that it may strike."""
        return nodes_of(self.spec, topology, self.options.targets)

    def strike(self, cluster: Cluster, targets: Sequence[Target]) -> CancelStrike:
        """Impatience with some of them."""
        return CancelStrike(cluster, [t for t in targets if isinstance(t, Node)], self.options.share, self.spec.lasts)


class CancelStrike(ClientStrike):
    """One time of impatience; see ``faults.base.Strike``."""

    done = "given up in flight"

    def __init__(self, cluster: Cluster, nodes: Sequence[Node], share: float, lasts_ns: int) -> None:
        super().__init__(cluster, nodes, lasts_ns)
        self._share = share

    def count(self) -> int:
        """As the drivers count."""
        return self._clients.cancelled()

    async def apply(self) -> None:
        """Give up a share of what is sent."""
        self._clients.cancel(self._share, [node.index for node in self._nodes])

    async def heal(self) -> None:
        """Be patient again."""
        self._clients.cancel(0, [node.index for node in self._nodes])
