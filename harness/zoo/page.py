"""``report.html`` of the zoo: one page without a script or a request, in the looks of a run's report."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from harness.zoo.diagram import LEGEND, diagram
from harness.zoo.matrix import Matrix
from reports.templates import asset, policy, templates


def page(matrix: Matrix, facts: Mapping[str, str]) -> str:
    """The whole page; ``facts`` say how the zoo was run."""
    return (
        templates()
        .get_template("zoo.html")
        .render(
            matrix=matrix,
            answer=matrix.answer,
            headline=matrix.headline,
            diagrams={row.bug.name: diagram(row.bug.schedule) for row in matrix.bugs},
            legend=LEGEND,
            facts=facts,
            style=Markup(asset("page.css")),  # noqa: S704 - our own file
            policy=policy(),
        )
    )
