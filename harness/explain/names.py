"""What there is, by name: ``overview`` for all of a sort, ``explain`` for one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from checkers import CHECKERS
from faults import FAULTS
from harness.candidates import CANDIDATES
from harness.errors import PlanError, UsageError, suggestion
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
SORTS = ("plans", *REGISTRIES)
"""What can be listed."""

_HEADERS = {"candidates": "[candidate]", "workloads": "[[workloads]]", "faults": "[[faults]]"}
_SHARED = {"workloads": WorkloadSpec, "faults": FaultSpec}


def overview(sort: str | None = None) -> str:
    """A line on each thing of a sort, or on everything."""
    if sort is None:
        return "\n\n".join(f"{each}\n{overview(each)}" for each in SORTS)
    rows = {name: _sentence(sort, name) for name in _names(sort)}
    width = max(map(len, rows))
    return "\n".join(f"  {name:<{width}}  {sentence}" for name, sentence in rows.items())


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
    """What a candidate, workload, fault, checker or runtime is, its options, an example."""
    thing = REGISTRIES[sort].load(name)
    parts = [long_doc(thing)]
    options = options_of(thing) if sort in _HEADERS else None
    if options is not None and options.model_fields:
        parts.append("Options:\n" + table(list(keys(options))))
    if sort in _SHARED:
        shared = [key for key in keys(_SHARED[sort]) if key.name != "kind"]
        parts.append(f"Every {sort[:-1]} also has:\n" + table(shared))
    example = _example(sort, name)
    if example:
        parts.append("Example, from a shipped plan:\n" + _indented(example))
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


def _finding(name: str) -> Iterator[str]:
    if name in FINDINGS:
        yield f"{name}: a finding\n\n{about_finding(name)}"


def _keys(name: str) -> Iterator[str]:
    """A key by its whole path or by the end of it: ``contract.staleness.steady``, ``staleness.steady``, ``steady``."""
    for key in plan_keys():
        if key.path != name and not key.path.endswith(f".{name}"):
            continue
        head = f"{key.path}: a key of a plan\n\n" + table([key], name="path")
        parts = [head]
        if key.record is not None:
            parts.append(plain(key.record.__doc__ or ""))
            parts.append("Keys:\n" + table([inner for inner in keys(key.record) if inner.name != "kind"]))
        line = _line_with(key)
        if line:
            parts.append("Example, from a shipped plan:\n" + _indented(line))
        yield "\n\n".join(parts)


def _sentence(sort: str, name: str) -> str:
    if sort == "plans":
        comment = [line.lstrip("# ") for line in _leading_comment(shipped_text(name))]
        return first_sentence(" ".join(comment))
    try:
        thing = REGISTRIES[sort].load(name)
    except PlanError as error:  # an installed package that is broken must not hide the others
        return f"cannot be loaded: {error.why}"
    return first_sentence(long_doc(thing), name)


def _names(sort: str) -> tuple[str, ...]:
    return shipped_plans() if sort == "plans" else REGISTRIES[sort].names


def _all_names() -> set[str]:
    named = {name for sort in SORTS for name in _names(sort)}
    return named | set(FINDINGS) | {"plan"} | {key.path for key in plan_keys()} | {key.name for key in plan_keys()}


def _leading_comment(text: str) -> list[str]:
    lines = text.splitlines()
    end = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return lines[:end]


def _example(sort: str, name: str) -> str:
    """The first table of a shipped plan that uses ``name``."""
    if sort == "runtimes":
        return f'[run]\nruntime = "{name}"'
    if sort not in _HEADERS:
        return ""
    return _first_block(
        lambda block: block.startswith(_HEADERS[sort]) and re.search(rf'(?m)^kind = "{re.escape(name)}"', block) is not None
    )


def _line_with(key: Key) -> str:
    """The line, or for a table the whole table, of a shipped plan that sets ``key``."""
    if key.record is not None:
        headers = (f"[{key.path}]", f"[[{key.path}]]")
        block = _first_block(lambda block: block.startswith(headers))
        if block:
            return block
    parent = key.path.rpartition(".")[0]
    for block in _blocks():
        header = block.splitlines()[0].strip("[]") if block.startswith("[") else ""
        if header == parent:
            found = re.search(rf"(?m)^{re.escape(key.name)}\s*=.*$", block)
            if found:
                return f"[{header}]\n{found[0]}" if header else found[0]
    return ""


def _first_block(wanted: Callable[[str], bool]) -> str:
    return next((block for block in _blocks() if wanted(block)), "")


def _blocks() -> Iterator[str]:
    """The tables of all shipped plans, with their headers; the built-in plan's first."""
    for name in sorted(shipped_plans(), key=lambda plan: plan != "replication"):
        for block in re.split(r"(?m)^(?=\[)", shipped_text(name)):
            yield block.strip()


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" if line else "" for line in text.splitlines())
