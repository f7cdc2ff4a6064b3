"""The verdict for the terminal: what was promised, what was seen, what was not exercised, how to run it again."""

from __future__ import annotations

import io

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reports.record import Report
from reports.words import SIGNS, count, one_line

_COLOURS = {"pass": "green", "violated": "red", "inconclusive": "yellow", "waived": "cyan", "error": "magenta"}
_FINDINGS = 3


def verdict_view(report: Report) -> RenderableType:
    """The verdict as something that a rich console prints."""
    parts: list[RenderableType] = [
        _headline(report),
        Text("   " + " · ".join(one_line(fact) for fact in report.facts), style="dim"),
    ]
    if report.clauses:
        parts += [Text(), _clauses(report)]
    parts += _findings(report)
    parts += _missing(report)
    parts += [_pair("note", oddity) for oddity in report.oddities]
    parts += [Text(), _pair("replay", report.replay)]
    return Group(*parts)


def render_text(report: Report, width: int = 110) -> str:
    """The verdict as plain text without colour, ``width`` columns wide."""
    out = io.StringIO()
    Console(file=out, width=width, color_system=None, force_terminal=False, legacy_windows=False).print(verdict_view(report))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _headline(report: Report) -> Text:
    sign = SIGNS[report.answer]
    return Text.assemble((f" {sign.mark} {sign.word} ", f"bold reverse {_COLOURS[sign.style]}"), "  ", one_line(report.why))


def _clauses(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True)
    table.add_column("promise", ratio=3)
    table.add_column("measured", ratio=3)
    table.add_column("n", justify="right", no_wrap=True)
    table.add_column("why", ratio=3)
    for clause in report.clauses:
        sign = SIGNS[clause.outcome]
        measured = clause.measured + (f" ({clause.interval})" if clause.interval else "")
        table.add_row(
            Text(f"{sign.mark} {sign.word}", style=_COLOURS[sign.style]),
            Text(one_line(clause.promise)),
            Text(one_line(measured)),
            count(clause.n),
            Text(one_line(clause.why)),
        )
    return table


def _findings(report: Report) -> list[RenderableType]:
    findings = report.findings
    if not findings:
        return []
    parts: list[RenderableType] = [Text(), Text("what was found", style="dim")]
    for finding in findings[:_FINDINGS]:
        where = ", ".join(one_line(part) for part in (finding.scope, finding.phase) if part)
        title = Text.assemble((one_line(finding.name), "bold"), f"  {where}, {count(finding.count)}x, {report.weight(finding)}")
        parts += [title, Padding(Text(one_line(finding.claim)), (0, 0, 0, 2))]
    if len(findings) > _FINDINGS:
        parts.append(Text(f"{count(len(findings) - _FINDINGS)} more in the report", style="dim"))
    return parts


def _missing(report: Report) -> list[RenderableType]:
    missing = [evidence for evidence in report.verdict.adequacy if not evidence.enough]
    if not missing:
        return []
    parts: list[RenderableType] = [Text(), Text("what was not exercised", style="dim")]
    for evidence in missing:
        why = f" ({evidence.why})" if evidence.why else ""
        parts.append(
            Text.assemble(
                (f"? {one_line(evidence.name)}", "bold"), one_line(f": needed {evidence.needed}, seen {evidence.seen}{why}")
            )
        )
    return parts


def _pair(name: str, value: str) -> Text:
    return Text.assemble((f"{name}  ", "dim"), one_line(value))
