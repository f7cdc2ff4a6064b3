"""Virtual clients: when they invoke what."""

from __future__ import annotations

from harness.durations import UNITS
from harness.history import Function
from harness.operations import Operation, Session
from harness.reference.settings import Settings
from harness.reference.strategies.broadcast_amo import DESIGN
from harness.simulation.clients import Client
from harness.simulation.fleet import Fleet

MS = UNITS["ms"]


def one_read(key: int, due_ns: int) -> Session:
    """A session that reads once, when it is due."""
    yield Operation(Function.READ, key, 0, due_ns=due_ns)


def test_what_is_due_after_the_end_of_a_session_is_not_invoked_later_on() -> None:
    """Sessions that have come to their end stay silent while others are played, say the probes of the settle phase."""
    fleet = Fleet(DESIGN, 1, Settings(), seed=1, timeout_ns=100 * MS)
    early, late = fleet.rows.add("early"), fleet.rows.add("late")
    fleet.clients.play([Client(one_read(early, 20 * MS), 0, 0)], 0, 10 * MS)
    fleet.engine.run(10 * MS)
    fleet.clients.play([Client(one_read(late, 30 * MS), 1, 1)], 10 * MS, 50 * MS)
    fleet.engine.run(50 * MS)
    history = fleet.history([], ("early", "late"))
    assert history.key.tolist() == [late]
