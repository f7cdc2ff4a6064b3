"""The whole study: every strategy at every size by its closed forms, checked on virtual fleets of some sizes and on real ones."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import inf
from multiprocessing import get_context
from pathlib import Path

from harness.cost.case import Case, Load, S
from harness.cost.forms import FORMS, Forms
from harness.cost.measured import OPERATIONS, WARM_NS, measure
from harness.cost.real import count_real
from harness.cost.records import Measured, Real
from harness.durations import UNITS
from harness.errors import AnachronError
from harness.plan import Contract
from harness.reference.zoo import designs
from harness.simulation.fleet import PACE

CHECKED = (3, 12, 100, 1_000)
"""Sizes at which the forms are checked, for any question. Larger fleets are mostly heartbeats, and take minutes each."""
SIZES = (3, 6, 12, 30, 60, 100, 300, 600, 1_000, 3_000, 6_000, 10_000)
"""Sizes for which the forms are drawn."""
_TIMES = {"ttl_ns": 1 * S, "window_ns": 500 * UNITS["ms"], "check_ns": 100 * UNITS["ms"], "forget_ns": 2 * S}
"""The same for all strategies that have them."""


@dataclass(frozen=True, slots=True)
class Question:
    """Under which load the strategies are compared.

    Attributes:
        keys: how many.
        reads: a second at each node; larger fleets are read more sparsely, see ``most_reads``.
        writes: a second in the whole fleet.
        most_reads: a second in the whole fleet.
        times: settings that differ from those of other questions, by their names.
    """

    keys: int = 20
    reads: float = 40.0
    writes: float = 20.0
    most_reads: float = 10_000.0
    times: Mapping[str, int] = field(default_factory=dict)

    def load(self, nodes: int) -> Load:
        """The load of a fleet of ``nodes``."""
        return Load(self.keys, min(self.reads, self.most_reads / nodes), self.writes)


@dataclass(frozen=True, slots=True)
class Part:
    """Fleets that are looked at under one question.

    Attributes:
        question: which.
        sizes: how many nodes they have.
        checked: the sizes at which virtual fleets are counted.
        strategies: what they are.
        operations: how many are counted about.
        warm_ns: for how long clients have gone on before, at least.
        cut: whether a node is cut off, too.
    """

    question: Question
    sizes: Sequence[int]
    checked: Sequence[int]
    strategies: Sequence[str] = tuple(FORMS)
    operations: int = OPERATIONS
    warm_ns: int = WARM_NS
    cut: bool = True


SPARSE = Part(
    # One key, few writes, and a tenth of the usual heartbeats, which would be most of what happens.
    Question(
        keys=1, reads=1.0, writes=4.0, most_reads=inf, times={"heartbeat_ns": 1 * S, "lease_ns": 5 * S, "silence_ns": 3 * S}
    ),
    sizes=(10_000,),
    checked=(10_000,),
    # A write of any other is a few messages at any size, or what it costs nodes comes with their next reads.
    strategies=(
        "sync-invalidation",
        "tracking",
        "broadcast-alo",
        "broadcast-update",
        "broadcast-amo",
        "two-tier",
        "refresh-ahead",
    ),
    operations=50_000,
    warm_ns=6 * S,  # so that hardly any node has yet to read the key for the first time
    cut=False,
)
"""The largest fleet: whether a write that tells every node still costs each of so many the same."""

REAL = Part(
    # So much as all processes of the fleet together bear on two cores. Who gets none of them for a while is not yet lost.
    Question(keys=10, reads=20.0, writes=50.0, times={"silence_ns": 1 * S}),
    sizes=(3, 6, 12),
    checked=(3, 6, 12),
    operations=10_000,
    cut=False,
)
"""The fleets that are counted as real processes, too."""


@dataclass(frozen=True, slots=True)
class Row:
    """One strategy in a fleet of one size.

    Attributes:
        strategy, nodes: which.
        bound_ns: how stale a read may be in steady state.
        linearizable: whether reads and writes are.
        write_ns, messages, origin, metadata, cut_reads, others_wait_ns: as in ``harness.cost.forms.Forms``.
        measured: the same, counted; None where it was not.
        real: the same, counted on real processes; None where it was not.
        trouble: why a real fleet could not be counted; empty if it was, or was not to be.
    """

    strategy: str
    nodes: int
    bound_ns: int
    linearizable: bool
    write_ns: float
    messages: float
    origin: float
    metadata: float
    cut_reads: float
    others_wait_ns: float
    measured: Measured | None = None
    real: Real | None = None
    trouble: str = ""


def rows(part: Part, processes: int) -> Iterator[Row]:
    """Every strategy at every size; those at the sizes to be checked are measured, side by side in so many processes."""
    pairs = product(part.strategies, part.sizes)
    yield from (row_of(part.question, name, nodes) for name, nodes in pairs if nodes not in part.checked)
    jobs = [(part, name, nodes) for nodes, name in product(sorted(part.checked, reverse=True), part.strategies)]
    if not jobs:
        return
    # Where there are large ones, a new process for each: what thousands of nodes have taken of the memory is given back.
    tasks = 1 if max(part.checked) >= max(CHECKED) else None
    with get_context("spawn").Pool(processes, _leave_interrupts, maxtasksperchild=tasks) as pool:
        yield from pool.imap_unordered(_measured, jobs)


def really(part: Part, found: Sequence[Row], processes: int) -> Iterator[Row]:
    """The rows that were found, counted on real fleets as well, of which so many run at once."""
    with tempfile.TemporaryDirectory(prefix="anachron-cost-", ignore_cleanup_errors=True) as directory:
        mixed = sorted(found, key=lambda row: row.strategy)  # large and small ones side by side
        jobs = [(part.question, row, Path(directory) / f"{row.strategy}-{row.nodes}") for row in mixed]
        with get_context("spawn").Pool(processes, _leave_interrupts) as pool:
            yield from pool.imap_unordered(lived, jobs)


def row_of(question: Question, name: str, nodes: int) -> Row:
    """What the forms say."""
    case, contract = case_of(question, name, nodes)
    forms: Forms = FORMS[name]
    return Row(
        strategy=name,
        nodes=nodes,
        bound_ns=contract.staleness.steady or 0,
        linearizable=contract.linearizable,
        write_ns=forms.write_ns(case),
        messages=forms.messages(case),
        origin=forms.origin(case),
        metadata=forms.metadata(case),
        cut_reads=forms.cut_reads(case),
        others_wait_ns=forms.others_wait_ns(case),
    )


def case_of(question: Question, name: str, nodes: int) -> tuple[Case, Contract]:
    """The case, and what the strategy promises with its times."""
    design = designs()[name]
    settings = replace(design.settings, **_TIMES | dict(question.times))
    return Case(nodes, question.load(nodes), settings, PACE), design.promise(settings, PACE.most_ns)


def _measured(job: tuple[Part, str, int]) -> Row:
    part, name, nodes = job
    case, _ = case_of(part.question, name, nodes)
    measured = measure(designs()[name], case, operations=part.operations, warm_ns=part.warm_ns, cut=part.cut)
    return replace(row_of(part.question, name, nodes), measured=measured)


def lived(job: tuple[Question, Row, Path]) -> Row:
    """The row, counted on real processes that live in a directory; or why they could not be."""
    question, row, directory = job
    case, _ = case_of(question, row.strategy, row.nodes)
    try:
        return replace(row, real=count_real(row.strategy, case, directory))
    except AnachronError as error:
        return replace(row, trouble=str(error))


def _leave_interrupts() -> None:
    """Ctrl-C goes to the whole group of processes; whoever started this one ends it then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
