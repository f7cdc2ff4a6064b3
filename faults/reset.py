"""``reset``: the connections between two groups of nodes are reset, once, at the episode's start.

    [[faults]]
    kind = "reset"
    between = ["client", "primary"]     # two sides: names, roles, "client", or lists of them
    every = "5s"
    lasts = "1s"

**What it does to a cache.** What a fail-over of a load balancer or a firewall that forgot its table does: both ends learn at
once that the connection is gone, and not what became of the last command on it. Operations in flight have an unknown outcome.
Who caches by the word of such a connection must forget; a subscriber misses what is published until it is back.

**How it is proven.** A connection of a client's own over each link, open before, ends with a reset. Between nodes, the target's
own list of connections has none left from the source that it had before; those that came back meanwhile are new ones.

**What it is not.** A cut: reconnecting succeeds at once. It is over when it is applied; the episode goes on until its intended
end to say what is put down to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from faults.administering import RESP, administered
from faults.base import Target, UnprovenError
from faults.marks import window
from faults.patience import soon
from faults.targets import CLIENT, Names, capabilities_of, links_of
from harness.candidates.asking import UnusableAnswerError
from harness.candidates.base import Cluster
from harness.candidates.redis_admin import Admin
from harness.plan import FaultSpec, Record
from harness.runtimes.base import Capability
from harness.topology import Link, Topology

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class ResetOptions(Record):
    """Options of ``reset``."""

    between: tuple[Names, Names]


class Reset:
    """Resets connections."""

    def __init__(self, spec: FaultSpec) -> None:
        self.spec = spec
        self.options = spec.read(ResetOptions)
        self.needs = capabilities_of(self.options.between, inside=Capability.RESET) | {Capability.RESET}

    def targets(self, topology: Topology) -> tuple[Link, ...]:
        """The links between the two sides; raises ``PlanError`` for one whose reset nobody would see."""
        links = links_of(self.spec, topology, self.options.between)
        deaf = {node.name: node.protocol for node in topology.nodes if node.protocol != RESP}
        for link in links:
            if link.source != CLIENT and link.target in deaf:
                raise self.spec.error(
                    f"nothing would show a reset of {link}",
                    key="between",
                    why=f"{link.target} speaks {deaf[link.target]} and lists its connections to nobody",
                    fix="name only links of clients, and links to nodes that speak RESP",
                )
        return links

    def strike(self, cluster: Cluster, targets: Sequence[Target]) -> ResetStrike:
        """A reset of some of them."""
        return ResetStrike(cluster, [t for t in targets if isinstance(t, Link)], window(self.spec.lasts))


class ResetStrike:
    """One reset; see ``faults.base.Strike``."""

    def __init__(self, cluster: Cluster, links: Sequence[Link], window_ns: int) -> None:
        self.means = cluster.runtime.means
        self.proof_ns = window_ns
        self._cluster = cluster
        self._links = links
        self._clients: dict[Link, Streams] = {}
        self._admins: dict[Link, Admin] = {}
        self._before: dict[Link, frozenset[str]] = {}
        self._ends: dict[Link, str] = {}
        self._nodes = {node.name: node for node in cluster.topology.nodes}

    async def arm(self, within_ns: int) -> tuple[str, ...]:
        """There are connections that can be reset."""
        return tuple(await asyncio.gather(*(soon(partial(self._look, link), within_ns) for link in self._links)))

    async def _look(self, link: Link) -> str:
        if link.source == CLIENT:
            if link not in self._clients:
                self._clients[link] = await asyncio.open_connection(*self._cluster.runtime.via(link))
            return f"a connection over {link} was open"
        if link not in self._admins:
            self._admins[link] = administered(self._cluster, self._nodes[link.target])
        self._before[link] = await self._listed(link)
        if not self._before[link]:
            raise UnprovenError(f"{link.target} lists no connection from {link.source}")
        return f"{link.target} listed {len(self._before[link])} connections from {link.source}"

    async def apply(self) -> None:
        """Reset, once."""
        for link in self._admins:
            self._before[link] = await self._listed(link)
        await self._cluster.runtime.reset(self._links)

    async def prove(self) -> tuple[str, ...]:
        """What was open is gone, on every link."""
        return tuple(await asyncio.gather(*map(self._see, self._links)))

    async def _see(self, link: Link) -> str:
        if link.source == CLIENT:
            return await self._see_the_end(link)
        left = self._before[link]
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self.proof_ns / 1e9
        while left := left & await self._listed(link):
            if loop.time() > give_up:
                raise UnprovenError(
                    f"the reset did not bite: {link.target} still lists {len(left)} connections from {link.source}"
                )
            await asyncio.sleep(0.005)
        return f"none of {len(self._before[link])} connections from {link.source} is left at {link.target}"

    async def _see_the_end(self, link: Link) -> str:
        if link not in self._ends:
            try:
                async with asyncio.timeout(self.proof_ns / 1e9):
                    while await self._clients[link][0].read(4096):
                        pass  # a greeting
            except ConnectionError as error:
                self._ends[link] = f"the connection over {link} ended: {error.strerror or error}"
            except TimeoutError:
                raise UnprovenError(f"the reset did not bite: the connection over {link} is still open") from None
            else:
                raise UnprovenError(f"the connection over {link} was closed in order, not reset")
        return self._ends[link]

    async def _listed(self, link: Link) -> frozenset[str]:
        """Which connections the link's target has from its source, as it numbers them."""
        text = await self._admins[link].call("CLIENT", "LIST")
        if not isinstance(text, str):
            raise UnusableAnswerError(f"{link.target} answered CLIENT LIST with {text!r:.80}")
        host = self._cluster.runtime.endpoint(link.source).host
        lines = (dict(word.partition("=")[::2] for word in line.split()) for line in text.splitlines())
        return frozenset(fields.get("id", "") for fields in lines if fields.get("addr", "").rpartition(":")[0] == host)

    async def heal(self) -> None:
        """Nothing to take away."""

    async def confirm(self, within_ns: int) -> tuple[str, ...]:
        """The links carry connections again."""
        return tuple(await asyncio.gather(*(soon(partial(self._again, link), within_ns) for link in self._links)))

    async def _again(self, link: Link) -> str:
        if link.source == CLIENT:
            _, writer = await asyncio.open_connection(*self._cluster.runtime.via(link))
            writer.transport.abort()
            return f"a new connection over {link} is accepted"
        count = len(await self._listed(link))
        if not count:
            raise ConnectionError(f"{link.target} lists no connection from {link.source}")
        return f"{link.target} lists {count} connections from {link.source} again"

    async def close(self) -> None:
        """Give the connections back."""
        for _, writer in self._clients.values():
            writer.transport.abort()
        for admin in self._admins.values():
            admin.close()
