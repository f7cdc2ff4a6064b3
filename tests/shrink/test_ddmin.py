"""Delta debugging on tests whose smallest cases are known."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.shrink.ddmin import Bounded, ddmin


@given(st.integers(0, 60), st.data())
def test_what_is_needed_is_what_stays(length: int, data: st.DataObject) -> None:
    """Where a test holds with certain items, exactly those are left, in their order."""
    needed = data.draw(st.sets(st.sampled_from(range(length)))) if length else set()
    assert ddmin(range(length), lambda part: needed <= set(part)) == tuple(sorted(needed))


@given(st.lists(st.integers(1, 20), max_size=30))
def test_nothing_single_can_be_spared_of_what_stays(numbers: list[int]) -> None:
    """Also where many parts would do, each item of the outcome is needed."""

    def enough(part: tuple[int, ...]) -> bool:
        return sum(part) >= sum(numbers) / 2

    left = ddmin(numbers, enough)
    assert enough(left)
    assert not any(enough(left[:at] + left[at + 1 :]) for at in range(len(left)))


def test_few_needed_items_of_many_cost_few_tests() -> None:
    """Four of ten thousand take some hundred tests, not ten thousand."""
    needed = {1, 777, 5_000, 9_999}
    test: Bounded[tuple[int, ...]] = Bounded(lambda part: needed <= set(part), most=600)
    assert ddmin(range(10_000), test) == tuple(sorted(needed))
    assert not test.spent


def test_a_bounded_test_says_no_when_it_was_asked_too_often() -> None:
    """Then the outcome still passes the test, but smaller ones were not tried."""
    test: Bounded[tuple[int, ...]] = Bounded(lambda part: {3, 90} <= set(part), most=10)
    assert {3, 90} <= set(ddmin(range(100), test))
    assert test.spent
    assert test.asked == 10


def test_without_time_nothing_is_tried() -> None:
    """A test that is out of time says no."""
    test: Bounded[int] = Bounded(lambda _: True, most=10, late=lambda: True)
    assert not test(1)
    assert test.spent
