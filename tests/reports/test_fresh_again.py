"""How the report tells when the fleet was fresh again after a fault."""

import json
from dataclasses import replace

from checkers.recovery import Recovery
from reports import render_html, render_json
from reports.fresh_again import fresh_again
from tests.reports.synthetic import MS, history, report

RUN = history(200)
FIRST = RUN.episodes[0]


def told(*nodes: Recovery) -> str:
    return fresh_again(RUN, FIRST, nodes).fleet


def test_the_last_node_is_named_and_what_no_read_saw_is_said() -> None:
    """The fleet is as fresh as its last node; nothing is claimed of nodes that nobody read, nor where nobody saw the end."""
    fresh, late = Recovery("a", 0, 9, 0, 0), Recovery("b", 1200 * MS, 9, 4, 0)
    stuck, unread = Recovery("c", 900 * MS, 9, 4, 2), Recovery("d", None, 0, 0, 0)
    assert told(fresh, late) == "after 1.2s; b the last"
    assert told(late) == "after 1.2s"
    assert told(fresh) == "at once"
    assert told(fresh, late, stuck) == "still stale after 900ms: c"
    assert told(fresh, unread) == "at once; no read of d"
    assert told(unread) == "no read saw"
    assert told() == "-"
    whole = fresh_again(RUN, FIRST, (fresh, late, stuck, unread))
    assert whole.share == "8 of 27 keys at nodes were behind"
    assert whole.nodes == (
        "a: at once, 9 keys read",
        "b: after 1.2s, 4 of 9 keys behind",
        "c: still stale after 900ms, 4 of 9 keys behind, 2 never seen fresh",
        "d: no read saw",
    )


def test_a_fault_that_outlasted_the_heal_is_named() -> None:
    """Who was late may have been late by the other fault."""
    other = replace(RUN.episodes[1], applied_ns=FIRST.applied_ns, healed_ns=None)
    both = replace(RUN, episodes=(FIRST, other))
    assert fresh_again(both, FIRST, (Recovery("a", 5 * MS, 9, 1, 0),)).fleet == "after 5ms, delay still on"


def test_the_page_and_the_numbers_tell_it_per_episode() -> None:
    """The table of faults has the words, results.json the times of every node and episode."""
    run = report()
    text = render_html(run)
    faults = text[text.index('id="faults"') : text.index('id="adequacy"')]
    assert faults.count("keys at nodes were behind") == len(run.history.episodes)
    for episode in json.loads(render_json(run))["episodes"]:
        nodes = {each["node"]: each for each in episode["recovery"]}
        assert set(nodes) == {"primary", "replica-1", "replica-2"}
        assert nodes["primary"]["stale_until_ns"] == 0
        assert nodes["replica-2"]["keys"] > 10
