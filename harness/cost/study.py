"""The whole study: every strategy at every size, by its closed forms, and checked on virtual fleets of some sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from multiprocessing import get_context

from harness.cost.case import Case, Load, S
from harness.cost.forms import FORMS, Forms
from harness.cost.measured import Measured, measure
from harness.durations import UNITS
from harness.plan import Contract
from harness.reference.zoo import designs
from harness.simulation.fleet import PACE

CHECKED = (3, 12, 100, 1_000)
"""Sizes at which the forms are checked. Larger fleets are mostly heartbeats: ten thousand nodes take minutes each."""
SIZES = (3, 6, 12, 30, 60, 100, 300, 600, 1_000, 3_000, 6_000, 10_000)
"""Sizes for which the forms are drawn."""


@dataclass(frozen=True, slots=True)
class Question:
    """Under which load the strategies are compared.

    Attributes:
        keys: how many.
        reads: a second at each node; larger fleets are read more sparsely, see ``most_reads``.
        writes: a second in the whole fleet.
        most_reads: a second in the whole fleet.
    """

    keys: int = 20
    reads: float = 40.0
    writes: float = 20.0
    most_reads: float = 10_000.0

    def load(self, nodes: int) -> Load:
        """The load of a fleet of ``nodes``."""
        return Load(self.keys, min(self.reads, self.most_reads / nodes), self.writes)


@dataclass(frozen=True, slots=True)
class Row:
    """One strategy in a fleet of one size.

    Attributes:
        strategy, nodes: which.
        bound_ns: how stale a read may be in steady state.
        linearizable: whether reads and writes are.
        write_ns, messages, origin, metadata, cut_reads, others_wait_ns: as in ``harness.cost.forms.Forms``.
        measured: the same, counted; None where it was not.
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


def rows(question: Question, sizes: Sequence[int], checked: Sequence[int], processes: int) -> Iterator[Row]:
    """Every strategy at every size; those at the sizes in ``checked`` are measured, side by side in so many processes."""
    yield from (row_of(question, name, nodes) for name, nodes in product(FORMS, sizes) if nodes not in checked)
    jobs = [(question, name, nodes) for nodes, name in product(sorted(checked, reverse=True), FORMS)]
    if not jobs:
        return
    # A new process for each: what a fleet of thousands has taken of the memory is given back.
    with get_context("spawn").Pool(processes, maxtasksperchild=1) as pool:
        yield from pool.imap_unordered(_measured, jobs)


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
    """The case, with the same times for all strategies that have them, and what the strategy promises with these."""
    design = designs()[name]
    settings = replace(design.settings, ttl_ns=1 * S, window_ns=500 * UNITS["ms"], check_ns=100 * UNITS["ms"], forget_ns=2 * S)
    return Case(nodes, question.load(nodes), settings, PACE), design.promise(settings, PACE.most_ns)


def _measured(job: tuple[Question, str, int]) -> Row:
    question, name, nodes = job
    case, _ = case_of(question, name, nodes)
    return replace(row_of(question, name, nodes), measured=measure(designs()[name], case))
