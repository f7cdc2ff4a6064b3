"""Space-time diagrams as text."""

from __future__ import annotations

from dataclasses import replace

from harness.plan import Contract
from reports.ages import ages
from reports.lanes import lanes
from reports.rows import rows
from tests.checkers.histories import episode, history


def drawn(*lines: str, **more: object) -> list[str]:
    """The lines of the diagram of a history."""
    h = history(*lines, **more)  # type: ignore[arg-type]
    return lanes(rows(h, h.op.tolist(), ages(h, Contract())), h.episodes).splitlines()


def test_an_event_is_a_line_with_an_arrow_between_its_lanes() -> None:
    """Calls go from the session to the node, answers come back; a read says how old its value was."""
    assert drawn("w x1 @a 0-5; w x2 @a 10-20; r x1 @b s1 50-51") == [
        "time       session 0   session 1   a   b",
        "0.000000s      ├──────────────────▶│   │          w#0 write x = version 1",
        "+5ms           │◀──────────────────┤   │          w#0 ok",
        "+10ms          ├──────────────────▶│   │          w#1 write x = version 2",
        "+20ms          │◀──────────────────┤   │          w#1 ok",
        "+50ms          │           ├──────────▶│          r#2 read x",
        "+51ms          │           │◀──────────┤          r#2 → version 1, 30ms to 41ms old",
    ]


def test_what_was_never_answered_has_one_line() -> None:
    """Its arrow does not arrive, as far as anybody knows."""
    assert "\u2573" in drawn("w x1 @a 0-")[1]
    assert "no answer" in drawn("w x1 @a 0-")[1]


def test_an_episode_begins_and_ends_on_a_lane_that_it_struck() -> None:
    """Without a node in the diagram it stands beside the lanes; one that was never applied is not shown."""
    shown = drawn("w x1 @a 10-15", episodes=(episode("pause", 5, 30, "a"), replace(episode("kill", 6, 7, "c"), applied_ns=None)))
    assert ["pause of a begins" in line for line in shown] == [False, True, False, False, False]
    assert shown[1].startswith("-5ms")
    assert "pause of a ends" in shown[-1]


def test_nothing_is_drawn_of_nothing() -> None:
    """No operations, no diagram."""
    assert lanes(()) == ""
