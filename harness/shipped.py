"""The plans that come with the package, and plans by path or by name."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from harness.errors import PlanError, suggestion
from harness.plan import Plan, load_plan, parse_plan

_SHIPPED = files("harness") / "plans"


def shipped_plans() -> tuple[str, ...]:
    """The names of the plans that come with the package."""
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in _SHIPPED.iterdir() if entry.name.endswith(".toml")))


def shipped_text(name: str) -> str:
    """The text of the shipped plan ``name``."""
    return (_SHIPPED / f"{name}.toml").read_text(encoding="utf-8")


def find_plan(reference: str) -> tuple[Plan, str]:
    """The plan at the path ``reference``, else the shipped plan of that name, with its text; raises ``PlanError``."""
    path = Path(reference)
    if path.is_file():
        return load_plan(path), path.read_text(encoding="utf-8")
    if reference in shipped_plans():
        text = shipped_text(reference)
        return parse_plan(text, f"{reference}.toml"), text
    if path.is_dir():
        raise PlanError("this is a directory, not a plan", where=reference, fix="`anachron replay` runs a run directory again")
    raise PlanError(
        "there is no such plan",
        where=reference,
        why="it is neither a file nor a shipped plan",
        fix=suggestion(reference, shipped_plans()),
    )
