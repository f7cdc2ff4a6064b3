"""The page and the table of costs: what each strategy asks for, and where theory and counting differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf
from typing import Any

from markupsafe import Markup

from harness.cost.charts import charts
from harness.cost.compare import TOLERANCE, Difference, differences
from harness.cost.forms import FORMS
from harness.cost.study import REAL, SPARSE, Part, Question, Row
from harness.durations import format_duration
from reports.templates import asset, policy, templates


@dataclass(frozen=True, slots=True)
class Answers:
    """All that was found.

    Attributes:
        rows: to the user's question.
        sparse: of the largest fleet, under a load that leaves it time.
        small: of fleets that were real processes, too; none if they were not to be.
        refusal: why there are no real fleets; empty if there are.
    """

    rows: Sequence[Row]
    sparse: Sequence[Row] = ()
    small: Sequence[Row] = ()
    refusal: str = ""

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Where counting says something else than theory."""
        return differences([*ordered(self.rows), *ordered(self.sparse), *ordered(self.small)])


_PLACES = {name: place for place, name in enumerate(FORMS)}


def ordered(rows: Sequence[Row]) -> tuple[Row, ...]:
    """By size, the exact strategies first."""
    return tuple(sorted(rows, key=lambda row: (row.nodes, _PLACES[row.strategy])))


def page(answers: Answers, question: Question, nodes: int, facts: Mapping[str, str]) -> str:
    """The whole page; its table and its answer are for a fleet of ``nodes``."""
    shown = [row for row in ordered(answers.rows) if row.nodes == nodes]
    return (
        templates()
        .get_template("cost.html")
        .render(
            rows=shown,
            all_rows=[row for row in ordered(answers.rows) if row.measured],
            sparse=ordered(answers.sparse),
            sparse_load=SPARSE.question,
            small=sorted(answers.small, key=lambda row: (_PLACES[row.strategy], row.nodes)),
            real_load=REAL.question,
            refusal=answers.refusal,
            tolerance=TOLERANCE,
            nodes=nodes,
            load=question.load(nodes),
            charts=charts(answers.rows),
            differences=answers.differences,
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


def document(answers: Answers, question: Question, facts: Mapping[str, str]) -> str:
    """All of it as JSON."""

    def told(part: Part, rows: Sequence[Row]) -> Mapping[str, Any]:
        return {"question": _plain(part.question), "rows": [asdict(row) for row in ordered(rows)]}

    return json.dumps(
        {
            "question": _plain(question),
            "facts": dict(facts),
            "rows": [asdict(row) for row in ordered(answers.rows)],
            "sparse": told(SPARSE, answers.sparse),
            "real": {**told(REAL, answers.small), "refusal": answers.refusal},
            "differences": [asdict(difference) for difference in answers.differences],
        },
        indent=1,
    )


def _plain(question: Question) -> Mapping[str, Any]:
    """Without numbers that JSON does not have."""
    return {name: None if value == inf else value for name, value in asdict(question).items()}
