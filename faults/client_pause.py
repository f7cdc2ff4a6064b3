"""``client-pause``: a node leaves its clients without an answer (CLIENT PAUSE), until the episode's end.

    [[faults]]
    kind = "client-pause"
    targets = ["primary"]               # names or roles
    what = "write"                      # write: only what changes data waits; all: every command
    every = "10s"
    lasts = "2s"
    at_most = 1                         # how many an episode; one without it

**What it does to a cache.** What an orderly fail-over does to its clients for a moment: they wait, then go on. Replication goes
on all the while, so that replicas can catch up with a primary whose writers wait. Writes that their clients have given up on
are carried out after the pause, late.

**How it is proven.** A command that changes data (PUBLISH, which needs no key) stays without an answer on a connection of its
own, at the start and near the end, where it was answered before. With ``write`` a PING is answered all the same, with ``all``
it is not.

**What it is not.** A stopped process (``pause``): this one expires nothing, replicates, and answers other nodes. A pause of
``all`` holds the command that would end it, too, so the server ends it by itself after the episode's length; a run that is
interrupted waits for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from faults.administering import AdminFault, AdminStrike, administered
from faults.base import Target, UnprovenError
from faults.nodes import NodeOptions
from harness.candidates.base import Cluster
from harness.candidates.redis_admin import Admin
from harness.candidates.redis_probes import PREFIX
from harness.durations import format_duration
from harness.plan import FaultSpec
from harness.topology import Node

_LATE_NS = 5_000_000_000
"""How long after its time a pause may end by itself."""

_BEYOND_MS = 10_000
"""How long a pause that can be ended would go on if nobody did."""


class ClientPauseOptions(NodeOptions):
    """Options of ``client-pause``."""

    what: Literal["write", "all"] = "write"


class ClientPause(AdminFault):
    """Makes nodes leave clients without an answer."""

    def __init__(self, spec: FaultSpec) -> None:
        self.spec = spec
        self.options: ClientPauseOptions = spec.read(ClientPauseOptions)

    def strike(self, cluster: Cluster, targets: Sequence[Target]) -> ClientPauseStrike:
        """A pause at some of them."""
        return ClientPauseStrike(cluster, targets, self.spec.lasts, self.options.what)


class ClientPauseStrike(AdminStrike):
    """One pause; see ``faults.base.Strike``."""

    def __init__(self, cluster: Cluster, targets: Sequence[Target], lasts_ns: int, what: str) -> None:
        super().__init__(cluster, targets, lasts_ns)
        self._cluster = cluster
        self._window_ns = self.proof_ns
        self.proof_ns *= 2  # two silences, one after the other
        self._lasts_ns = lasts_ns
        self._what = what

    async def look(self, node: Node, admin: Admin) -> str:
        """It answers both commands."""
        await admin.call("PING")
        await self._publish(node)
        return f"{node.name} answered"

    async def tell(self, node: Node, admin: Admin) -> None:
        """Pause for as long as the episode lasts."""
        del node
        lasts_ms = self._lasts_ns // 1_000_000 + (_BEYOND_MS if self._what == "write" else 0)
        await admin.call("CLIENT", "PAUSE", str(lasts_ms), self._what.upper())

    async def see(self, node: Node, admin: Admin) -> str:
        """What has to wait waits, what has not does not."""
        try:
            await self._publish(node)
        except TimeoutError:
            pass
        else:
            raise UnprovenError(f"the pause did not bite: {node.name} answered PUBLISH")
        waited = f"{node.name} left PUBLISH without an answer for {format_duration(self._window_ns)}"
        if self._what == "write":
            await admin.call("PING", within_ns=self._window_ns)
            return f"{waited}, and answered PING"
        witness = administered(self._cluster, node)
        try:
            await witness.call("PING", within_ns=self._window_ns)
        except TimeoutError:
            return f"{waited}, and PING, too"
        finally:
            witness.close()
        raise UnprovenError(f"the pause did not bite: {node.name} answered PING")

    async def untell(self, node: Node, admin: Admin) -> None:
        """Let clients go on; what holds this command ends by itself."""
        del node
        await admin.call("CLIENT", "UNPAUSE", within_ns=self._lasts_ns + _LATE_NS)

    async def regard(self, node: Node, admin: Admin) -> str:
        """It answers both commands again."""
        await admin.call("PING", within_ns=self._window_ns)
        await self._publish(node)
        return f"{node.name} answered again"

    async def _publish(self, node: Node) -> None:
        """Change something; on a connection of its own, for it may stay without an answer."""
        witness = administered(self._cluster, node)
        try:
            await witness.call("PUBLISH", f"{PREFIX}pause", "1", within_ns=self._window_ns)
        finally:
            witness.close()
