"""What a checker is: a pure function from a history and a contract to a result. It does no I/O and reads no clock.

The contract tells a checker what to measure against (which misses count, which bound holds in which phase), never what to hide:
an anomaly is reported whether or not the contract forbids it, and ``harness.contract`` judges.
"""

from __future__ import annotations

from typing import Protocol

from harness.history import History
from harness.plan import Contract
from harness.results import Result


class Checker(Protocol):
    """One property of histories."""

    def __call__(self, history: History, contract: Contract) -> Result:
        """Findings and measures of ``history``; the result's ``checker`` is the name the checker is registered under."""
