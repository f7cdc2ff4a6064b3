"""``expire-all``: every key of a node is given the same moment to expire at, once, at the episode's start.

    [[faults]]
    kind = "expire-all"
    targets = ["primary"]               # names or roles; nodes that take writes
    within = "50ms"                     # how far away that moment is
    every = "20s"
    lasts = "2s"
    at_most = 1                         # how many an episode; one without it

**What it does to a cache.** What entries do that were loaded together with the same time to live: they are gone together, and all
readers ask the source of truth at once. Deletions stream to the replicas and invalidations to near caches as fast as the server
finds the dead keys; a replica that a read asks in between decides by its own clock.

**How it is proven.** A script gives every key its time to live and counts them. After that moment the server's count of expired
keys has grown; how many of them had expired at the start and near the end stands in the evidence. A key that is written again
before its moment lives on.

**What it is not.** A flush: keys go one by one, the server does it in its own time, and it is an expiry that replicas and
subscribers are told of. Nothing has to be healed; the episode goes on until its intended end to say which misses are put down to
it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from faults.administering import AdminFault, AdminStrike, counted, number
from faults.base import Target, UnprovenError
from faults.nodes import NodeOptions
from harness.candidates.base import Cluster
from harness.candidates.redis_admin import Admin
from harness.durations import format_duration, parse_duration
from harness.plan import Duration, FaultSpec
from harness.topology import Node

_SCRIPT = "local k = redis.call('KEYS', '*') for i = 1, #k do redis.call('PEXPIRE', k[i], ARGV[1]) end return #k"
_POLL_S = 0.01


class ExpireAllOptions(NodeOptions):
    """Options of ``expire-all``."""

    within: Duration = parse_duration("50ms")


class ExpireAll(AdminFault):
    """Makes all keys of nodes expire together."""

    def __init__(self, spec: FaultSpec) -> None:
        self.spec = spec
        self.options: ExpireAllOptions = spec.read(ExpireAllOptions)
        if spec.lasts < 4 * self.options.within:
            raise spec.error(
                f"keys that expire within {format_duration(self.options.within)} are too late for an episode of "
                f"{format_duration(spec.lasts)}",
                key="within",
                fix=f"let the episode last {format_duration(4 * self.options.within)} or longer",
            )

    def strike(self, cluster: Cluster, targets: Sequence[Target]) -> ExpireAllStrike:
        """One mass expiry at some of them."""
        return ExpireAllStrike(cluster, targets, self.spec.lasts, self.options.within)


class ExpireAllStrike(AdminStrike):
    """One mass expiry; see ``faults.base.Strike``."""

    def __init__(self, cluster: Cluster, targets: Sequence[Target], lasts_ns: int, within_ns: int) -> None:
        super().__init__(cluster, targets, lasts_ns)
        self.proof_ns += within_ns
        self._within_ms = max(1, within_ns // 1_000_000)
        self._expired: dict[Node, int] = {}
        self._told_keys: dict[Node, int] = {}

    async def look(self, node: Node, admin: Admin) -> str:
        """It holds something."""
        self._expired[node] = await counted(admin, "stats", "expired_keys")
        held = await number(admin, "DBSIZE")
        if not held:
            raise UnprovenError(f"{node.name} holds no key that could expire")
        return f"{node.name} held {held} keys, {self._expired[node]} had expired so far"

    async def tell(self, node: Node, admin: Admin) -> None:
        """Give every key its time to live."""
        self._told_keys[node] = await number(admin, "EVAL", _SCRIPT, "0", str(self._within_ms))

    async def see(self, node: Node, admin: Admin) -> str:
        """Keys have expired since."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self.proof_ns / 1e9
        while not (expired := await counted(admin, "stats", "expired_keys") - self._expired[node]) > 0:
            if loop.time() > give_up:
                raise UnprovenError(f"the expiry did not bite: none of {self._told_keys[node]} keys of {node.name} has expired")
            await asyncio.sleep(_POLL_S)
        return f"{expired} keys of {node.name} have expired, {self._told_keys[node]} were to within {self._within_ms}ms"
