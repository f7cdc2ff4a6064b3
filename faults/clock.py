"""``clock``: a node's clock jumps, or runs fast or slow, and is right again at the episode's end.

    [[faults]]
    kind = "clock"
    targets = ["replicas"]              # names or roles
    by = "60s"                          # how far it jumps
    way = "forward"                     # forward | back
    rate = 1.0                          # seconds on that clock in one of ours
    monotonic = false                   # true: the clock that counts from boot jumps, too
    every = "20s"
    lasts = "5s"
    at_most = 1                         # how many an episode; one without it

**What it does to a cache.** Times to live are moments on somebody's clock: a node that is ahead misses what others still serve,
and one that is behind serves what is dead for everybody else. Replicas decide by their own clock; leases and locks run out for
one side only. Redis and Valkey keep wall-clock moments; memcached counts from its start, by the monotonic clock. That
one does not go back: set right after a jump forward, memcached's time stands still until the machine's has caught up.

**How it is proven.** The node is asked what time it is (TIME of Redis and Valkey, ``stats`` of memcached), before, at the start
and near the end, and held against the harness's own clock: it is off by what was meant, give or take the resolution of the
answer.

**What it is not.** A skew between machines that nobody reads: a constant offset is invisible to who counts only from now on.
The clock of the machine itself is never touched; what the server's libraries ask for the time is what is bent, so a program
that asks the kernel past them (Go's do) keeps the right time, and the episode is unproven.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from time import monotonic_ns
from typing import Annotated, Literal

from pydantic import Field, model_validator

from faults.administering import RESP
from faults.base import Target, UnprovenError
from faults.marks import window
from faults.nodes import NodeOptions
from faults.patience import soon
from faults.targets import nodes_of
from faults.timepieces import MEMCACHED, Offset, timepiece
from harness.candidates.base import Cluster
from harness.durations import format_duration, parse_duration
from harness.plan import Duration, FaultSpec
from harness.runtimes.base import Capability, ClockSkew
from harness.topology import Node, Topology

_SLACK_NS = 5_000_000
"""How far from the meant time a clock may be beside its resolution: reading it takes a while."""

_SHARE = 0.2
"""Of a drift: how much of it may be missing."""

_LEAST_COARSE_NS = parse_duration("5s")
"""How far a clock that tells whole seconds has to jump."""

_LEAST_DRIFT_NS = 50_000_000
"""How far a rate must have taken the clock in a quarter of the episode."""


class ClockOptions(NodeOptions):
    """Options of ``clock``."""

    by: Duration = 0
    way: Literal["forward", "back"] = "forward"
    rate: Annotated[float, Field(gt=0.0, le=100.0)] = 1.0
    monotonic: bool = False

    @model_validator(mode="after")
    def _bent(self) -> ClockOptions:
        if not self.by and self.rate == 1.0:
            raise ValueError('a clock that neither jumps nor drifts is right: give it "by", or a "rate" other than 1')
        return self

    @property
    def jump_ns(self) -> int:
        """How far it jumps; negative if back."""
        return self.by if self.way == "forward" else -self.by


class Clock:
    """Bends the clocks of nodes."""

    needs = frozenset({Capability.CLOCK})

    def __init__(self, spec: FaultSpec) -> None:
        self.spec = spec
        self.options = spec.read(ClockOptions)
        if not self.options.by and abs(self.options.rate - 1) * spec.lasts / 4 < _LEAST_DRIFT_NS:
            raise spec.error(
                f"a rate of {self.options.rate:g} is not to be seen in an episode of {format_duration(spec.lasts)}",
                key="rate",
                why=f"in a quarter of it the clock has to be off by {format_duration(_LEAST_DRIFT_NS)}",
                fix="let it last longer, or drift more",
            )

    def targets(self, topology: Topology) -> tuple[Node, ...]:
        """The nodes that it may strike; raises ``PlanError`` for one at which nothing would show it."""
        nodes = nodes_of(self.spec, topology, self.options.targets)
        for node in nodes:
            if why := self._hidden(node.protocol):
                raise self.spec.error(f"nothing would show that the clock of {node.name} is bent", key="targets", why=why)
        return nodes

    def _hidden(self, protocol: str) -> str:
        """Why a node that speaks ``protocol`` would show nothing; empty if it would."""
        if protocol == MEMCACHED:
            if not self.options.monotonic:
                return "memcached counts by the clock from boot; set monotonic = true"
            if self.options.by < _LEAST_COARSE_NS:
                return f"memcached tells whole seconds; let the clock jump by {format_duration(_LEAST_COARSE_NS)} or more"
        return "" if protocol in (MEMCACHED, RESP) else f"a server of {protocol} tells nobody the time"

    def strike(self, cluster: Cluster, targets: Sequence[Target]) -> ClockStrike:
        """Another time at some of them."""
        return ClockStrike(cluster, [t for t in targets if isinstance(t, Node)], self.options, self.spec.lasts)


class ClockStrike:
    """Another time; see ``faults.base.Strike``."""

    means = "clock shim"

    def __init__(self, cluster: Cluster, nodes: Sequence[Node], options: ClockOptions, lasts_ns: int) -> None:
        self._runtime = cluster.runtime
        self._options = options
        self._clocks = {node: timepiece(cluster, node) for node in nodes}
        # A drift needs a while to be seen, and so does a clock that is looked at once in a second.
        self._wait_ns = max(0 if options.by else lasts_ns // 4, *(clock.shows_ns for clock in self._clocks.values()))
        self.proof_ns = window(lasts_ns) + self._wait_ns
        self._before: dict[Node, Offset] = {}
        self._bent_ns = 0

    async def arm(self, within_ns: int) -> tuple[str, ...]:
        """What time it is at the nodes."""
        return await self._each(lambda node: soon(partial(self._look, node), within_ns))

    async def _look(self, node: Node) -> str:
        self._before[node] = await self._clocks[node].offset()
        return f"the clock of {node.name} was {_in_words(self._before[node].ahead_ns)}"

    async def apply(self) -> None:
        """Bend the clocks."""
        jump_ns, rate = self._options.jump_ns, self._options.rate
        skew = ClockSkew(wall_ns=jump_ns, rate=rate, monotonic_ns=jump_ns if self._options.monotonic else 0)
        for node in self._clocks:
            await self._runtime.set_clock(node.name, skew)
        self._bent_ns = monotonic_ns()

    async def prove(self) -> tuple[str, ...]:
        """Each is off by what was meant."""
        return await self._each(lambda node: soon(partial(self._see, node), self._wait_ns))

    async def _see(self, node: Node) -> str:
        now = await self._clocks[node].offset()
        moved_ns = now.ahead_ns - self._before[node].ahead_ns
        meant_ns = self._options.jump_ns + round((self._options.rate - 1) * (monotonic_ns() - self._bent_ns))
        blur_ns = now.within_ns + self._before[node].within_ns + _SLACK_NS + round(_SHARE * abs(meant_ns - self._options.jump_ns))
        if abs(meant_ns) <= 2 * blur_ns:
            raise UnprovenError(f"the clock of {node.name} is not yet off by enough to be told: {_in_words(meant_ns)} was meant")
        if abs(moved_ns - meant_ns) > blur_ns:
            raise UnprovenError(
                f"the clock did not bite: that of {node.name} is {_in_words(moved_ns)}, and {_in_words(meant_ns)} was meant"
            )
        return f"the clock of {node.name} has moved: it is {_in_words(moved_ns)} (meant: {_in_words(meant_ns)})"

    async def heal(self) -> None:
        """Set them right."""
        for node in self._clocks:
            await self._runtime.set_clock(node.name, ClockSkew())

    async def confirm(self, within_ns: int) -> tuple[str, ...]:
        """They are right again."""
        return await self._each(lambda node: soon(partial(self._regard, node), within_ns))

    async def _regard(self, node: Node) -> str:
        now = await self._clocks[node].offset()
        if node in self._before and abs(now.ahead_ns - self._before[node].ahead_ns) > 2 * (now.within_ns + _SLACK_NS):
            raise OSError(f"the clock of {node.name} is still {_in_words(now.ahead_ns)}")
        return f"the clock of {node.name} is {_in_words(now.ahead_ns)}"

    async def _each(self, step: Callable[[Node], Awaitable[str]]) -> tuple[str, ...]:
        return tuple(await asyncio.gather(*map(step, self._clocks)))

    async def close(self) -> None:
        """Close the connections."""
        for clock in self._clocks.values():
            clock.close()


def _in_words(ahead_ns: int) -> str:
    """``1m ahead of ours``, ``20us behind ours``."""
    return f"{format_duration(abs(ahead_ns))} {'ahead of' if ahead_ns >= 0 else 'behind'} ours"
