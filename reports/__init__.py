"""How people and programs read a run: ``report.html``, ``results.json``, ``junit.xml``, ``summary.md`` and the terminal.

Nothing here can change a verdict: a renderer reads a finished ``Report`` and returns text. One that fails keeps no other from
its work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from harness.errors import StorageError
from reports.junit import render_junit
from reports.markdown import render_markdown
from reports.page import render_html
from reports.record import Report
from reports.results_json import render_json
from reports.text import render_text, verdict_view

__all__ = [
    "FORMATS",
    "Report",
    "render_html",
    "render_json",
    "render_junit",
    "render_markdown",
    "render_text",
    "verdict_view",
    "write_all",
]

FORMATS: Mapping[str, Callable[[Report], str]] = {
    "results.json": render_json,
    "junit.xml": render_junit,
    "summary.md": render_markdown,
    "report.html": render_html,
}
"""The files of a report and what renders each, plainest first, so that what a machine needs is there before anything fancy."""


def write_all(report: Report, directory: Path) -> dict[str, Path]:
    """Write every format into ``directory`` and return the paths by file name.

    Raises ``StorageError`` after all formats were tried, if some of them could not be rendered or written.
    """
    written: dict[str, Path] = {}
    failed: list[str] = []
    for name, render in FORMATS.items():
        path = directory / name
        try:
            _write(path, render(report))
        except Exception as error:  # noqa: BLE001  # whatever goes wrong in one picture, the others are still drawn
            failed.append(f"{name}: {type(error).__name__}: {error}")
        else:
            written[name] = path
    if failed:
        raise StorageError(
            "the verdict stands, but its report is not complete",
            where=str(directory),
            why="; ".join(failed),
            fix=f"`anachron report {report.run}` draws it again from the saved history",
        )
    return written


def _write(path: Path, text: str) -> None:
    """Write through a file beside ``path``, so that a full disk leaves no half of a report under its name."""
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(text.encode("utf-8", "backslashreplace"))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
