"""Errors of a plan in the words of its author, each with its place in the file: ``plan.toml:12: faults[0].every``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from harness.errors import PlanError, suggestion


class Where:
    """Where in the plan's file a table stands, so that errors can name its keys.

    Args:
        text: the file's; None if there is none.
        source: what errors call it.
        base: the table's own keys and indexes.
    """

    def __init__(self, text: str | None, source: str, base: tuple[str | int, ...] = ()) -> None:
        self.text = text
        self.source = source
        self.base = base

    def inside(self, *path: str | int) -> Where:
        """The place of a table within this one."""
        return Where(self.text, self.source, (*self.base, *path))

    def at(self, path: Sequence[str | int]) -> str:
        """``file:line: key``, with what of it is known."""
        whole = (*self.base, *path)
        line = _line_of(self.text, whole) if self.text else None
        place = f"{self.source}:{line}" if line else self.source
        key = ".".join(str(part) for part in whole)
        key = re.sub(r"\.(\d+)", r"[\1]", key)
        return ": ".join(part for part in (place, key) if part)


def _line_of(text: str, path: Sequence[str | int]) -> int | None:
    """The line on which the longest known prefix of ``path`` stands in the TOML ``text``."""
    best: tuple[int, int] | None = None
    counts: dict[str, int] = {}
    table: tuple[str | int, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*(\[{1,2})\s*([^\]]+?)\s*\]", line)
        key = re.match(r"\s*([\w.\"'-]+)\s*=", line)
        if header:
            names = tuple(part.strip("\"' ") for part in header[2].split("."))
            table = names
            if header[1] == "[[":
                counts[header[2]] = counts.get(header[2], -1) + 1
                table = (*names, counts[header[2]])
            found = table
        elif key:
            found = (*table, *(part.strip("\"'") for part in key[1].split(".")))
        else:
            continue
        depth = len(found)
        if tuple(path[:depth]) == found and (best is None or depth > best[0]):
            best = (depth, number)
    return best[1] if best else None


def plan_error(error: ValidationError, where: Where, model: type[BaseModel]) -> PlanError:
    """The first problem of ``error``, in the words of a plan's author."""
    first = error.errors()[0]
    path = tuple(part for part in first["loc"] if not (isinstance(part, str) and part.startswith("function-")))
    what, fix = _in_words(first, model)
    more = error.error_count() - 1
    return PlanError(what, where=where.at(path), fix=fix, why=f"and {more} more like this" if more else "")


def _in_words(problem: ErrorDetails, model: type[BaseModel]) -> tuple[str, str]:
    kind, value = problem["type"], problem.get("input")
    if kind == "extra_forbidden":
        name = str(problem["loc"][-1])
        return f'unknown key "{name}"', suggestion(name, _keys_at(model, problem["loc"][:-1]))
    if kind == "missing":
        return f'the key "{problem["loc"][-1]}" is missing', "add it; `anachron explain plan` shows a whole plan"
    if kind == "literal_error":
        choices = re.findall(r"'([^']+)'", str(problem["ctx"]["expected"]))
        return f"{value!r} is not possible here", suggestion(str(value), choices)
    if kind == "value_error":
        return str(problem["ctx"]["error"]), ""
    if kind == "too_short" and problem["loc"] == ("workloads",):
        return "a plan needs at least one [[workloads]]", ""
    message = problem["msg"].removeprefix("Input should be ")
    return f"{value!r} should be {message}" if message != problem["msg"] else f"{problem['msg']}", ""


def _keys_at(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """The keys that ``model`` knows at ``path``."""
    current: Any = model
    for part in path:
        if isinstance(part, int):
            continue
        info = current.model_fields.get(part) if isinstance(current, type) and issubclass(current, BaseModel) else None
        if info is None:
            return []
        current = _record_in(info.annotation)
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []


def _record_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _record_in(inner)
        if found is not None:
            return found
    return None
