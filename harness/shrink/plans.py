"""A plan reduced to the smallest one that still fails.

    reduced = reduce_plan(tables, fails)

A plan is its TOML tables. One thing at a time is taken from it: a shorter run, one fault or workload fewer, shorter faults, fewer
nodes, sessions and keys, a lower rate; whatever still fails is kept and made smaller again, until nothing smaller fails. So the
outcome is the smallest in the sense that no single step from it goes further.

Any change of a plan changes all that chance decides in it. So a smaller plan is also tried with a few other seeds before it is
given up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from harness.durations import UNITS, parse_duration
from harness.plan import WorkloadSpec
from harness.shrink.ddmin import Bounded

Tables = Mapping[str, Any]

RUNS = 2_000
"""How many runs the reduction of one plan may take."""

_FEW_SEEDS, _SEEDS = range(3), range(10)
"""The seeds that a smaller plan is tried with beside its own: at first few, later, when runs are short, more."""
_LEAST_NS = 10 * UNITS["ms"]
"""The shortest duration of a run or fault that is tried."""
_SHORTER = (("run", "duration"), ("faults", "lasts"))
_LEAST_NODES = 3
_SESSIONS: int = WorkloadSpec.model_fields["sessions"].default


@dataclass(frozen=True, slots=True)
class Reduced:
    """What is left of a plan.

    Attributes:
        tables: the plan.
        runs: how many runs it took.
        minimal: whether every smaller plan was tried; False if tries or time ran out before.
    """

    tables: Tables
    runs: int
    minimal: bool


def reduce_plan(
    tables: Tables, fails: Callable[[Tables], bool], *, most: int = RUNS, late: Callable[[], bool] = lambda: False
) -> Reduced:
    """The smallest plan that was found to fail.

    Args:
        tables: a plan that fails.
        fails: whether a run of a plan fails in the same way; no for what is no plan.
        most: how many runs it may take.
        late: whether there is no time for another one.
    """
    test: Bounded[str] = Bounded(lambda plan: fails(json.loads(plan)), most, late)
    current: dict[str, Any] = deepcopy(dict(tables))
    for seeds in (_FEW_SEEDS, _SEEDS):
        while smaller := next((found for plan in smaller_plans(current) if (found := _failing(plan, seeds, test))), None):
            current = smaller
    return Reduced(current, test.asked, minimal=not test.spent)


def _failing(plan: dict[str, Any], seeds: Iterable[int], test: Callable[[str], bool]) -> dict[str, Any] | None:
    """``plan`` with the first seed that it fails with: its own, or one of ``seeds``; None if it does with none."""
    for seed in dict.fromkeys((plan.get("seed", 0), *seeds)):
        if test(json.dumps(plan | {"seed": seed})):
            return plan | {"seed": seed}
    return None


def smaller_plans(tables: Tables) -> Iterator[dict[str, Any]]:
    """Every plan that is one step smaller, the greatest steps first."""
    yield from _changed(tables, ("run",), "duration", _shorter(tables.get("run", {}).get("duration", "60s")))
    for group, least in (("faults", 0), ("workloads", 1)):
        records = tables.get(group, [])
        for at in range(len(records) if len(records) > least else 0):
            rest = [*records[:at], *records[at + 1 :]]
            yield {key: rest if key == group else value for key, value in tables.items() if key != group or rest}
    yield from _changed(tables, ("candidate",), "nodes", _fewer(tables["candidate"].get("nodes", _LEAST_NODES), _LEAST_NODES))
    for at, workload in enumerate(tables["workloads"]):
        numbers = {"sessions": _SESSIONS, **{key: value for key, value in workload.items() if isinstance(value, int | float)}}
        for key, value in numbers.items():
            if not isinstance(value, bool):
                yield from _changed(
                    tables, ("workloads", at), key, _fewer(value) if isinstance(value, int) else _lower(value, key)
                )
    for at, fault in enumerate(tables.get("faults", [])):
        if "at_most" not in fault:
            yield from _changed(tables, ("faults", at), "at_most", iter((1,)))
        yield from _changed(tables, ("faults", at), "lasts", _shorter(fault["lasts"]))


def _changed(tables: Tables, place: tuple[str | int, ...], key: str, values: Iterator[Any]) -> Iterator[dict[str, Any]]:
    """The plan with each of ``values`` for one key."""
    for value in values:
        changed: dict[str, Any] = deepcopy(dict(tables))
        record: Any = changed
        for step in place:
            record = record[step]
        record[key] = value
        yield changed


def _shorter(duration: str) -> Iterator[str]:
    """Shorter durations, in whole milliseconds."""
    ms = parse_duration(duration) // UNITS["ms"]
    least = _LEAST_NS // UNITS["ms"]
    yield from (f"{fewer}ms" for fewer in dict.fromkeys((ms // 4, ms // 2, ms * 3 // 4, ms * 9 // 10)) if least <= fewer < ms)


def _fewer(number: int, least: int = 1) -> Iterator[int]:
    """Smaller whole numbers."""
    yield from (fewer for fewer in dict.fromkeys((least, number // 2, number * 3 // 4, number - 1)) if least <= fewer < number)


def _lower(number: float, key: str) -> Iterator[float]:
    """Lower rates; what else is no whole number in a workload says how, not how much."""
    if key == "rate":
        yield from (lower for part in (4, 2) if (lower := float(int(number / part))) >= 1)
