"""Scales, ticks and marks."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reports.chart import Scale, element, log_scale, staircase, steps
from tests.reports.synthetic import xml


@given(st.floats(0, 1e6), st.floats(1e-3, 1e6), st.integers(3, 10))
def test_linear_ticks_are_round_inside_and_not_too_many(low: float, length: float, most: int) -> None:
    """Ticks lie within the axis, evenly, and at most as many as asked for."""
    ticks = steps(low, low + length, most)
    assert len(ticks) <= most
    assert all(low - 1e-6 * length <= tick <= low + length * (1 + 1e-6) + 1e-9 for tick in ticks)


@given(st.lists(st.floats(1e-3, 1e12), min_size=1, max_size=20))
def test_a_log_scale_holds_its_values_in_order(values: list[float]) -> None:
    """Greater values are never lower on the axis, and all lie on it."""
    scale = log_scale([np.array(values)], "ns", least=1e4, zero=True)
    at = scale.at(np.sort(np.array([0.0, *values])))
    assert at[0] == 0
    assert (np.diff(at) >= 0).all()
    assert (at <= 1).all()
    labels = [tick.label for tick in scale.ticks()]
    assert len(labels) == len(set(labels)) >= 2


def test_an_axis_of_one_value_puts_it_in_the_middle() -> None:
    """Where nothing spreads, there is nothing to divide by."""
    for scale in (Scale(5.0, 5.0, "ns"), Scale(5.0, 5.0, "ns", log=True, zero=True)):
        with np.errstate(all="raise"):
            at = scale.at(np.array([0.0, 5.0, np.nan]))
        assert at[:2].tolist() == [0.0, 0.5]
        assert np.isnan(at[2])


def test_a_staircase_breaks_where_there_is_no_value() -> None:
    """Bins without a value leave a gap, and a single bin between gaps still shows."""
    path = staircase(np.linspace(0, 1, 6), np.array([0.1, math.nan, 0.5, math.nan, 0.2]), "line")
    assert path.count("M") == 3
    assert path.count("H") == 3


def test_svg_elements_escape_what_they_are_given() -> None:
    """Markup in a text or an attribute stays text."""
    mark = element("text", "<script>alert(1)</script>\x1b", class_='"><b>', data_x="&")
    parsed = xml(mark)
    assert parsed.text == "<script>alert(1)</script>␛"
    assert parsed.attrib == {"class": '"><b>', "data-x": "&"}


def test_a_zero_has_its_own_place_below_the_logarithm() -> None:
    """Zero is told apart from the least positive value."""
    scale = Scale(1e5, 1e9, "ns", log=True, zero=True)
    assert scale.at(0.0) < scale.at(1e5) < scale.at(1e6)
    assert [tick.label for tick in scale.ticks()][:2] == ["0", "100us"]
