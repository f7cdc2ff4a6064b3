"""``junit.xml``: one suite a run, one test case a clause of the contract and a piece of evidence.

``failure`` is a violated promise, ``skipped`` is one that could not be decided, ``error`` is the harness's own failure and
nothing else. A waived promise passes and says so in its output. Only the subset that every reader of the format shares is used;
what ``printable`` makes visible includes every character that XML 1.0 forbids.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from harness.results import Clause, Evidence, Outcome
from reports.record import Report
from reports.words import count, printable


def render_junit(report: Report) -> str:
    """The whole of ``junit.xml``."""
    group = report.plan.name or report.plan.candidate.kind
    cases = [_clause(report, clause, f"{group}.contract") for clause in report.verdict.clauses]
    cases += [_evidence(evidence, f"{group}.adequacy") for evidence in report.verdict.adequacy]
    cases += _verdict(report, group, cases)
    totals = {
        "tests": str(len(cases)),
        "failures": str(_having(cases, "failure")),
        "errors": str(_having(cases, "error")),
        "skipped": str(_having(cases, "skipped")),
        "time": f"{report.history.end_ns / 1e9:.3f}",
    }
    suites = ET.Element("testsuites", {"name": "anachron", **totals})
    suite = ET.SubElement(suites, "testsuite", {"name": printable(report.run), **totals})
    properties = ET.SubElement(suite, "properties")
    facts = {
        "seed": str(report.plan.seed),
        "plan hash": report.plan.hash,
        "answer": report.answer,
        "why": report.why,
        "replay": report.replay,
        "operations": str(len(report.history)),
        **{f"environment.{name}": value for name, value in report.environment.items()},
    }
    for name, value in facts.items():
        ET.SubElement(properties, "property", {"name": printable(name), "value": printable(value)})
    suite.extend(cases)
    ET.SubElement(suite, "system-out").text = printable(f"replay: {report.replay}\n")
    ET.indent(suites, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suites, encoding="unicode") + "\n"


def _clause(report: Report, clause: Clause, group: str) -> ET.Element:
    case = _case(group, clause.name)
    measured = f"promised: {clause.promise}\nmeasured: {clause.measured}"
    measured += f"\ninterval: {clause.interval}" if clause.interval else ""
    measured += f"\nn: {count(clause.n)}" + (f", resolution {clause.resolution}" if clause.resolution else "")
    if clause.outcome is Outcome.VIOLATED:
        body = "\n".join([measured, *(finding.claim for finding in report.against(clause)), f"replay: {report.replay}"])
        kind = clause.findings[0] if clause.findings else "bound"
        ET.SubElement(
            case, "failure", {"message": printable(clause.why or clause.measured), "type": printable(kind)}
        ).text = printable(body)
    elif clause.outcome is Outcome.INCONCLUSIVE:
        ET.SubElement(case, "skipped", {"message": printable(f"inconclusive: {clause.why or clause.measured}")})
    else:
        waived = f"waived: {clause.why}\n" if clause.outcome is Outcome.WAIVED else ""
        ET.SubElement(case, "system-out").text = printable(waived + measured)
    return case


def _evidence(evidence: Evidence, group: str) -> ET.Element:
    case = _case(group, evidence.name)
    said = f"needed {evidence.needed}, seen {evidence.seen}"
    if evidence.enough:
        ET.SubElement(case, "system-out").text = printable(said)
    else:
        why = f": {evidence.why}" if evidence.why else ""
        ET.SubElement(case, "skipped", {"message": printable(f"inconclusive: {said}{why}")})
    return case


def _verdict(report: Report, group: str, cases: list[ET.Element]) -> list[ET.Element]:
    """A case for the harness's failure, and one for a verdict that no other case shows: the file looks no better than the run."""
    found = []
    if report.failure:
        case = _case(group, "harness")
        ET.SubElement(case, "error", {"message": printable(report.failure), "type": "harness"})
        found.append(case)
    shown = {Outcome.VIOLATED: "failure", Outcome.INCONCLUSIVE: "skipped"}.get(report.verdict.outcome)
    if shown and not _having(cases, shown):
        case = _case(group, "verdict")
        ET.SubElement(case, shown, {"message": printable(f"{report.verdict.outcome}: {report.verdict.why}")})
        found.append(case)
    return found


def _case(group: str, name: str) -> ET.Element:
    return ET.Element("testcase", {"classname": printable(group), "name": printable(name), "time": "0"})


def _having(cases: list[ET.Element], tag: str) -> int:
    return sum(case.find(tag) is not None for case in cases)
