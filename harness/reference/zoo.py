"""All designs and all bugs, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from harness.errors import PlanError, suggestion
from harness.reference import bugs, strategies
from harness.reference.bug import Bug
from harness.reference.design import Design


@cache
def designs() -> Mapping[str, Design]:
    """Every correct design by its name."""
    return {design.name: design for design in _members(strategies.__name__, strategies.__path__, "DESIGN")}


@cache
def all_bugs() -> Mapping[str, Bug]:
    """Every bug by its name, in the order of the catalogue."""
    found = sorted(_members(bugs.__name__, bugs.__path__, "BUG"), key=lambda bug: (bug.number, bug.name))
    return {bug.name: bug for bug in found}


def named_design(name: str) -> tuple[Design, Design]:
    """What ``broadcast-alo`` or ``broadcast-alo+blind-refill`` names, and the design whose promise it is held to.

    Raises ``PlanError`` for a name that there is not.
    """
    base, _, switch = name.partition("+")
    if base not in designs():
        raise PlanError(f'there is no strategy "{base}"', fix=suggestion(base, designs()))
    if not switch:
        return designs()[base], designs()[base]
    there = {bug.name: bug for bug in all_bugs().values() if bug.correct.name == base}
    if switch not in there:
        raise PlanError(f'the strategy "{base}" has no bug "{switch}"', fix=suggestion(switch, there))
    return there[switch].broken, there[switch].correct


def _members(package: str, path: Iterator[str] | list[str], name: str) -> Iterator[Design | Bug]:
    for module in iter_modules(path):
        found = getattr(import_module(f"{package}.{module.name}"), name, None)
        if found is not None:
            yield found
