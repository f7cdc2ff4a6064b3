"""``report.html``: one page without a single request, drawn from ``page.html``, ``page.css`` and ``page.js`` beside this file.

Everything that the page says is in it as text, tables and SVG; the script adds zoom, copying and keys. A content security policy
lets only that one script run and nothing be fetched, so that a hostile key or log line stays text even if its escaping failed.
Operations are aggregated here; single ones are only kept around findings, so the page's size does not grow with the run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from markupsafe import Markup

from harness.durations import format_duration
from harness.findings import FINDINGS, Meaning
from harness.history import Episode
from harness.results import Finding
from reports import words
from reports.ages import Ages, ages
from reports.changes import Change, changes
from reports.chart import table_of
from reports.curve_charts import checker_curves, data_table, staleness_curves
from reports.excerpts import Excerpt, excerpt
from reports.fault_lanes import fault_lanes, strikes
from reports.record import GATING, Report
from reports.rows import Row, rows
from reports.series import BINS, Series, series
from reports.spacetime import spacetime
from reports.tables import by_node, by_phase, of_run
from reports.templates import asset, policy, templates
from reports.time_charts import CLOSING, load_end_ns, named, span_ns, time_charts

_MOST_FINDINGS = 40
_LOG_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class Story:
    """One finding as the page tells it."""

    number: int
    finding: Finding
    weight: str
    rows: tuple[Row, ...]
    diagram: Markup
    meaning: Meaning | None
    context: tuple[str, ...]
    changes: tuple[Change, ...]
    excerpt: Excerpt
    examples: tuple[tuple[Row, ...], ...]
    from_share: float
    to_share: float

    @property
    def decides(self) -> bool:
        """Whether it decided the verdict: then it stands open on the page, all others are folded."""
        return self.weight == GATING

    @property
    def oldest_ns(self) -> int:
        """The greatest possible age among the rows; the scale of the age bars."""
        return max((row.hi_ns or 0 for row in self.rows), default=0)


def render_html(report: Report) -> str:
    """The whole of ``report.html``."""
    history, contract = report.history, report.plan.contract
    known = ages(history, contract)
    binned = series(history, known)
    span = span_ns(history, binned)
    script = asset("page.js")
    findings = report.findings
    return (
        templates()
        .get_template("page.html")
        .render(
            report=report,
            sign=words.SIGNS[report.answer],
            facts=_facts(report),
            stories=[_story(report, number, f, known, span) for number, f in enumerate(findings[:_MOST_FINDINGS], start=1)],
            strikes=strikes(history, contract, span),
            changes=changes(history),
            proofs=_proofs(report),
            load_end_ns=load_end_ns(history),
            time_charts=(*fault_lanes(history, span), *time_charts(history, contract, known, binned)),
            staleness_curves=staleness_curves(history, contract, known),
            checker_curves=checker_curves(report.curves),
            curve_data=data_table(report.curves),
            phases=by_phase(report.measures),
            run=of_run(report.measures),
            nodes=by_node(report.measures, history.nodes),
            logs={name: text[-_LOG_CHARACTERS:] for name, text in report.logs.items()},
            cuts=_cuts(report),
            data=_data(report, binned, span),
            style=Markup(asset("page.css")),  # noqa: S704  # our own file
            script=Markup(script),  # noqa: S704  # our own file
            policy=policy(script),
        )
    )


def _story(report: Report, number: int, finding: Finding, known: Ages, span: int) -> Story:
    history = report.history
    witness = rows(history, finding.witness, known)
    begin = min((row.call_ns for row in witness), default=0)
    end = max((row.end_ns for row in witness), default=0)
    grace = report.plan.contract.staleness.after_heal
    room = max((end - begin) // 2, span // 200)
    on = tuple(e for e in history.episodes if _meets(e, begin, end, grace))
    return Story(
        number=number,
        finding=finding,
        weight=report.weight(finding),
        rows=witness,
        diagram=spacetime(witness, on, f"finding-{number}-diagram"),
        meaning=FINDINGS.get(finding.name),
        context=tuple(_context(episode, begin, end) for episode in on),
        changes=tuple(c for c in changes(history) if c.node in finding.nodes and begin <= c.at_ns <= end),
        excerpt=excerpt(finding, witness, report.node_logs),
        examples=tuple(rows(history, example, known) for example in finding.examples),
        from_share=max(0, begin - room) / span,
        to_share=min(span, end + room) / span,
    )


def _meets(episode: Episode, begin_ns: int, end_ns: int, grace_ns: int) -> bool:
    if episode.applied_ns is None or episode.applied_ns > end_ns:
        return False
    return episode.healed_ns is None or episode.healed_ns + grace_ns >= begin_ns


def _context(episode: Episode, begin_ns: int, end_ns: int) -> str:
    """How an episode lies to a finding's operations."""
    applied = episode.applied_ns or 0
    until = "was not healed before the run ended" if episode.healed_ns is None else f"healed at {episode.healed_ns / 1e9:.3f}s"
    since = format_duration(abs(begin_ns - applied))
    place = (
        f"{since} before the first of these operations" if applied <= begin_ns else f"{since} after the first of these operations"
    )
    proof = "its effect was proven" if episode.proven else "its effect was not proven"
    over = "" if episode.healed_ns is None or episode.healed_ns > begin_ns else ", before the first of these operations"
    ends = "" if episode.healed_ns is None or not begin_ns < episode.healed_ns < end_ns else ", between these operations"
    return f"{named(episode)}: applied {place}, {until}{over}{ends}; {proof}."


def _proofs(report: Report) -> dict[str, int]:
    """Per clause that a finding on the page proves broken, that finding's number."""
    numbers = {id(finding): number for number, finding in enumerate(report.findings[:_MOST_FINDINGS], start=1)}
    proofs = ((clause.name, report.proof(clause)) for clause in report.clauses)
    return {name: numbers[id(finding)] for name, finding in proofs if id(finding) in numbers}


def _facts(report: Report) -> list[tuple[str, str]]:
    environment = report.environment
    runtime = report.plan.run.runtime
    means = environment.get("means", "")
    return [
        ("candidate", environment.get("candidate", "") or report.plan.candidate.kind),
        ("server", environment.get("server", "")),
        ("runtime", f"{runtime} ({means})" if means else runtime),
        ("seed", str(report.plan.seed)),
        ("plan", " ".join(part for part in (report.plan.name, report.plan.hash) if part)),
        ("duration", format_duration(report.history.end_ns)),
        ("operations", words.count(len(report.history))),
    ]


def _cuts(report: Report) -> list[str]:
    """What this file leaves out, and how to see it."""
    history = report.history
    shown = {op for f in report.findings[:_MOST_FINDINGS] for witness in (f.witness, *f.examples) for op in witness}
    cuts = [
        f"Of {words.plural(len(history), 'operation')} this page holds the {words.count(len(shown))} around findings.",
        "All operations are in history.parquet of the run directory; anachron check judges them again.",
        f"Charts over time show at most {BINS} bins over the whole run, also when zoomed.",
    ]
    if len(report.findings) > _MOST_FINDINGS:
        cuts.append(f"{words.count(len(report.findings) - _MOST_FINDINGS)} further findings are in results.json.")
    more = sum(f.count - 1 - len(f.examples) for f in report.findings)
    if more > 0:
        cuts.append(f"Of each finding the clearest instances are shown; {words.count(more)} more were counted.")
    cuts.append("On paper everything is unfolded but the ends of the nodes' logs.")
    cuts += [
        f"The log of {name} is cut to its end; all of it is in logs/."
        for name, text in report.logs.items()
        if len(text) > _LOG_CHARACTERS
    ]
    return cuts


def _data(report: Report, binned: Series, span: int) -> Markup:
    """What the script needs to answer "what was at this moment"; no markup can end the element it stands in."""
    columns = {f"certain age {name}": values for name, values in binned.lo_ns.items() if name in ("p99", "max")}
    columns |= {"possible age max": binned.hi_ns["max"]}
    times = {f"response {name}": values for name, values in binned.response_ns.items()}
    episodes = [
        {"name": named(e), "from": e.applied_ns / span, "to": (span if e.healed_ns is None else e.healed_ns) / span}
        for e in report.history.episodes
        if e.applied_ns is not None
    ]
    over = load_end_ns(report.history)
    if over is not None:
        episodes.append({"name": CLOSING.label, "from": over / span, "to": 1.0})
    data = {
        "span_s": span / 1e9,
        "ages_ns": table_of(columns),
        "rates": table_of({f"{name}/s": values for name, values in binned.rate.items()}),
        "times_ns": table_of(times),
        "episodes": episodes,
    }
    text = json.dumps(data, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))  # noqa: S704  # JSON without markup
