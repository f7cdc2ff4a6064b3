"""Explanations of everything a plan or a report can name, taken from the code: registries, docstrings, the plan's records."""

from __future__ import annotations

from harness.explain.annotated import annotated_plan
from harness.explain.names import SORTS, explain, overview
from harness.explain.pages import pages, write_pages

__all__ = ["SORTS", "annotated_plan", "explain", "overview", "pages", "write_pages"]
