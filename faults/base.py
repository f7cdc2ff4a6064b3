"""What a fault is: a part of a plan that knows what it may strike, and makes one strike per episode.

A strike is applied, proven, healed. *Proven* means observed at the target, twice: at its start and near its end. What shows the
effect must have shown its absence before (``arm``), or its word is worth nothing: a mark that never crossed a link does not prove
a cut. Faults lie easily. A rule may not match, a signal may hit the wrong process, a proxy may be bypassed. An episode without
proof is recorded as such, and makes the run inconclusive.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Protocol, runtime_checkable

from harness.candidates.base import Cluster
from harness.errors import UnsupportedError
from harness.plan import FaultSpec
from harness.runtimes.base import Capability, Runtime
from harness.topology import Link, Node, Topology

PROXY = "proxy"
"""``Runtime.means`` where links are bent by proxies."""

Target = Node | Link
"""What one episode can strike."""


class UnprovenError(Exception):
    """The effect was not observed, or cannot be; the message says why, as a sentence for the report."""


class Strike(Protocol):
    """One episode of one fault on chosen targets. Every sentence returned is evidence for the report.

    All methods may raise ``OSError`` or an ``AnachronError`` where a server or the runtime fails them.

    Attributes:
        means: how it is done, in the report's words: ``proxy``, ``signal``.
        proof_ns: how long ``prove`` takes at most while the nodes answer.
    """

    means: str
    proof_ns: int

    async def arm(self, within_ns: int) -> tuple[str, ...]:
        """Get ready to observe, and see that there is no effect yet.

        Raises ``UnprovenError`` if targets that are on their way back from an earlier fault are not there in time.
        """

    async def apply(self) -> None:
        """Put the means in place."""

    async def prove(self) -> tuple[str, ...]:
        """Observe the effect at the targets. Raises ``UnprovenError``."""

    async def heal(self) -> None:
        """Take the means away, applied or not; safe to call twice."""

    async def confirm(self, within_ns: int) -> tuple[str, ...]:
        """Observe that the effect is gone. Raises ``UnprovenError`` where that shows that there never was one."""

    async def close(self) -> None:
        """Give connections back."""


class Fault(Protocol):
    """A fault as the plan wants it.

    Attributes:
        spec: what the plan says.
        needs: what the runtime must be able to do.
    """

    spec: FaultSpec
    needs: frozenset[Capability]

    def __init__(self, spec: FaultSpec) -> None: ...

    def targets(self, topology: Topology) -> tuple[Target, ...]:
        """What its episodes may strike; never empty. Raises ``PlanError`` for a name that the topology does not have."""

    def strike(self, cluster: Cluster, targets: Sequence[Target]) -> Strike:
        """One episode on ``targets``, a choice of the above."""


@runtime_checkable
class Drawing(Protocol):
    """A fault whose targets belong together, so that it draws those of an episode by a rule of its own."""

    def draw(self, topology: Topology, random: Random, free: Sequence[Target]) -> Sequence[Target]:
        """What one episode strikes, out of ``free``, the ``targets`` that no other fault holds; nothing if they do not do."""


def refuse_direct(faults: Sequence[Fault], topology: Topology, runtime: Runtime) -> None:
    """Raise ``UnsupportedError`` for the first fault on links that ``runtime`` bends by proxies, where there can be none.

    To be called before anything starts.
    """
    if not topology.direct or runtime.means != PROXY:
        return
    for fault in faults:
        links = [target for target in fault.targets(topology) if isinstance(target, Link) and target.source != "client"]
        if links:
            raise UnsupportedError(
                f'the fault "{fault.spec.kind}" cannot strike {links[0]} on the runtime "{runtime.name}"',
                where=fault.spec.error("").where,
                why=f"it bends links by proxies, and {topology.direct}",
                fix='choose runtime = "docker", or a fault on nodes or on links of clients',
            )


def refuse_impossible(faults: Sequence[Fault], runtime: Runtime) -> None:
    """Raise ``UnsupportedError`` for the first fault that ``runtime`` cannot do here.

    To be called before anything starts.
    """
    for fault in faults:
        for capability in sorted(fault.needs):
            why = runtime.refusal(capability)
            if why is not None:
                raise UnsupportedError(
                    f'the fault "{fault.spec.kind}" needs "{capability}", and the runtime "{runtime.name}" cannot do it here',
                    where=fault.spec.error("").where,
                    why=why,
                    fix="do what it says, choose another run.runtime, or take the fault out of the plan",
                )
