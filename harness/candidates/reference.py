"""``reference``: a fleet of Anachron's own, in which it is known what is right and what is wrong.

Cache nodes called ``node-1``, ``node-2``, ... keep coherent by one strategy: ``broadcast-alo``, say. Each strategy comes with the
contract that its theory promises; a plan without ``[contract]`` is held to that one, and the run directory's copy of the plan
shows it. A strategy with a classic mistake in it is named after both, ``broadcast-alo+blind-refill``, and is held to what the
correct one promises. `anachron list strategies` and `anachron list bugs` show what there is.

What the nodes share is called ``origin`` (the source of truth), ``bus`` and ``store``, where the strategy has them. Faults may
strike ``nodes``, these three, and the links between any of them, those of ``client`` included.

On ``runtime = "simulated"`` it lives in virtual time on a virtual network, and the same seed gives the same history. On other
runtimes every place is a process of its own, which runs the same code over sockets and keeps what it knows in its memory: one
that was killed has forgotten it, the origin and the bus included.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, create_model

from harness.candidates.access import AccessOptions
from harness.candidates.backends import Backend, PostgresBackend, RedisBackend
from harness.candidates.reference_places import Places, ServerInPlace
from harness.durations import UNITS, Bound, format_duration
from harness.errors import PlanError
from harness.plan import CandidateSpec, Contract, Duration, Share
from harness.reference.bus import Broadcast, Log
from harness.reference.messages import BUS, ORIGIN
from harness.reference.origin import Origin, Outbox
from harness.reference.places import topology_of
from harness.reference.settings import Settings
from harness.reference.strategies.broadcast_update import OutboxOfRecords
from harness.reference.zoo import named_design
from harness.runtimes.base import Endpoint
from harness.topology import Topology

_NS = "_ns"
_LEAST_NS = UNITS["ms"] // 10
"""The shortest setting: what is done again and again after less than a message takes leaves no time to pass."""


class FleetOptions(AccessOptions):
    """Which fleet, and what it is made of."""

    strategy: str
    """A strategy, or a strategy with a bug: ``broadcast-alo``, ``broadcast-alo+blind-refill``."""
    nodes: Annotated[int, Field(ge=3, le=10_000)] = 3
    """How many cache nodes."""
    bus: Literal["own", "redis", "valkey"] = "own"
    """What carries events: a process of our own, or a server: its channel, and its stream for what may be had again."""
    origin: Literal["own", "postgres"] = "own"
    """The source of truth: a process of our own, or a database."""


def _meanings(record: type) -> dict[str, str]:
    """What the docstring of ``record`` says of each of its attributes."""
    _, _, listed = " ".join((record.__doc__ or "").split()).partition("Attributes: ")
    parts = re.split(r"(?:^|(?<=\.) )(\w+): ", listed)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _long_enough(duration_ns: int) -> int:
    if duration_ns < _LEAST_NS:
        raise ValueError(f"it is shorter than a message takes; make it {format_duration(_LEAST_NS)} or longer")
    return duration_ns


def _setting(name: str) -> Any:
    """The type and the default of an option for the field ``name`` of ``Settings``."""
    kind = Annotated[Duration, AfterValidator(_long_enough)] if name.endswith(_NS) else Share
    meaning = _meanings(Settings).get(name, "")
    return (kind | None, Field(default=None, description=f"{meaning[:1].upper()}{meaning[1:]}"))


if TYPE_CHECKING:
    ReferenceOptions = FleetOptions
else:
    ReferenceOptions = create_model(
        "ReferenceOptions",
        __base__=FleetOptions,
        __module__=__name__,
        __doc__="Which fleet, and any of the times that its strategy is made of.",
        **{each.name.removesuffix(_NS): _setting(each.name) for each in fields(Settings)},
    )


class Reference(Places):
    """A design with its settings and its promise.

    Attributes:
        topology, protocol, product: see ``harness.candidates.base.Candidate``.
        design: what runs where.
        settings: its times: the design's own with those of the plan.
        nodes: how many cache nodes.
        servers: the places whose part a server plays, by name; there are none in a simulation.
    """

    def __init__(self, spec: CandidateSpec) -> None:
        options = spec.read(ReferenceOptions)
        try:
            self.design, self._correct = named_design(options.strategy)
        except PlanError as error:
            raise spec.error(error.what, key="strategy", fix=error.fix) from None
        given = {each.name: getattr(options, each.name.removesuffix(_NS)) for each in fields(Settings)}
        self._given = {name: value for name, value in given.items() if value is not None}
        self.settings = replace(self.design.settings, **self._given)
        self.nodes = options.nodes
        self._bus_kind = options.bus
        self.servers = self._in_place(spec, options)
        topology = _with_servers(topology_of(self.design, self.nodes), self.servers)
        super().__init__(topology, options.strategy, self.settings, self.servers, options=options)
        self.product = f"{options.strategy}, {self.nodes} nodes"

    def promise(self, hop_ns: int, *, sockets: bool = False) -> Contract:
        """What the theory of the correct strategy promises with these settings, if a message takes at most ``hop_ns``.

        Over ``sockets`` there is a connection again only a while after a fault is over: once the old one is given up and another
        try to connect comes to its end.
        """
        settings = replace(self._correct.settings, **self._given)
        theory = self._correct.promise(settings, hop_ns)
        return later(theory, settings.silence_ns + settings.call_timeout_ns) if sockets else theory

    def _in_place(self, spec: CandidateSpec, options: FleetOptions) -> Mapping[str, ServerInPlace]:
        """The servers that the plan wants; raises ``PlanError`` for one that cannot play the part."""
        found = {}
        if options.bus != "own":
            if self.design.bus not in {Broadcast, Log}:
                raise spec.error(f'the strategy "{options.strategy}" has no bus that a server could be', key="bus")
            found[BUS] = ServerInPlace("redis", self._bus)
        if options.origin != "own":
            if self.design.origin not in {Origin, Outbox, OutboxOfRecords}:
                raise spec.error(f'the strategy "{options.strategy}" has no origin that a database could be', key="origin")
            if self.design.origin is not Origin and options.bus == "own":
                raise spec.error("an outbox in a database needs a bus that is a server, too", key="bus", fix='bus = "redis"')
            found[ORIGIN] = ServerInPlace("postgres", self._origin)
        return found

    def _bus(self, endpoint: Endpoint) -> Backend:
        return RedisBackend(BUS, self._bus_kind, "", endpoint, self._guard)

    def _origin(self, endpoint: Endpoint) -> Backend:
        return PostgresBackend(ORIGIN, "", endpoint, self._guard)


def later(contract: Contract, by_ns: int) -> Contract:
    """``contract`` where everything that a fault has disturbed may take longer by ``by_ns``."""
    staleness = contract.staleness
    during = {kind: Bound(bound.extra_ns + by_ns, bound.plus_fault) for kind, bound in staleness.during.items()}
    update = {"during": during, "after_heal": staleness.after_heal + by_ns}
    converges_ns = contract.converges_within
    return contract.model_copy(
        update={
            "staleness": staleness.model_copy(update=update),
            "converges_within": None if converges_ns is None else converges_ns + by_ns,
        }
    )


_SERVERS = {"redis": ("resp", 6_379), "postgres": ("sql", 5_432)}
"""Protocol and port of each kind of server."""


def _with_servers(topology: Topology, servers: Mapping[str, ServerInPlace]) -> Topology:
    """``topology`` where servers play the part of some places: they open no connections themselves."""
    nodes = []
    for node in topology.nodes:
        if node.name in servers:
            protocol, port = _SERVERS[servers[node.name].kind]
            nodes.append(replace(node, protocol=protocol, port=port))
        else:
            nodes.append(node)
    return replace(topology, nodes=tuple(nodes), links=tuple(link for link in topology.links if link.source not in servers))
