"""Operations are answered, and soon: how often, how fast and how many, in each phase, at each node, for each function.

**Rule.** An operation succeeds if its status is ok. Its service time runs from the call, its response time from when the schedule
wanted the call: where a slow server holds the sessions up, only the response time tells. Both are taken of ok operations; those
without an answer count against the success rate. Operations that overlap a stall of the harness itself are left out and counted.

**Example.** One of two fails; the other took 2 ms to serve, 5 ms to respond, for it was due 3 ms before it was called::

    w x1 s0 0-4 fail;  r x0 s1 due=0 3-5

**Measures.** ``success-rate`` with its 95 % interval, ``throughput`` of ok operations, ``service-time`` and ``response-time`` at
p50, p90, p99, p99.9 and their maximum: in each phase over all, per node and per function. ``schedule-lag`` (due to call) over the
run; ``errors`` per phase and text; ``stalled-operations``.

**Cost.** O(n log n): one sort of the service times, one more of the response times where they differ.

**Cannot see.** Whether the answers are right. The network between client and node is part of every time.

**Sources.** Wilson, JASA 22 (1927). Tene, How NOT to Measure Latency (2013), on coordinated omission.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from checkers.phases import phase_labels, phase_of, stalled
from checkers.samples import Sample, pooled, samples
from checkers.stalls import awake_ns
from checkers.statistics import wilson
from harness.history import Column, Function, History, Status
from harness.plan import Contract
from harness.results import Measure, Result

NAME = "availability"

Cell = tuple[int | None, int | None]
"""A node and a function, by number; None for all."""


def check(history: History, contract: Contract) -> Result:
    """Success rate, times and throughput of ``history``."""
    still = stalled(history)
    rows = np.flatnonzero(~still)
    phase = phase_of(history, contract, history.call_ns[rows])
    shape = (len(phase_labels(history)), len(history.nodes), len(Function))
    cell = (phase * shape[1] + history.node[rows]) * shape[2] + history.function[rows]
    return Result(
        NAME,
        measures=(
            *_answers(history, contract, rows, cell, shape),
            *_times(history, rows, cell, shape),
            *_schedule(history, rows),
            *_errors(history, rows, phase),
            Measure(
                "stalled-operations",
                int(still.sum()),
                "count",
                n=len(history),
                per="operation",
                note="left out, because the harness itself stood still",
            ),
        ),
    )


def _scopes(history: History) -> Iterator[tuple[str, Cell]]:
    """All operations, those at each node, and those of each function."""
    yield "", (None, None)
    yield from ((node, (number, None)) for number, node in enumerate(history.nodes))
    yield from ((function.name.lower(), (None, function.value)) for function in Function)


def _part(table: Column, phase: int, cell: Cell) -> Column:
    """The cells of one phase that ``cell`` names, of a table by phase, node and function."""
    node, function = cell
    part: Column = table[phase, slice(None) if node is None else node]
    return part if function is None else part[..., function]


def _answers(history: History, contract: Contract, rows: Column, cell: Column, shape: tuple[int, int, int]) -> Iterator[Measure]:
    status = history.status[rows]
    n, ok, fail = (
        np.bincount(cell[chosen], minlength=np.prod(shape)).reshape(shape)
        for chosen in (slice(None), status == Status.OK, status == Status.FAIL)
    )
    spans = _lengths_ns(history, contract)
    for number, label in enumerate(phase_labels(history)):
        for scope, where in _scopes(history):
            total, good, bad = (int(_part(table, number, where).sum()) for table in (n, ok, fail))
            if total == 0:
                continue
            low, high = wilson(good, total)
            yield Measure(
                "success-rate",
                good / total,
                "ratio",
                n=total,
                per="operation",
                low=low,
                high=high,
                phase=label,
                scope=scope,
                note=f"{bad:,} failed, {total - good - bad:,} were never answered",
            )
            if spans[number]:
                yield Measure(
                    "throughput", good / (spans[number] / 1e9), "ops/s", n=good, per="operation", phase=label, scope=scope
                )


def _lengths_ns(history: History, contract: Contract) -> list[int]:
    """How long each phase was, without the time in which the harness stood still."""
    applied = [episode.applied_ns for episode in history.episodes if episode.applied_ns is not None]
    healed = [episode.healed_ns + 1 for episode in history.episodes if episode.healed_ns is not None]
    graced = [end + contract.staleness.after_heal for end in healed]
    edges = np.unique(np.array([0, *applied, *healed, *graced, history.end_ns]).clip(0, history.end_ns))
    lengths = np.diff(awake_ns(history, edges))
    phase = phase_of(history, contract, edges[:-1])
    return [int(lengths[phase == number].sum()) for number in range(len(phase_labels(history)))]


def _times(history: History, rows: Column, cell: Column, shape: tuple[int, int, int]) -> Iterator[Measure]:
    ok = history.status[rows] == Status.OK
    rows, cell = rows[ok], cell[ok]
    service = history.return_ns[rows] - history.call_ns[rows]
    response = history.return_ns[rows] - history.due_ns[rows]
    spread = list(_spread(history, cell, service, shape))
    for sample, label, scope in spread:
        yield from _quantiles("service-time", sample, label, scope)
    # At full speed every operation is due when it is called.
    for sample, label, scope in spread if np.array_equal(service, response) else _spread(history, cell, response, shape):
        yield from _quantiles("response-time", sample, label, scope)


def _spread(history: History, cell: Column, times: Column, shape: tuple[int, int, int]) -> Iterator[tuple[Sample, str, str]]:
    """The ``times`` of each phase and scope that has any."""
    table = np.empty(shape, object)
    table.ravel()[:] = samples(cell, times, table.size)
    for number, label in enumerate(phase_labels(history)):
        for scope, where in _scopes(history):
            sample = pooled(_part(table, number, where).ravel().tolist())
            if sample.n:
                yield sample, label, scope


def _quantiles(name: str, sample: Sample, phase: str = "", scope: str = "") -> Iterator[Measure]:
    for quantile, value in sample.quantiles():
        yield Measure(f"{name}-{quantile}", value, "ns", n=sample.n, per="operation", phase=phase, scope=scope)


def _schedule(history: History, rows: Column) -> Iterator[Measure]:
    lag = history.call_ns[rows] - history.due_ns[rows]
    if len(lag):
        yield from _quantiles("schedule-lag", samples(np.zeros(len(lag), np.int64), np.maximum(lag, 0), 1)[0])


def _errors(history: History, rows: Column, phase: Column) -> Iterator[Measure]:
    said = history.error[rows] >= 0
    texts = len(history.errors)
    if texts == 0:
        return
    labels = phase_labels(history)
    counts = np.bincount(phase[said] * texts + history.error[rows[said]], minlength=len(labels) * texts)
    total = np.bincount(phase, minlength=len(labels))
    for at in np.flatnonzero(counts):
        number, text = divmod(int(at), texts)
        yield Measure(
            "errors",
            int(counts[at]),
            "count",
            n=int(total[number]),
            per="operation",
            phase=labels[number],
            scope=history.errors[text],
        )
