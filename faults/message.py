"""``message``: whole messages that match a pattern are dropped, delayed, doubled, swapped, or held until the episode's end.

    [[faults]]
    kind = "message"
    between = ["client", "primary"]     # two sides: names, roles, "client", or lists of them
    action = "drop"                     # drop | delay | duplicate | reorder | hold
    command = "set"                     # a pattern, any case; an answer is called like its question
    key = "*"                           # a pattern for one of its keys as on the wire: the run's token stands before them
    way = "backward"                    # forward: requests, from who opened the connection; backward: answers, pushes, streams
    every_nth = 10                      # of those that match, counted by link; or nth = 3: the third one only
    limit = 0                           # so many on a link at most; 0 for no limit
    # delay = "100ms"                   for "delay" alone
    every = "10s"
    lasts = "3s"

**What it does to a cache.** A lost packet is sent again; a message that is lost, late or doubled is seen by nobody. A dropped
``INVALIDATE`` or ``MESSAGE`` leaves a near cache stale although every connection is healthy. A dropped answer is a write that
happened and that its client calls timed out. A ``set`` that is held lands after newer ones: a zombie. An answer to a ``GET`` that
is held is older than the invalidation that overtook it.

**What is counted as a message** stands in ``harness.runtimes.messages``: requests and answers of RESP and of memcached's text and
meta protocol, deliveries, pushes, and each command of a replication stream. What is longer than 1 MiB passes untouched, and so do
snapshots and encrypted connections. ``delay`` and ``hold`` keep back the message alone: those behind it overtake it, until 4 MiB
are kept back on its connection.

**What it does to a connection.** Requests and answers are paired by their order alone. After a dropped request, or a dropped or
doubled answer, a connection that has more in flight is out of step, and nothing is reset to hide that. Sessions here have one
operation in flight: they time out, and go on with a new connection. On a replication link a dropped command puts the replica's
offset behind; a replica that loses its connection afterwards gets the stream from the wrong place on, calls it corrupt, and
stands still until its ``repl-timeout``. With ``command = "*"`` the primary's pings are dropped, too: that ends the connection.

**How it is proven.** The proxy counts the messages that it struck: at least one, or the episode is unproven because no message
matched, and near the end more than by then. With ``nth``, and with a ``limit`` that is reached on every link that it struck, a
rule strikes no more: then the end shows nothing but that count, and not that the rule is still in force. Where all replication
is dropped that a canary is part of, no canary arrives either, over the connections on which it did before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from faults.base import Target, UnprovenError
from faults.marks import Marks, window, words
from faults.targets import CLIENT, Names, capabilities_of, links_of
from harness.candidates.base import Cluster
from harness.candidates.redis_probes import PREFIX
from harness.durations import format_duration
from harness.plan import Duration, FaultSpec, Record
from harness.runtimes.base import Capability, Way
from harness.runtimes.messages import CONVERSATIONS, Action, Message, MessageRule
from harness.topology import Link, Topology

_POLL_S = 0.02
_MARGIN_NS = 60_000_000
"""Of an episode: what is left after the last look for a struck message."""
_DONE = {
    Action.DROP: "dropped",
    Action.DELAY: "delayed",
    Action.DUPLICATE: "doubled",
    Action.REORDER: "overtaken",
    Action.HOLD: "held",
}


class MessageOptions(Record):
    """Options of ``message``."""

    between: tuple[Names, Names]
    action: Annotated[Action, Field(strict=False)]
    command: str = Field(default="*", min_length=1)
    key: str = Field(default="*", min_length=1)
    way: Annotated[Way, Field(strict=False)] = Way.BOTH
    nth: int = Field(default=0, ge=0)
    every_nth: int = Field(default=1, ge=1)
    limit: int = Field(default=0, ge=0)
    delay: Duration = 0

    @property
    def rule(self) -> MessageRule:
        """For the runtime."""
        return MessageRule(self.action, self.command, self.key, self.nth, self.every_nth, self.delay, self.limit)

    def swallows(self, message: Message) -> bool:
        """Whether every such message from a link's target is dropped."""
        chosen = bool(self.nth or self.limit) or self.every_nth > 1
        return self.action is Action.DROP and self.way is not Way.FORWARD and not chosen and self.rule.matches(message)


class MessageFault:
    """Strikes messages."""

    def __init__(self, spec: FaultSpec) -> None:
        self.spec = spec
        self.options = spec.read(MessageOptions)
        self.needs = capabilities_of(self.options.between, inside=Capability.MESSAGES, with_clients=Capability.CLIENT_MESSAGES)
        if (self.options.action is Action.DELAY) != (self.options.delay > 0):
            raise spec.error(
                f'action = "{self.options.action}" with delay = "{format_duration(self.options.delay)}"',
                key="delay",
                fix='give action = "delay" a delay, and no other action one',
            )
        if self.options.nth and self.options.every_nth > 1:
            raise spec.error("nth and every_nth cannot both choose", key="nth", fix="leave one of them out")

    def targets(self, topology: Topology) -> tuple[Link, ...]:
        """The links between the two sides."""
        links = links_of(self.spec, topology, self.options.between)
        protocols = {node.name: node.protocol for node in topology.nodes}
        for link in links:
            if protocols[link.target] not in CONVERSATIONS:
                raise self.spec.error(
                    f"messages to {link.target} cannot be told apart",
                    key="between",
                    why=f"it speaks {protocols[link.target]}; known are {' and '.join(CONVERSATIONS)}",
                    fix="choose other links, or strike this one with partition, delay or drop",
                )
        return links

    def strike(self, cluster: Cluster, targets: Sequence[Target]) -> MessageStrike:
        """A rule on some of them."""
        return MessageStrike(cluster, [t for t in targets if isinstance(t, Link)], self.options, self.spec.lasts)


class MessageStrike:
    """One rule for a while; see ``faults.base.Strike``."""

    def __init__(self, cluster: Cluster, links: Sequence[Link], options: MessageOptions, lasts_ns: int) -> None:
        self.means = "proxy"
        self._runtime = cluster.runtime
        self._links = links
        self._options = options
        self._hits: dict[Link, int] = {}
        self._shown = 0
        self._silenced = [
            link
            for link in links
            if link.source != CLIENT and options.swallows(Message(b"", "SET", (f"{PREFIX}{link}".encode(),)))
        ]
        self._marks = Marks(cluster, self._silenced, Way.BACKWARD)
        self.proof_ns = window(lasts_ns) if self._silenced else 0
        self._patience_ns = lasts_ns - self.proof_ns - _MARGIN_NS

    async def arm(self, within_ns: int) -> tuple[str, ...]:
        """Canaries cross where the rule will stop them."""
        if not self._silenced:
            return ()
        await self._marks.fastest_soon(self.proof_ns, within_ns)
        return (f"a canary crossed {words(self._silenced)}",)

    async def apply(self) -> None:
        """Put the rule in force."""
        await self._runtime.meddle(self._links, self._options.rule, self._options.way)

    async def prove(self) -> tuple[str, ...]:
        """Messages are struck, which are waited for; the second time, more than the first time if more may be."""
        evidence: tuple[str, ...] = ()
        if self._silenced:
            times = await self._marks.cross(self.proof_ns)
            crossed = [link for link, took_ns in times.items() if took_ns is not None]
            if crossed:
                raise UnprovenError(f"the rule did not bite: a canary crossed {words(crossed)}")
            evidence = (f"no canary crossed {words(self._silenced)} within {format_duration(self.proof_ns)}",)
        give_up = asyncio.get_running_loop().time() + self._patience_ns / 1e9
        self._patience_ns = 0
        while await self._count() <= self._shown and not self._spent:
            if asyncio.get_running_loop().time() >= give_up:
                since = f" after the first {self._shown}" if self._shown else ""
                raise UnprovenError(f"no message matched{since}: {self._pattern}")
            await asyncio.sleep(_POLL_S)
        self._shown = sum(self._hits.values())
        return (*evidence, self._told)

    async def heal(self) -> None:
        """Take the rule away; what was held goes on."""
        try:
            await self._count()
        finally:
            await self._runtime.mend(self._links)

    async def confirm(self, within_ns: int) -> tuple[str, ...]:
        """Canaries cross again."""
        return (f"in all, {self._told}", *(await self._marks.confirm(within_ns)))

    async def close(self) -> None:
        """Close the probes."""
        await self._marks.close()

    async def _count(self) -> int:
        """How many messages have been struck; a rule that was taken away counts no more."""
        for link, hits in (await self._runtime.meddled(self._links)).items():
            self._hits[link] = max(hits, self._hits.get(link, 0))
        return sum(self._hits.values())

    @property
    def _spent(self) -> bool:
        """Whether the rule has struck, and strikes no more on the links on which it did."""
        most = 1 if self._options.nth else self._options.limit
        struck = [hits for hits in self._hits.values() if hits]
        return bool(most and struck) and min(struck) >= most

    @property
    def _told(self) -> str:
        counts = ", ".join(f"{link} {hits}" for link, hits in self._hits.items())
        return f"messages {_DONE[self._options.action]} ({self._pattern}): {counts}"

    @property
    def _pattern(self) -> str:
        return f"{self._options.command.upper()} of {self._options.key}, {self._options.way}"
