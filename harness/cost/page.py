"""The page and the table of costs: what each strategy asks for, and where theory and counting differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from markupsafe import Markup

from harness.cost.charts import charts
from harness.cost.forms import FORMS
from harness.cost.study import Question, Row
from harness.durations import format_duration
from reports.templates import asset, policy, templates

_DIFFERS = 0.15
"""From this share on a difference between theory and counting is told."""
_LEAST = {"write_ns": 1e5, "messages": 1.0, "origin": 5.0, "metadata": 2.0, "cut_reads": 0.25}
"""Differences below this are nothing to tell, whatever their share."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Where counting says something else than theory.

    Attributes:
        strategy, nodes, quantity: of what.
        form, counted: both words.
    """

    strategy: str
    nodes: int
    quantity: str
    form: float
    counted: float


def differences(rows: Sequence[Row]) -> tuple[Difference, ...]:
    """All that are worth telling."""
    found = []
    for row in rows:
        for quantity, least in _LEAST.items():
            form = getattr(row, quantity)
            counted = getattr(row.measured, quantity) if row.measured else form
            if abs(form - counted) > max(least, _DIFFERS * max(abs(form), abs(counted))):
                found.append(Difference(row.strategy, row.nodes, quantity, form, counted))
    return tuple(found)


def ordered(rows: Sequence[Row]) -> tuple[Row, ...]:
    """By size, the exact strategies first."""
    places = {name: place for place, name in enumerate(FORMS)}
    return tuple(sorted(rows, key=lambda row: (row.nodes, places[row.strategy])))


def page(rows: Sequence[Row], question: Question, nodes: int, facts: Mapping[str, str]) -> str:
    """The whole page; its table and its answer are for a fleet of ``nodes``."""
    shown = [row for row in ordered(rows) if row.nodes == nodes]
    return (
        templates()
        .get_template("cost.html")
        .render(
            rows=shown,
            all_rows=[row for row in ordered(rows) if row.measured],
            nodes=nodes,
            load=question.load(nodes),
            charts=charts(rows),
            differences=differences(rows),
            answer=answer(shown),
            facts=facts,
            style=Markup(asset("page.css")),  # noqa: S704 - our own file
            policy=policy(),
        )
    )


def answer(rows: Sequence[Row]) -> tuple[str, ...]:
    """When is fast convergence with bounded drift better than exactness? For one size, in sentences."""
    of = {row.strategy: row for row in rows}
    exact, drift = of["sync-invalidation"], of["broadcast-alo"]
    pointer, ttl, nothing = of["versioned-keys"], of["ttl"], of["no-cache"]
    watched = (
        f"To be exact and yet read from memory (sync-invalidation), a write waits {format_duration(exact.write_ns)} and costs "
        f"{exact.messages:,.0f} messages. While one node is cut off, every write waits, for up to "
        f"{format_duration(exact.others_wait_ns)}, and the node itself answers {exact.cut_reads:.0%} of its reads."
    )
    told = (
        f"To drift by {format_duration(drift.bound_ns)} at most while nothing is broken (broadcast-alo), a write waits "
        f"{format_duration(drift.write_ns)} and costs {drift.messages:,.0f} messages. A cut makes nobody wait, and the cut-off "
        f"node answers {drift.cut_reads:.0%} of its reads, as stale as the cut is long."
    )
    asked = (
        f"To be exact without telling anybody (versioned-keys), every read asks the source: {pointer.origin:,.0f} requests a "
        f"second there, where there are {nothing.origin:,.0f} without any cache; what is saved is the values, not the requests."
    )
    aged = (
        f"To tell nobody and ask nobody (ttl) costs nothing but age: up to {format_duration(ttl.bound_ns)}, with "
        f"{ttl.origin:,.0f} requests a second at the source."
    )
    return watched, told, asked, aged


def document(rows: Sequence[Row], question: Question, facts: Mapping[str, str]) -> str:
    """All of it as JSON."""
    return json.dumps(
        {"question": asdict(question), "facts": dict(facts), "rows": [asdict(row) for row in ordered(rows)]}, indent=1
    )
