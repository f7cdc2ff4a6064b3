from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.durations import Bound, format_duration, parse_bound, parse_duration


@pytest.mark.parametrize(
    ("text", "duration_ns"),
    [("250ms", 250_000_000), ("1.5s", 1_500_000_000), (" 2 min ", 120_000_000_000), ("7us", 7_000), ("0s", 0)],
)
def test_durations_are_text_with_a_unit(text, duration_ns):
    """A number and a unit become nanoseconds."""
    assert parse_duration(text) == duration_ns


@pytest.mark.parametrize("value", [10, 1.5, "10", "ten seconds", "5 parsecs", "-1s", "1s2s", "", None, True, "9999h", [], "1e3s"])
def test_everything_else_is_refused_with_advice(value):
    """What is no duration raises a ValueError that shows how to write one, or which units there are."""
    with pytest.raises(ValueError, match=r"ms|week|unit"):
        parse_duration(value)


@given(st.integers(min_value=1, max_value=5 * 86_400 * 10**9))
def test_a_formatted_duration_reads_back_within_its_three_digits(duration_ns):
    """Formatting keeps three significant digits and a unit that parses again."""
    again = parse_duration(format_duration(duration_ns))
    assert abs(again - duration_ns) <= 0.0051 * duration_ns + 1


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("500ms", Bound(500_000_000)),
        ("fault", Bound(0, plus_fault=True)),
        ("fault + 1s", Bound(10**9, plus_fault=True)),
        ("1s+fault", Bound(10**9, plus_fault=True)),
    ],
)
def test_a_bound_may_grow_with_its_fault(text, bound):
    """A bound is a time, the fault's length, or their sum."""
    assert parse_bound(text) == bound
    assert bound.of(3) == bound.extra_ns + (3 if bound.plus_fault else 0)


def test_a_bound_in_other_words_is_refused_with_an_example():
    """An unreadable bound shows both ways to write one."""
    with pytest.raises(ValueError, match=r"fault \+ 500ms"):
        parse_bound("twice the fault")
