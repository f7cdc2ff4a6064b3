"""Open-loop arrivals: operations are due when the schedule says so, however slow the server is (no coordinated omission)."""

from __future__ import annotations

from random import Random

from harness.operations import Session


def paced(session: Session, rate: float, begin_ns: int, random: Random) -> Session:
    """``session`` with Poisson arrivals of ``rate`` a second from ``begin_ns`` on.

    Several such sessions together are a Poisson process of the sum of their rates. An arrival that finds its session busy waits
    in it: ``call_ns - due_ns`` is the time it queued, which never counts as service time.
    """
    due_ns = float(begin_ns)
    operation = next(session, None)
    while operation is not None:
        due_ns += random.expovariate(rate) * 1e9
        outcome = yield operation._replace(due_ns=round(due_ns))
        try:
            operation = session.send(outcome)
        except StopIteration:
            return
