"""The changes that options of the command line make to a plan."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

from harness.errors import PlanError
from harness.plan import Plan, parse_plan


def override(text: str, changes: Mapping[str, object]) -> tuple[Plan, str]:
    """The plan ``text`` with ``changes`` to its keys (``seed``, ``run.duration``), and its new text; all else stays as written.

    The text changes with the plan, because the text is what is frozen in the run directory. Raises ``PlanError``.
    """
    for key, value in changes.items():
        text = _put(text, key, f'"{value}"' if isinstance(value, str) else str(value))
    try:
        return parse_plan(text, "the plan with the options of the command line"), text
    except PlanError as error:
        if isinstance(error.__context__, tomllib.TOMLDecodeError):
            raise PlanError(
                "the options of the command line cannot be put into this plan",
                why=str(error.__context__),
                fix="write the plan's [run] as a table of its own, not inline",
            ) from None
        raise


def _put(text: str, key: str, value: str) -> str:
    """``text`` with ``key`` (``name`` or ``table.name``) set to ``value``, where it stands or at the head of its table."""
    table, _, name = key.rpartition(".")
    header = re.search(rf"(?m)^[ \t]*\[[ \t]*{re.escape(table)}[ \t]*\][^\n]*\n?", text) if table else None
    if table and header is None:
        return f"{text.rstrip()}\n\n[{table}]\n{name} = {value}\n"
    begin = header.end() if header else 0
    next_header = re.compile(r"(?m)^[ \t]*\[").search(text, begin)
    end = next_header.start() if next_header else len(text)
    body, found = re.subn(
        rf"(?m)^([ \t]*{re.escape(name)}[ \t]*=[ \t]*)[^#\n]*?([ \t]*(?:#.*)?)$", rf"\g<1>{value}\g<2>", text[begin:end], count=1
    )
    if not found:
        gap = "" if begin == 0 or text[:begin].endswith("\n") else "\n"
        body = f"{gap}{name} = {value}\n{body}"
    return text[:begin] + body + text[end:]
