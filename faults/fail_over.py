"""``fail-over``: another node is told to take over from a primary, although nothing is wrong with that one.

    [[faults]]
    kind = "fail-over"
    targets = ["primary"]               # names or roles; whoever is primary there now is relieved
    how = "force"                       # orderly: the new one has everything first; force: at once; takeover: asking nobody
    every = "20s"
    lasts = "6s"
    at_most = 1                         # how many an episode; one without it

**What it does to a cache.** What an operator does before maintenance, and sentinels and clusters do when they miss somebody. What
the old primary had acknowledged and the new one did not have yet is lost, unless it was ``orderly``. Clients write to the old one
until they learn better. With ``redis-replication`` nobody tells them: there, ``primary`` refuses writes until the roles are given
back at the episode's end.

**How it is proven.** A node that was no primary before says that it is one, within a third of the episode or three seconds, and
still says so near the end. What the old one says of itself stands in the evidence.

**What it is not.** The death of a primary: the old one is there, and may believe for a while that nothing has changed. Where
clients follow the roles, nothing is given back: the next episode relieves whoever is primary by then. Other faults may strike the
node that takes over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal

from faults.administering import AdminFault
from faults.base import Target, UnprovenError
from faults.nodes import NodeOptions
from faults.patience import soon
from harness.candidates.abilities import FailsOver
from harness.candidates.base import Cluster
from harness.plan import FaultSpec
from harness.topology import Node

_PATIENCE_NS = 3_000_000_000


class FailOverOptions(NodeOptions):
    """Options of ``fail-over``."""

    how: Literal["orderly", "force", "takeover"] = "force"


class FailOver(AdminFault):
    """Has primaries relieved."""

    def __init__(self, spec: FaultSpec) -> None:
        self.spec = spec
        self.options: FailOverOptions = spec.read(FailOverOptions)

    def strike(self, cluster: Cluster, targets: Sequence[Target]) -> FailOverStrike:
        """One change of primaries where some of them belong."""
        nodes = [t for t in targets if isinstance(t, Node)]
        return FailOverStrike(cluster, nodes, self.options.how, min(_PATIENCE_NS, self.spec.lasts // 3))


class FailOverStrike:
    """One change of primaries; see ``faults.base.Strike``."""

    means = "command"

    def __init__(self, cluster: Cluster, nodes: Sequence[Node], how: str, patience_ns: int) -> None:
        self.proof_ns = patience_ns
        self._candidate = cluster.candidate
        self._nodes = nodes
        self._how = how
        self._before: frozenset[str] = frozenset()
        self._relieved: list[str] = []

    async def arm(self, within_ns: int) -> tuple[str, ...]:
        """Who is primary."""
        if self._how not in self._able.failovers:
            ways = ", ".join(sorted(self._able.failovers))
            raise UnprovenError(f'this candidate cannot fail over with how = "{self._how}"; it can with {ways}')
        return (await soon(self._look, within_ns),)

    async def _look(self) -> str:
        self._before = frozenset(await self._able.current("primary"))
        if not self._before:
            raise UnprovenError("nobody says that he is primary")
        return f"primary: {', '.join(sorted(self._before))}"

    async def apply(self) -> None:
        """Give the word."""
        for node in self._nodes:
            self._relieved.append(await self._able.fail_over(node.name, self._how))

    async def prove(self) -> tuple[str, ...]:
        """As many others are primary now."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        return (await soon(self._see, self.proof_ns), f"seen after {(loop.time() - begin) * 1e3:.0f}ms")

    async def _see(self) -> str:
        now = frozenset(await self._able.current("primary"))
        new = now - self._before
        if len(new) < len(set(self._relieved)):
            raise UnprovenError(f"the fail-over did not bite: primary is still {', '.join(sorted(now)) or 'nobody'}")
        still = [name for name in self._relieved if name in now]
        both = f"; {', '.join(still)} still says that it is primary, too" if still else ""
        return f"{', '.join(sorted(new))} has taken over from {', '.join(self._relieved)}{both}"

    async def heal(self) -> None:
        """Give the roles back where clients do not follow them."""
        if self._relieved:
            await self._able.fall_back()
            self._relieved.clear()

    async def confirm(self, within_ns: int) -> tuple[str, ...]:
        """Somebody is primary."""
        return (await soon(self._look, within_ns),)

    async def close(self) -> None:
        """Nothing to give back."""

    @property
    def _able(self) -> FailsOver:
        if not isinstance(self._candidate, FailsOver):
            raise UnprovenError("in this candidate nobody can take over from another")
        return self._candidate
