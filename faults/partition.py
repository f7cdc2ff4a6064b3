"""``partition``: nodes, or clients and nodes, are cut off from each other, and see each other again at the episode's end.

    [[faults]]
    kind = "partition"
    between = ["primary", "replicas"]   # two sides: names, roles, "client", or lists of them
    how = "black-hole"                  # bytes vanish, connections stay open; "refuse" resets them and refuses new ones
    way = "both"                        # of a black hole: "forward" only from who opened the connection, "backward" only to it
    every = "10s"
    lasts = "3s"
    at_most = 1                         # cut one of the links an episode; without it all of them

    [[faults]]
    kind = "partition"
    groups = "halves"                   # in place of between: a rule that draws who sees whom, anew for each episode:
                                        # halves | isolate-one | primary-from-rest | bridge | ring-of-majorities
    among = "all"                       # who falls apart: names, roles, or lists of them; the others see everybody
    clients = "both"                    # they reach all nodes; or they are on the "larger" or the "smaller" side
    every = "10s"
    lasts = "3s"

**What it does to a cache.** Replicas and near caches go on answering with what they had. A black hole is the worse of the two
ways: nobody is told, so that nobody reconnects, until a time-out somewhere expires. Whoever elects a primary may elect a second
one: the smaller side of a split keeps the old one, and clients on that side keep writing to it. With a ``bridge`` one node sees
both halves; on a ``ring-of-majorities`` every node sees a majority, and no two of them the same.

**How it is proven.** Before the cut a mark written by the real peer crosses every link, on connections that exist by then.
During it, at the start and near the end, a fresh mark does not arrive within the time in which it did before, although both
ends still serve; where roles have changed meanwhile and nothing runs on the links any more, the first of the two has to do. The
status that a server reports of its own link lags by seconds, and proves nothing. The marks of a cut of
both ways go the way of the data; while that is cut there is nothing new to acknowledge. What replicas say once a second of
their own accord proves the way back: an episode of five seconds or more is proven only if the primary has not heard of them for
three. In a shorter one the evidence says that this way was not proven by itself.

**What it is not.** A proxy's cut is not a kernel's: both ends keep a healthy connection with the proxy, whose socket buffers
acknowledge bytes that go nowhere, and there is no back-off of retransmissions to wait for after the heal. The evidence says
``proxy``. A cut of one way only is no partition: with ``forward`` on a replication link the data still flows, and only
acknowledgements are lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Annotated

from pydantic import Field, model_validator

from faults.base import Target, UnprovenError
from faults.groups import LEAST, PRIMARY, Groups, Side, cut_links
from faults.links import LinkStrike
from faults.marks import times_in_words, window, words
from faults.targets import CLIENT, Names, capabilities_of, links_of, nodes_of
from harness.candidates.base import Cluster
from harness.candidates.probes import IdleLinkError
from harness.durations import format_duration
from harness.plan import FaultSpec, Record
from harness.runtimes.base import Capability, Cut, Way
from harness.topology import Link, Node, Topology

_UNHEARD_NS = 3_000_000_000
"""A replica speaks once a second, and its primary counts whole ones: two of them may pass without anything being wrong."""
_TRIES = 100
"""Draws for one episode, to find one that cuts a link, and none that another fault holds."""


class PartitionOptions(Record):
    """Options of ``partition``."""

    between: tuple[Names, Names] | None = None
    groups: Annotated[Groups | None, Field(strict=False)] = None
    among: Names = ("all",)
    """Of ``groups``: who falls apart."""
    clients: Annotated[Side, Field(strict=False)] = Side.BOTH
    """Of ``groups``: which side clients are on."""
    how: Annotated[Cut, Field(strict=False)] = Cut.BLACK_HOLE
    way: Annotated[Way, Field(strict=False)] = Way.BOTH

    @model_validator(mode="after")
    def _one_rule(self) -> PartitionOptions:
        if (self.between is None) == (self.groups is None):
            raise ValueError('a partition is either between two sides or by groups: give it either "between" or "groups"')
        if self.between is not None and self.model_fields_set & {"among", "clients"}:
            raise ValueError('"among" and "clients" belong to groups; between names its sides itself')
        if self.groups is Groups.RING and self.clients is not Side.BOTH:
            raise ValueError('a ring of majorities has no sides that clients could be on; leave "clients" out')
        return self


class Partition:
    """Cuts links."""

    def __init__(self, spec: FaultSpec) -> None:
        self.spec = spec
        self.options = spec.read(PartitionOptions)
        self.needs = _needs(self.options)
        if self.options.how is Cut.REFUSE and self.options.way is not Way.BOTH:
            raise spec.error(
                f'how = "refuse" cannot have way = "{self.options.way}"',
                key="way",
                why="a reset ends a connection for both ends",
                fix='leave way out, or take how = "black-hole"',
            )
        if self.options.groups is not None and spec.at_most is not None:
            raise spec.error(
                "at_most leaves links of a group uncut",
                key="at_most",
                why="who sees whom is the rule of the groups",
                fix="leave it out, or name two sides with between",
            )

    def targets(self, topology: Topology) -> tuple[Link, ...]:
        """The links between the two sides, or all that a draw of groups may cut."""
        if self.options.between is not None:
            return links_of(self.spec, topology, self.options.between)
        return self._links_among(topology, self._nodes_among(topology))

    def draw(self, topology: Topology, random: Random, free: Sequence[Target]) -> Sequence[Target]:
        """All links between two sides or some of them; by groups, a draw that finds all of its links free."""
        links = [link for link in free if isinstance(link, Link)]
        if self.options.groups is None:
            return random.sample(links, min(self.spec.at_most or len(links), len(links)))
        nodes = self._nodes_among(topology)
        possible = self._links_among(topology, nodes)
        for _ in range(_TRIES):
            drawn = cut_links(self.options.groups, self.options.clients, nodes, possible, random)
            if drawn and set(drawn) <= set(links):
                return drawn
        return ()

    def _nodes_among(self, topology: Topology) -> tuple[Node, ...]:
        """Who falls apart; raises ``PlanError`` if they cannot."""
        nodes = nodes_of(self.spec, topology, self.options.among, key="among")
        groups = self.options.groups
        least = LEAST.get(groups, 2) if groups else 2
        if len(nodes) < least:
            raise self.spec.error(
                f'groups = "{groups}" takes {least} nodes', key="groups", why=f"there {_are(len(nodes))} among {_list(nodes)}"
            )
        if groups is Groups.PRIMARY_FROM_REST and not any(node.role == PRIMARY for node in nodes):
            raise self.spec.error(f'groups = "{groups}" finds no primary', key="groups", why=f"there are {_list(nodes)}")
        return nodes

    def _links_among(self, topology: Topology, nodes: Sequence[Node]) -> tuple[Link, ...]:
        """Their links, and those of clients to them if clients are on a side."""
        ends = {node.name for node in nodes} | ({CLIENT} if self.options.clients is not Side.BOTH else set())
        links = tuple(link for link in topology.links if {link.source, link.target} <= ends)
        if not any(link.source != CLIENT for link in links):
            raise self.spec.error(f"there is no link among {_list(nodes)}", key="among")
        both_ways = [link for link in links if Link(link.target, link.source) in links]
        if both_ways and self.options.way is not Way.BOTH:
            raise self.spec.error(
                f'way = "{self.options.way}" would cut both ways',
                key="way",
                why=f"{both_ways[0].source} and {both_ways[0].target} both open connections to each other",
                fix='leave it out, or name two sides with "between"',
            )
        return links

    def strike(self, cluster: Cluster, targets: Sequence[Target]) -> PartitionStrike:
        """A cut of some of them."""
        return PartitionStrike(cluster, [t for t in targets if isinstance(t, Link)], self.options, window(self.spec.lasts))


class PartitionStrike(LinkStrike):
    """One cut; see ``faults.base.Strike``."""

    def __init__(self, cluster: Cluster, links: Sequence[Link], options: PartitionOptions, window_ns: int) -> None:
        super().__init__(cluster, links, options.way)
        self.proof_ns = window_ns
        self._options = options
        self._applied_s = 0.0
        self._has_bitten = False
        self._islands = _islands(cluster.topology, links)

    async def arm(self, within_ns: int) -> tuple[str, ...]:
        """Marks cross before the cut."""
        times = await self._marks.fastest_soon(self.proof_ns, within_ns)
        return (f"a mark crossed {times_in_words(times)}",)

    async def apply(self) -> None:
        """Cut."""
        self._applied_s = asyncio.get_running_loop().time()
        await self._runtime.cut(self._links, self._options.how, self._options.way)

    async def prove(self) -> tuple[str, ...]:
        """No mark crosses any link."""
        try:
            times = await self._marks.cross(self.proof_ns)
        except IdleLinkError as error:
            if not self._has_bitten:
                raise
            return (f"{error}; while something did, no mark crossed",)
        if any(took is not None for took in times.values()):
            raise UnprovenError(f"the cut did not bite: a mark crossed {times_in_words(times)}")
        self._has_bitten = True
        silent = f"no mark crossed {words(list(times))} within {format_duration(self.proof_ns)}; the islands: {self._islands}"
        return (silent, *(await self._prove_the_way_back() if self._options.way is Way.BOTH else ()))

    async def _prove_the_way_back(self) -> tuple[str, ...]:
        """What is said of its own accord is not heard either; as far as there has been time for that."""
        silences = await self._marks.silences()
        if not silences:
            return ()
        cut_for_ns = round((asyncio.get_running_loop().time() - self._applied_s) * 1e9)
        if cut_for_ns < _UNHEARD_NS + 1_000_000_000:
            return (f"the way back over {words(list(silences))} is cut, too, but not yet proven: they are heard once a second",)
        heard = [link for link, silence_ns in silences.items() if silence_ns is not None and silence_ns < _UNHEARD_NS]
        if heard:
            raise UnprovenError(f"the cut did not bite on the way back: {words(heard)} was heard less than three seconds ago")
        told = ", ".join(
            f"{link} {'has been given up' if silence_ns is None else f'not heard for {format_duration(silence_ns)}'}"
            for link, silence_ns in silences.items()
        )
        return (f"the way back: {told}",)


def _needs(options: PartitionOptions) -> frozenset[Capability]:
    if options.between is not None:
        return capabilities_of(options.between, inside=Capability.CUT)
    return frozenset({Capability.CUT} | ({Capability.CUT_CLIENTS} if options.clients is not Side.BOTH else set()))


def _islands(topology: Topology, cut: Sequence[Link]) -> str:
    """Who still sees whom, and whom clients reach if it is not everybody."""
    groups = " | ".join(", ".join(group) for group in topology.islands(cut))
    reached = [link.target for link in topology.links if link.source == CLIENT and link not in cut]
    if not any(link.source == CLIENT for link in cut):
        return groups
    return f"{groups}; clients reach {', '.join(reached) or 'nobody'}"


def _are(count: int) -> str:
    return "is one" if count == 1 else f"are {count}"


def _list(nodes: Sequence[Node]) -> str:
    return ", ".join(node.name for node in nodes)
