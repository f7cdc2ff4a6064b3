"""The definitions that the code cites exist."""

from __future__ import annotations

import re
from pathlib import Path

from checkers import CHECKERS
from harness.findings import FINDINGS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "checkers" / "DEFINITIONS.md").read_text()


def test_every_citation_is_a_heading() -> None:
    """``DEFINITIONS, "X"`` names a section of the page, in checkers, contract and harness."""
    sources = [" ".join(path.read_text().split()) for room in ("checkers", "harness") for path in (ROOT / room).rglob("*.py")]
    cited = {
        name
        for source in sources
        for part in re.findall(r'DEFINITIONS, ("[^"]+"(?: and "[^"]+")*)', source)
        for name in re.findall(r'"([^"]+)"', part)
    }
    assert len(cited) > 8
    assert cited <= set(re.findall(r"^## (.+)$", PAGE, re.MULTILINE))


def test_every_finding_is_defined() -> None:
    """Each finding that a checker can make has a place on the page, and belongs to a checker that exists."""
    words = " ".join(PAGE.split()).replace("-", " ")
    assert [name for name in FINDINGS if name.replace("-", " ") not in words] == []
    assert {meaning.checker for meaning in FINDINGS.values()} <= set(CHECKERS.names)
