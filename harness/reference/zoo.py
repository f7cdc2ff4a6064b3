"""All designs and all bugs, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from harness.errors import PlanError, suggestion
from harness.reference import bugs, strategies
from harness.reference.bug import Bug
from harness.reference.design import Design


@cache
def designs() -> Mapping[str, Design]:
    """Every correct design by its name."""
    found = (member for member in _members(strategies, "DESIGN") if isinstance(member, Design))
    return {design.name: design for design in found}


@cache
def all_bugs() -> Mapping[str, Bug]:
    """Every bug by its name, in the order of the catalogue."""
    found = [member for member in _members(bugs, "BUG") if isinstance(member, Bug)]
    return {bug.name: bug for bug in sorted(found, key=lambda bug: (bug.number, bug.name))}


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


def _members(package: ModuleType, name: str) -> Iterator[object]:
    """What the modules of ``package`` call ``name``."""
    for module in iter_modules(package.__path__):
        found = getattr(import_module(f"{package.__name__}.{module.name}"), name, None)
        if found is not None:
            yield found
