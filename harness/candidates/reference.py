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
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field, create_model

from harness.candidates.probes import Probe
from harness.candidates.reference_places import Places
from harness.durations import UNITS, format_duration
from harness.errors import PlanError
from harness.plan import CandidateSpec, Contract, Duration, Record, Share
from harness.reference.places import topology_of
from harness.reference.settings import Settings
from harness.reference.zoo import named_design
from harness.runtimes.base import Runtime
from harness.topology import Link

_NS = "_ns"
_LEAST_NS = UNITS["ms"] // 10
"""The shortest setting: what is done again and again after less than a message takes leaves no time to pass."""


class FleetOptions(Record):
    """Which fleet."""

    strategy: str
    """A strategy, or a strategy with a bug: ``broadcast-alo``, ``broadcast-alo+blind-refill``."""
    nodes: Annotated[int, Field(ge=3, le=10_000)] = 3
    """How many cache nodes."""


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


class Reference:
    """A design with its settings and its promise.

    Attributes:
        topology, protocol, product: see ``harness.candidates.base.Candidate``.
        design: what runs where.
        settings: its times: the design's own with those of the plan.
        nodes: how many cache nodes.
    """

    protocol = "resp"

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
        self.topology = topology_of(self.design, self.nodes)
        self.product = f"{options.strategy}, {self.nodes} nodes"
        self._places = Places(self.topology, options.strategy, self.settings)

    def promise(self, hop_ns: int) -> Contract:
        """What the theory of the correct strategy promises with these settings, if a message takes at most ``hop_ns``."""
        return self._correct.promise(replace(self._correct.settings, **self._given), hop_ns)

    async def start(self, runtime: Runtime) -> None:
        """See ``harness.candidates.base.Candidate``."""
        await self._places.start(runtime)

    async def ready(self, node: str) -> None:
        """See ``harness.candidates.base.Candidate``."""
        await self._places.ready(node)

    async def identity(self, node: str) -> str:
        """See ``harness.candidates.base.Candidate``."""
        return await self._places.identity(node)

    async def probe(self, link: Link) -> Probe:
        """See ``harness.candidates.base.Candidate``."""
        return await self._places.probe(link)

    async def audit(self, *, seal: bool) -> Sequence[bytes]:
        """See ``harness.candidates.abilities.Audited``."""
        return await self._places.audit(seal=seal)

    async def close(self) -> None:
        """See ``harness.candidates.base.Candidate``."""
        await self._places.close()
