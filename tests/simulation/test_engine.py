"""Virtual time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.reference.deadlines import Deadlines
from harness.simulation.engine import Engine


@given(st.lists(st.integers(0, 50)))
def test_things_happen_in_order_of_their_times_and_then_of_their_planning(times):
    """Whatever order they were planned in."""
    engine = Engine()
    seen = []
    for number, time_ns in enumerate(times):
        engine.at(time_ns, seen.append, (time_ns, number))
    engine.run(100)
    assert seen == sorted(seen)
    assert len(seen) == len(times) == engine.events
    assert engine.now_ns == 100


def test_what_is_due_later_does_not_happen():
    """Nor does time stand where the last thing happened: it is as late as was asked for."""
    engine = Engine()
    seen = []
    engine.at(5, seen.append, "early")
    engine.at(11, seen.append, "late")
    engine.run(10)
    assert seen == ["early"]
    assert engine.now_ns == 10


def test_what_is_planned_for_the_past_happens_now():
    """Time never runs back."""
    engine = Engine()
    times = []
    engine.at(10, lambda _: engine.at(3, lambda _: times.append(engine.now_ns)))
    engine.run(20)
    assert times == [10]


def test_a_run_that_watches_a_condition_ends_as_soon_as_it_fails():
    """The next thing has not happened by then."""
    engine = Engine()
    seen = []
    for time_ns in (1, 2, 3):
        engine.at(time_ns, seen.append, time_ns)
    engine.run_while(lambda: len(seen) < 2, 10)
    assert seen == [1, 2]
    assert engine.now_ns == 2


def test_every_wait_expires_at_its_own_deadline():
    """Though there is one event on the heap for all of them."""
    engine = Engine()
    expired = []
    deadlines = Deadlines(engine, 10, set().__contains__, lambda wait: expired.append((wait, engine.now_ns)))
    for begin_ns, wait in ((0, "a"), (4, "b"), (4, "c"), (30, "d")):
        engine.run(begin_ns)
        deadlines.begin(wait)
    engine.run(100)
    assert expired == [("a", 10), ("b", 14), ("c", 14), ("d", 40)]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 15)), max_size=30))
def test_what_is_over_in_time_does_not_expire(waits):
    """However long each takes, and whichever others it stands between; what ends at its deadline is in time."""
    engine = Engine()
    over, expired = set(), []
    deadlines = Deadlines(engine, 10, over.__contains__, expired.append)
    for number, (begin_ns, takes_ns) in enumerate(waits):
        engine.at(begin_ns + takes_ns, over.add, number)
        engine.at(begin_ns, deadlines.begin, number)
    engine.run(100)
    assert set(expired) == {number for number, (_, takes_ns) in enumerate(waits) if takes_ns > 10}
    assert len(expired) == len(set(expired))
