"""A plan: candidate, contract, workloads, faults and seed. One TOML file, one reproducible experiment.

The file is checked here, at the edge, and is frozen records from then on. Candidates, workloads and faults bring their own
options (``replicas``, ``keys``, ``between``): a spec keeps those as they were written until their owner reads them.
Every error names the file, the line, the key, the reason and the remedy: ``harness.plan_errors``.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    field_validator,
    model_validator,
)

from harness.durations import Bound, format_duration, parse_bound, parse_duration
from harness.errors import PlanError, suggestion
from harness.findings import FINDINGS
from harness.plan_errors import Where, plan_error

Duration = Annotated[
    int, BeforeValidator(parse_duration), PlainSerializer(format_duration), Field(json_schema_extra={"type": "string"})
]
"""A duration: text with a unit in the file, integer nanoseconds inside."""

FaultBound = Annotated[Bound, BeforeValidator(parse_bound), PlainSerializer(str), Field(json_schema_extra={"type": "string"})]

Reach = Literal["none", "same-node", "sticky", "any-node"]
"""How far a session guarantee reaches: nowhere; while both operations ask one node; while the session has asked no other node
in between; wherever the session goes."""

_FATAL = frozenset({"wrong-key", "thin-air", "future-read", "dirty-read", "split-brain"})
"""Integrity findings: no contract can excuse them."""

Share = Annotated[float, Field(ge=0.0, le=1.0)]
M = TypeVar("M", bound=BaseModel)


class Record(BaseModel):
    """A frozen part of a plan that knows no keys but its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)


class Sessions(Record):
    """How far each session guarantee (Terry et al. 1994) is promised."""

    read_your_writes: Reach = "none"
    monotonic_reads: Reach = "none"
    monotonic_writes: Reach = "none"
    writes_follow_reads: Reach = "none"


class StalenessPromise(Record):
    """How old a read may be: no read returns a value that was superseded longer ago than this."""

    steady: Duration | None = None
    during: dict[str, FaultBound] = Field(default_factory=dict)
    after_heal: Duration = 0
    """Grace after a heal, in which the bound of the fault still applies."""
    versions: int | None = Field(default=None, ge=0)


class RatePromise(Record):
    """At most this share of units may see a read older than a limit, at a confidence."""

    phase: str = "steady"
    older_than: Duration
    at_most: Share
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    per: Literal["write", "episode"] = "write"


class TimeToLive(Record):
    """Values live at most ``max``, give or take ``grace``."""

    max: Duration
    grace: Duration = 0


class Waiver(Record):
    """A finding that the owners know of and accept; counted and shown, but no violation."""

    finding: str
    during: str | None = None
    """Only in and after episodes of this fault."""
    reason: str = Field(min_length=3)

    @field_validator("finding")
    @classmethod
    def _excusable(cls, finding: str) -> str:
        if finding not in FINDINGS:
            raise ValueError(f'no checker finds "{finding}": {suggestion(finding, FINDINGS)}')
        if finding in _FATAL:
            raise ValueError(f'"{finding}" is an integrity finding and cannot be waived')
        return finding


class Contract(Record):
    """What the candidate's owners promise. Integrity is always promised; a key that is left out is not."""

    linearizable: bool = False
    atomic_reads: bool = False
    """What was written in one request is read in one request whole, or not at all."""
    node_monotonic: bool = True
    """One node, one epoch, never goes backwards."""
    sessions: Sessions = Sessions()
    staleness: StalenessPromise = StalenessPromise()
    rates: tuple[RatePromise, ...] = ()
    converges_within: Duration | None = None
    lost_writes: int | None = Field(default=None, ge=0)
    misses: Literal["allowed", "absent-is-a-value", "loss"] = "allowed"
    ttl: TimeToLive | None = None
    waive: tuple[Waiver, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Contract:
        steady = self.staleness.steady
        if self.linearizable and steady:
            raise ValueError(
                "the contract contradicts itself: linearizable = true allows no stale read, "
                f"but staleness.steady allows {format_duration(steady)}"
            )
        if steady is None and self.staleness.during:
            raise ValueError("staleness.during needs staleness.steady: what holds while nothing is broken?")
        for kind, bound in self.staleness.during.items():
            if steady is not None and not bound.plus_fault and bound.extra_ns < steady:
                raise ValueError(
                    f"the contract contradicts itself: staleness.during.{kind} ({bound}) "
                    f"is stricter than staleness.steady ({format_duration(steady)})"
                )
        for rate in self.rates:
            if steady is not None and rate.phase == "steady" and rate.older_than >= steady:
                raise ValueError(
                    f"the rate of reads older than {format_duration(rate.older_than)} says nothing: "
                    f"staleness.steady forbids every read older than {format_duration(steady)}"
                )
        return self


class Adequacy(Record):
    """What a run must have exercised before its silence means anything; less is inconclusive."""

    operations: int = Field(default=1_000, ge=1)
    """Reads that could have seen a violation."""
    success_rate: Share = 0.95
    """Of operations outside faults."""
    episodes: int = Field(default=1, ge=0)
    """Proven episodes of each fault of the plan."""
    coverage: Share = 0.95
    """Share of (write, node) pairs that must be seen fresh in time before a bound holds."""
    resolution: Duration = parse_duration("1s")
    """How long after its bound a pair may be seen fresh and still count."""
    stalled: Share = 0.05
    """Share of the run's time that the harness itself may have stood still."""


class Spec(Record):
    """A named thing with options of its own, kept as written until its owner reads them."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    kind: str = Field(min_length=1)
    _where: Where | None = None

    @property
    def options(self) -> Mapping[str, Any]:
        """The options beside the keys that every spec of this sort has."""
        return dict(self.__pydantic_extra__ or {})

    def read(self, model: type[M]) -> M:
        """The options as a validated ``model``; raises ``PlanError`` that points into the plan file."""
        try:
            return model.model_validate(self.options)
        except ValidationError as error:
            raise plan_error(error, self._where or Where(None, ""), model) from None

    @property
    def directory(self) -> Path:
        """Where the plan's file is: what a path in the plan begins at. The current directory for a plan that is no file."""
        return Path(self._where.source).parent if self._where else Path()

    def locate(self, where: Where) -> None:
        """Remember where in its file the spec stands; for errors only."""
        self._where = where

    def error(self, what: str, *, key: str = "", why: str = "", fix: str = "") -> PlanError:
        """An error about this spec that points into the plan file."""
        place = self._where or Where(None, "")
        return PlanError(what, where=place.at((key,) if key else ()), why=why, fix=fix)


class CandidateSpec(Spec):
    """The cache deployment under test: its kind and that kind's options."""


class WorkloadSpec(Spec):
    """What sessions do: a workload's kind, how many sessions follow it and at which rate."""

    sessions: int = Field(default=10, ge=1, le=10_000)
    rate: float | None = Field(default=None, gt=0)
    """Operations per second of all its sessions together, open loop; None is full speed."""


class FaultSpec(Spec):
    """What goes wrong and when: episodes of ``lasts``, one ``every`` so often, the first after ``after``."""

    every: Duration
    lasts: Duration
    after: Duration | None = None
    """Offset of the first episode; ``every`` where it is not given."""
    jitter: Duration = 0
    """Each start is moved by up to this much either way, by the seed."""
    at_most: int | None = Field(default=None, ge=1)
    """How many of the possible targets one episode strikes, chosen by the seed; not given: all links, or one node."""

    @model_validator(mode="after")
    def _possible(self) -> FaultSpec:
        if self.lasts + 2 * self.jitter >= self.every:
            raise ValueError(
                f"an impossible schedule: episodes of {format_duration(self.lasts)} (jitter {format_duration(self.jitter)}) "
                f"every {format_duration(self.every)} would overlap; make every longer than lasts + 2 * jitter"
            )
        if self.lasts == 0:
            raise ValueError('lasts = "0s" is no fault; give it a length')
        return self


class RunSpec(Record):
    """How the experiment is carried out."""

    duration: Duration = parse_duration("60s")
    runtime: str = "process"
    workers: int = Field(default=1, ge=1, le=64)
    """Driver processes."""
    timeout: Duration = parse_duration("1s")
    """How long an operation may take before it is ``info``."""
    settle: Duration = parse_duration("5s")
    """How long the fleet is probed in the end until it has converged, where the contract does not say how long it may take."""
    client_proxies: bool = False
    """Put a proxy on the links between clients and nodes, too."""
    node_proxies: bool = False
    """Put a proxy on the links between nodes, where the runtime does not need one anyway."""


class Plan(Record):
    """One reproducible experiment."""

    seed: int = Field(default=0, ge=0)
    name: str = ""
    candidate: CandidateSpec
    contract: Contract = Contract()
    workloads: tuple[WorkloadSpec, ...] = Field(min_length=1)
    faults: tuple[FaultSpec, ...] = ()
    adequacy: Adequacy = Adequacy()
    run: RunSpec = RunSpec()

    @property
    def hash(self) -> str:
        """Twelve hex digits that change with anything that changes the experiment; comments and layout do not."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()[:12]


def load_plan(path: Path) -> Plan:
    """The plan in the TOML file ``path``; raises ``PlanError``."""
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        raise PlanError("there is no such plan", where=str(path), fix="`anachron list plans` shows the built-in ones") from None
    except OSError as error:
        raise PlanError(f"the plan cannot be read: {error.strerror}", where=str(path)) from None
    except UnicodeDecodeError:
        raise PlanError("this is not a text file", where=str(path), fix="a plan is TOML text in UTF-8") from None
    return parse_plan(text, str(path))


def parse_plan(text: str, source: str = "plan") -> Plan:
    """The plan in ``text``; ``source`` names it in errors. Raises ``PlanError``."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PlanError("this is not TOML", where=source, why=str(error)) from None
    where = Where(text, source)
    try:
        plan = Plan.model_validate(_tuples(tables))
    except ValidationError as error:
        raise plan_error(error, where, Plan) from None
    plan.candidate.locate(where.inside("candidate"))
    for group, specs in (("workloads", plan.workloads), ("faults", plan.faults)):
        for index, spec in enumerate(specs):
            spec.locate(where.inside(group, index))
    return plan


def _tuples(value: Any) -> Any:
    """TOML arrays as tuples: records are frozen all the way down."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    return value
