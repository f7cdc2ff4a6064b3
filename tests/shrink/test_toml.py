"""Plans written back as TOML."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.plan import parse_plan
from harness.shipped import shipped_plans, shipped_text
from harness.shrink.toml import toml_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    TEXTS | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=5))
def test_tables_are_read_back_as_they_were(tables: dict[str, object]) -> None:
    """Whatever is in the tables, reading their text gives them again."""
    assert tomllib.loads(toml_text(tables)) == tables


@pytest.mark.parametrize("name", shipped_plans())
def test_a_shipped_plan_stays_the_same_plan(name: str) -> None:
    """Only comments and layout are lost, so the hash stays."""
    text = shipped_text(name)
    assert parse_plan(toml_text(tomllib.loads(text))).hash == parse_plan(text).hash
