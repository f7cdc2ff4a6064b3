"""What a history proves: one checker a file, all of them behind ``check``."""

from __future__ import annotations

from collections.abc import Collection

from checkers.base import Checker
from harness.history import History
from harness.plan import Contract
from harness.registry import Registry
from harness.results import Result

CHECKERS: Registry[Checker] = Registry(
    "checker",
    {
        "integrity": "checkers.integrity:check",
        "node-regress": "checkers.node_regress:check",
        "sessions": "checkers.sessions:check",
        "staleness": "checkers.staleness:check",
        "convergence": "checkers.convergence:check",
        "lost-writes": "checkers.lost_writes:check",
        "linearizable-register": "checkers.linearizable_register:check",
        "fractured-reads": "checkers.fractured_reads:check",
        "expiry": "checkers.expiry:check",
        "availability": "checkers.availability:check",
    },
)


def check(history: History, contract: Contract, only: Collection[str] = ()) -> tuple[Result, ...]:
    """What the checkers named in ``only`` (all known ones if empty) say of ``history``.

    Raises ``PlanError`` for a name that no checker has. A checker that crashes is a defect of the harness and raises: a verdict
    without it would claim more than was looked at.
    """
    return tuple(CHECKERS.load(name)(history, contract) for name in only or CHECKERS.names)
