"""``flush``: nodes are told to forget everything (FLUSHALL), once, at the episode's start.

    [[faults]]
    kind = "flush"
    targets = ["primary"]               # names or roles; nodes that take writes
    every = "20s"
    lasts = "2s"
    at_most = 1                         # how many an episode; one without it

**What it does to a cache.** What a hand on the wrong console does, or a deployment script: every key is gone at once, and with a
primary its replicas forget as well. Near caches that are told of keys by name hear of none here; a server with tracking says it
by an invalidation without a key, which clients have been known to ignore. All readers fall through to the source of truth at the
same moment.

**How it is proven.** The node counts its keys, forgets them and counts again in one script, so that no write comes between: there
were some, then none. Near the end its own statistics still count the command.

**What it is not.** Lasting. The flush is over when it is applied; the episode goes on until its intended end to say which misses
and lost writes are put down to it. It is no restart either: connections stay, and the node is who it was. What a contract says of
``misses`` and ``lost_writes`` decides whether this fault may break it.
"""

from __future__ import annotations

from collections.abc import Sequence

from faults.administering import AdminFault, AdminStrike, counted, number
from faults.base import Target, UnprovenError
from faults.nodes import NodeOptions
from harness.candidates.asking import UnusableAnswerError
from harness.candidates.base import Cluster
from harness.candidates.redis_admin import Admin
from harness.plan import FaultSpec
from harness.topology import Node

_SCRIPT = "local n = redis.call('DBSIZE') redis.call('FLUSHALL') return {n, redis.call('DBSIZE')}"


class Flush(AdminFault):
    """Makes nodes forget everything."""

    def __init__(self, spec: FaultSpec) -> None:
        self.spec = spec
        self.options = spec.read(NodeOptions)

    def strike(self, cluster: Cluster, targets: Sequence[Target]) -> FlushStrike:
        """One flush of some of them."""
        return FlushStrike(cluster, targets, self.spec.lasts)


class FlushStrike(AdminStrike):
    """One flush; see ``faults.base.Strike``."""

    def __init__(self, cluster: Cluster, targets: Sequence[Target], lasts_ns: int) -> None:
        super().__init__(cluster, targets, lasts_ns)
        self._calls: dict[Node, int] = {}
        self._forgotten: dict[Node, int] = {}

    async def look(self, node: Node, admin: Admin) -> str:
        """It holds something."""
        self._calls[node] = await counted(admin, "commandstats", "cmdstat_flushall")
        held = await number(admin, "DBSIZE")
        if not held:
            raise UnprovenError(f"{node.name} holds no key that it could forget")
        return f"{node.name} held {held} keys"

    async def tell(self, node: Node, admin: Admin) -> None:
        """Count, flush, count."""
        reply = await admin.call("EVAL", _SCRIPT, "0")
        match reply:
            case [int(before), 0]:
                self._forgotten[node] = before
            case _:
                raise UnusableAnswerError(f"{node.name} counted {reply!r:.80} keys before and after FLUSHALL")

    async def see(self, node: Node, admin: Admin) -> str:
        """There were keys, and then none."""
        if not self._forgotten.get(node):
            raise UnprovenError(f"{node.name} held no key when it was flushed")
        if await counted(admin, "commandstats", "cmdstat_flushall") <= self._calls[node]:
            raise UnprovenError(f"the flush did not bite: {node.name} counts no FLUSHALL")
        return f"{node.name} held {self._forgotten[node]} keys and none after FLUSHALL; {await number(admin, 'DBSIZE')} now"
