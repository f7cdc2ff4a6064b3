"""The reference as Markdown: a page for each sort of thing, one for findings, for schedules, for the keys of a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from harness.explain.annotated import annotated_plan
from harness.explain.names import REFERENCE, REGISTRIES, SCHEDULES, about, about_finding, overview, plan_keys
from harness.explain.reference import about_schedules
from harness.findings import FINDINGS
from harness.store.files import storage_error, write_text


def pages() -> Mapping[str, str]:
    """Page texts by file name."""
    found = {f"{sort}.md": _sort_page(sort, registry.builtin) for sort, registry in REGISTRIES.items()}
    found |= {f"{sort}.md": _sort_page(sort, lines()) for sort, (_, lines, _) in REFERENCE.items()}
    found[f"{SCHEDULES}.md"] = f"# Schedules\n\n```\n{about_schedules()}\n```\n"
    found["findings.md"] = "# Findings\n\n" + "\n\n".join(f"## {name}\n\n{about_finding(name)}" for name in FINDINGS) + "\n"
    found["plan.md"] = _plan_page()
    return found


def write_pages(directory: Path) -> tuple[Path, ...]:
    """Write all pages into ``directory``; raises ``StorageError``."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, directory) from None
    written = []
    for name, text in pages().items():
        write_text(directory / name, text)
        written.append(directory / name)
    return tuple(written)


def _sort_page(sort: str, names: Iterable[str]) -> str:
    parts = [f"# {sort.capitalize()}", f"```\n{overview(sort)}\n```"]
    parts += [f"## {name}\n\n```\n{about(sort, name)}\n```" for name in names]
    return "\n\n".join(parts) + "\n"


def _plan_page() -> str:
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    rows += [
        f"| `{key.path}` | {_cell(key.kind)} | {_cell(key.default or 'required')} | {_cell(key.doc)} |" for key in plan_keys()
    ]
    return f"# The plan\n\n```toml\n{annotated_plan()}```\n\n## Every key\n\n" + "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
