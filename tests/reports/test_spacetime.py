"""The space-time diagram: true to scale or marked, in order, without labels on top of each other."""

import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reports.ages import ages
from reports.rows import rows
from reports.spacetime import Axis, spacetime, spread
from tests.reports.synthetic import history, plan, stale_read, xml

RUN = history()
WITNESS = rows(RUN, stale_read(RUN).witness, ages(RUN, plan().contract))


@given(st.lists(st.integers(0, 10**10), min_size=2, max_size=20))
def test_stretches_are_to_one_scale_or_marked(times: list[int]) -> None:
    """Unmarked stretches of some height share one scale; order always shows; nothing is taller than a marked stretch."""
    assume(len(set(times)) > 1)
    axis = Axis(times)
    true = [s for s in axis.stretches if not s.broken and s.bottom - s.top > 7.001]
    scales = [(s.bottom - s.top) / (s.end_ns - s.begin_ns) for s in true]
    assert not scales or max(scales) <= min(scales) * 1.0001
    assert all(s.bottom - s.top >= 6.99 for s in axis.stretches)
    longest = max(s.end_ns - s.begin_ns for s in axis.stretches if not s.broken) if true else 0
    assert all(s.end_ns - s.begin_ns > longest for s in axis.stretches if s.broken)
    heights = [axis.at(time) for time in sorted(set(times))]
    assert heights == sorted(heights)


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=10), st.floats(1, 50))
def test_labels_keep_their_distance_and_order(wanted: list[float], step: float) -> None:
    """Labels are at least a step apart, in order, and none is above where it wants to be."""
    placed = spread(sorted(wanted), step, 0.0)
    assert all(below - above >= step - 1e-6 for above, below in pairwise(placed))
    assert all(at >= want for at, want in zip(placed, sorted(wanted), strict=True))


def test_each_operation_has_its_bar_its_arrows_and_its_words() -> None:
    """Every witness operation is drawn from call to return, to its node and back, and named in the text alternative."""
    svg = xml(spacetime(WITNESS, (RUN.episodes[2],), "d"))
    drawn = [group for group in svg.findall("g") if group.get("class") == "operation"]
    assert len(drawn) == len(WITNESS) == 4
    assert all(len([p for p in group.findall("path") if "head" in p.get("class", "")]) == 2 for group in drawn)
    words = svg.findtext("desc") or ""
    assert all(row.sentence in words for row in WITNESS)
    assert "partition" in [text.text for text in svg.iter("text")]


def test_labels_in_the_diagram_do_not_overlap() -> None:
    """Operations that happened at the same moment still get lines of their own."""
    close = tuple(replace(row, call_ns=10**9 + number, return_ns=10**9 + 500) for number, row in enumerate(WITNESS))
    svg = xml(spacetime(close, (), "d"))
    tops = [float(text.get("y", "0")) for text in svg.iter("text") if text.get("class") == "label"]
    assert all(below - above >= 30 for above, below in pairwise(tops))
    assert max(tops) < float(svg.get("height", "0"))


def test_an_operation_without_answer_has_no_way_back() -> None:
    """An unanswered operation is drawn open, with one arrow and the words."""
    svg = spacetime((replace(WITNESS[0], return_ns=None, status="info"),), (), "d")
    assert len(re.findall('class="head', svg)) == 1
    assert "no answer" in svg


def test_only_faults_on_the_nodes_shown_are_drawn() -> None:
    """A fault at another node takes no room; names of faults on one node do not overlap."""
    begin, end = WITNESS[0].call_ns, max(row.end_ns for row in WITNESS)
    inside = {"applied_ns": begin + 1, "healed_ns": end - 1}
    elsewhere = replace(RUN.episodes[2], **inside, nodes=("replica-1",))
    assert spacetime(WITNESS, (elsewhere,), "d") == spacetime(WITNESS, (), "d")
    both = tuple(replace(episode, **inside, nodes=("replica-2",)) for episode in RUN.episodes[:2])
    names = [text for text in xml(spacetime(WITNESS, both, "d")).iter("text") if text.get("class") == "struck-name"]
    tops = [float(re.search(r",([0-9.]+)\)", name.get("transform", ""))[1]) for name in names]
    assert [name.text for name in names] == ["partition", "delay"]
    assert tops[1] - tops[0] > len("partition") * 5


@pytest.mark.parametrize(("span_ns", "last"), [(3_500, "+3.500us"), (2_500_000, "+2.500ms"), (70 * 10**9, "+70.000000s")])
def test_times_are_written_in_a_unit_that_fits(span_ns: int, last: str) -> None:
    """The last event's time since the first is written in us, ms or s, by its length."""
    first, second = replace(WITNESS[0], call_ns=0, return_ns=1_000), replace(WITNESS[1], call_ns=1_500, return_ns=span_ns)
    times = [text.text for text in xml(spacetime((first, second), (), "d")).iter("text") if text.get("class") == "time"]
    assert times[-1] == last


def test_hostile_names_stay_text() -> None:
    """A key or node name cannot become markup in the diagram."""
    svg = spacetime((replace(WITNESS[0], key="<script>x</script>", node='"><img src=x>'),), (), "d")
    parsed = xml(svg)
    assert not [part for part in parsed.iter() if part.tag in ("script", "img")]
