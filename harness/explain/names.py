"""What there is, by name: ``overview`` for all of a sort, ``explain`` for one."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from checkers import CHECKERS
from faults import FAULTS
from harness.candidates import CANDIDATES
from harness.errors import PlanError, UsageError, suggestion
from harness.explain import reference
from harness.explain.annotated import annotated_plan
from harness.explain.docs import Key, all_keys, first_sentence, keys, long_doc, options_of, plain, table
from harness.findings import FINDINGS
from harness.plan import FaultSpec, Plan, WorkloadSpec
from harness.registry import Registry
from harness.runtimes import RUNTIMES
from harness.shipped import shipped_plans, shipped_text
from workloads import WORKLOADS

REGISTRIES: Mapping[str, Registry[Any]] = {
    "candidates": CANDIDATES,
    "workloads": WORKLOADS,
    "faults": FAULTS,
    "checkers": CHECKERS,
    "runtimes": RUNTIMES,
}
REFERENCE: Mapping[str, tuple[str, Callable[[], Mapping[str, str]], Callable[[str], str]]] = {
    "strategies": ("strategy of the reference fleet", reference.strategies, reference.about_strategy),
    "bugs": ("bug of the reference fleet", reference.bugs, reference.about_bug),
}
"""What there is in the reference fleet: of each sort the noun, a line on each thing by its name, and all that is known of one."""
SORTS = ("plans", *REGISTRIES, *REFERENCE)
"""What can be listed."""

SCHEDULES = "schedules"
"""The name of the explanation of schedules."""

_WIDTH = 110

_HEADERS = {"candidates": "[candidate]", "workloads": "[[workloads]]", "faults": "[[faults]]"}
_SHARED: Mapping[str, type[BaseModel]] = {"workloads": WorkloadSpec, "faults": FaultSpec}


def overview(sort: str | None = None) -> str:
    """A line on each thing of a sort, or on everything; raises ``UsageError`` if there is no such sort."""
    if sort is None:
        return "\n\n".join(f"{each}\n{overview(each)}" for each in SORTS)
    if sort not in SORTS:
        raise UsageError(f'there is no list of "{sort}"', fix=suggestion(sort, SORTS))
    names = _names(sort)
    width = max(map(len, names)) + 4
    return "\n".join(
        textwrap.fill(_in_short(sort, name), _WIDTH, initial_indent=f"  {name}".ljust(width), subsequent_indent=" " * width)
        for name in names
    )


def explain(name: str) -> str:
    """All that is known of ``name``; raises ``UsageError`` if that is nothing."""
    wanted = name.strip()
    found = [text for explanation in (_plan, _named, _finding, _keys) for text in explanation(wanted)]
    if not found:
        raise UsageError(
            f'nothing here is called "{name}"', fix=suggestion(wanted, _all_names()) or "`anachron list` shows what there is"
        )
    return "\n\n".join(text.strip("\n") for text in found)


def about(sort: str, name: str) -> str:
    """What a thing of a sort is, its options, an example."""
    if sort in REFERENCE:
        return REFERENCE[sort][2](name)
    thing = REGISTRIES[sort].load(name)
    parts = [long_doc(thing)]
    options = options_of(thing) if sort in _HEADERS else None
    if options is not None and options.model_fields:
        parts.append("Options:\n" + table(list(keys(options))))
    if sort in _SHARED:
        shared = [key for key in keys(_SHARED[sort]) if key.name != "kind"]
        parts.append(f"Every {sort[:-1]} also has:\n" + table(shared))
    if f'= "{name}"' not in parts[0]:  # many docstrings have an example of their own
        parts.append(_example(_example_of(sort, name)))
    return "\n\n".join(part for part in parts if part)


def about_finding(name: str) -> str:
    """What a finding says, what causes it, what to do."""
    finding = FINDINGS[name]
    return "\n\n".join(
        (
            finding.meaning,
            f"Usual causes: {finding.causes}",
            f"What to do: {finding.advice}",
            f"Found by the checker `{finding.checker}`; `anachron explain {finding.checker}` has its rule.",
        )
    )


def plan_keys() -> tuple[Key, ...]:
    """Every key of a plan that the harness itself knows; candidates, workloads and faults add their options."""
    return tuple(all_keys(Plan))


def _plan(name: str) -> Iterator[str]:
    if name == "plan":
        yield annotated_plan()
    if name in shipped_plans():
        yield f"{name}: a shipped plan; `anachron run {name}` runs it.\n\n{shipped_text(name)}"


def _named(name: str) -> Iterator[str]:
    for sort, registry in REGISTRIES.items():
        if name in registry.names:
            yield f"{name}: a {registry.sort}\n\n{about(sort, name)}"
    for sort, (noun, lines, _) in REFERENCE.items():
        if name in lines():
            yield f"{name}: a {noun}\n\n{about(sort, name)}"
    if name == SCHEDULES:
        yield f"{name}: how races are written down\n\n{reference.about_schedules()}"


def _finding(name: str) -> Iterator[str]:
    if name in FINDINGS:
        paragraphs = about_finding(name).split("\n\n")
        yield "\n\n".join((f"{name}: a finding", *(textwrap.fill(paragraph, _WIDTH) for paragraph in paragraphs)))


def _keys(name: str) -> Iterator[str]:
    """A key by its whole path or by the end of it: ``contract.staleness.steady``, ``staleness.steady``, ``steady``."""
    for key in (*plan_keys(), *_option_keys()):
        if key.path != name and not key.path.endswith(f".{name}"):
            continue
        parts = [f"{key.path}: a key of a plan", table([key], name="path")]
        if key.record is not None:
            parts.append(plain(key.record.__doc__ or ""))
            parts.append("Keys:\n" + table([inner for inner in keys(key.record) if inner.name != "kind"]))
        parts.append(_example(_line_with(key)))
        yield "\n\n".join(part for part in parts if part)


def _option_keys() -> Iterator[Key]:
    """The options that candidates, workloads and faults bring, each under the name of its owner."""
    for sort in _HEADERS:
        for name in REGISTRIES[sort].builtin:
            options = options_of(REGISTRIES[sort].load(name))
            yield from keys(options, name) if options else ()


def _in_short(sort: str, name: str) -> str:
    """The first sentence on a thing; of a plan all of its leading comment, which ends with the verdict to expect."""
    if sort == "plans":
        return " ".join(line.lstrip("# ") for line in _leading_comment(shipped_text(name)))
    if sort in REFERENCE:
        return REFERENCE[sort][1]()[name]
    try:
        thing = REGISTRIES[sort].load(name)
    except PlanError as error:  # an installed package that is broken must not hide the others
        return f"cannot be loaded: {error.why}"
    return first_sentence(long_doc(thing), name)


def _names(sort: str) -> tuple[str, ...]:
    if sort in REFERENCE:
        return tuple(REFERENCE[sort][1]())
    return shipped_plans() if sort == "plans" else REGISTRIES[sort].names


def _all_names() -> set[str]:
    named = {name for sort in SORTS for name in _names(sort)}
    known_keys = (*plan_keys(), *_option_keys())
    return named | set(FINDINGS) | {"plan", SCHEDULES} | {key.path for key in known_keys} | {key.name for key in known_keys}


def _leading_comment(text: str) -> list[str]:
    lines = text.splitlines()
    end = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return lines[:end]


def _example_of(sort: str, name: str) -> str:
    """The table of the annotated plan, or of a shipped one, that uses ``name``; else the least that uses it."""
    if sort == "runtimes":
        return f'[run]\nruntime = "{name}"'
    if sort not in _HEADERS:
        return ""
    uses = re.compile(rf'(?m)^kind = "{re.escape(name)}"')
    least = f'{_HEADERS[sort]}\nkind = "{name}"'
    return next((block for block in _blocks() if block.startswith(_HEADERS[sort]) and uses.search(block)), least)


def _line_with(key: Key) -> str:
    """The table or the line of the annotated plan that sets ``key``, whether or not it is commented out there."""
    table_name, _, name = key.path.rpartition(".")
    for block in _blocks():
        header = re.match(r"(?:# )?(\[+([\w.]+)\]+)", block)
        if header and header[2] == key.path:
            return block
        line = re.search(rf"(?m)^(?:# )?{re.escape(name)} *=.*$", block)
        if line and (header[2] if header else "") == table_name:
            return f"{header[1]}\n{line[0]}" if header else line[0]
    return ""


def _blocks() -> Iterator[str]:
    """The tables of the annotated plan and of all shipped ones, with their headers and without what leads to the next one."""
    for text in (annotated_plan(), *map(shipped_text, shipped_plans())):
        for block in re.split(r"(?m)^(?=(?:# )?\[)", text):
            yield block.split("\n\n")[0].strip() if block.lstrip("# ").startswith("[") else block


def _example(text: str) -> str:
    return "Example:\n" + textwrap.indent(text, "  ") if text else ""
