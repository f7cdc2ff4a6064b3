"""``summary.md``: the verdict, the contract and the gravest findings, for a step summary of continuous integration.

GitHub takes 1 MiB a step and drops all of it beyond; this file stays under 64 KiB, whatever the run.
"""

from __future__ import annotations

from reports.record import Report
from reports.words import SIGNS, clip, count, one_line

LIMIT_BYTES = 64 * 1024
_FINDINGS = 3
_ROWS = 60
_CELL = 240

_ESCAPED = str.maketrans(
    {character: f"\\{character}" for character in "\\`*_[]|~"}
    | {"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "&#64;", "#": "&#35;"}
)


def render_markdown(report: Report) -> str:
    """The whole of ``summary.md``."""
    lines = [
        f"# {SIGNS[report.answer].mark} {report.answer}: {_text(report.plan.name or report.plan.candidate.kind)}",
        "",
        _text(report.why, 1000),
        "",
        " · ".join(_text(fact) for fact in report.facts),
        "",
        "```sh",
        one_line(report.replay).replace("```", "` ` `"),
        "```",
        "",
        *_contract(report),
        *_missing(report),
        *_findings(report),
    ]
    if report.proxy_note:
        lines += ["", f"> {report.proxy_note}"]
    return _within("\n".join(lines) + "\n")


def _contract(report: Report) -> list[str]:
    clauses = report.clauses
    lines = ["| | promise | measured | n | why |", "|---|---|---|--:|---|"]
    for clause in clauses[:_ROWS]:
        sign = SIGNS[clause.outcome]
        measured = clause.measured + (f" ({clause.interval})" if clause.interval else "")
        cells = (f"{sign.mark} {sign.word}", clause.promise, measured, count(clause.n), clause.why)
        lines.append("| " + " | ".join(_text(cell) for cell in cells) + " |")
    if len(clauses) > _ROWS:
        lines += ["", f"{count(len(clauses) - _ROWS)} more promises are in report.html."]
    return lines if clauses else ["The contract promises nothing."]


def _missing(report: Report) -> list[str]:
    missing = [evidence for evidence in report.verdict.adequacy if not evidence.enough]
    if not missing:
        return []
    lines = ["", "## What was not exercised", ""]
    for evidence in missing[:_ROWS]:
        why = f" ({_text(evidence.why)})" if evidence.why else ""
        lines.append(f"- **{_text(evidence.name)}**: needed {_text(evidence.needed)}, seen {_text(evidence.seen)}{why}")
    return lines


def _findings(report: Report) -> list[str]:
    findings = report.findings
    if not findings:
        return []
    lines = ["", "## What was found", ""]
    for number, finding in enumerate(findings[:_FINDINGS], start=1):
        where = ", ".join(part for part in (finding.scope, finding.phase) if part)
        lines.append(f"{number}. **{_text(finding.name)}** ({_text(where)}, {count(finding.count)}x, {report.weight(finding)})")
        lines.append(f"   {_text(finding.claim, 600)}")
    if len(findings) > _FINDINGS:
        lines += ["", f"{count(len(findings) - _FINDINGS)} more in report.html."]
    return lines


def _text(text: object, length: int = _CELL) -> str:
    """``text`` as inert Markdown on one line: no markup, no links, no mentions, no cell ends."""
    return clip(one_line(text), length).translate(_ESCAPED)


def _within(text: str) -> str:
    """``text`` cut at a line's end where it is longer than GitHub should get."""
    note = "\n\nCut here; the rest is in report.html.\n"
    data = text.encode()
    if len(data) <= LIMIT_BYTES:
        return text
    kept = data[: LIMIT_BYTES - len(note.encode())]
    return kept[: kept.rfind(b"\n")].decode() + note
