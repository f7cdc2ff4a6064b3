"""Histories that say nothing: no checker crashes on them, and none claims anything."""

from __future__ import annotations

import pytest

from checkers import CHECKERS, check
from harness.history import History
from harness.plan import Contract, RatePromise, StalenessPromise, TimeToLive
from tests.checkers.histories import episode, history

CONTRACT = Contract(
    misses="loss",
    ttl=TimeToLive(max="1ms"),
    staleness=StalenessPromise(steady="10ms", versions=1),
    rates=(
        RatePromise(older_than="5ms", at_most=0.1),
        RatePromise(phase="during cut", older_than="5ms", at_most=0.1, per="episode"),
    ),
    converges_within="1s",
)


@pytest.mark.parametrize(
    "silent",
    [
        history(),
        history(settled=0),
        history(keys="x", nodes=["a"], settled=1),
        history("r x- 0-1", settled=0),
        history("w x1 0-; w y1 s1 0-1", unordered="xy", settled=0),
        history("w x1 0-1 fail; r x fail 2-3; r x info 4-"),
        history("r x? 0-1; r x~ 2-3", settled=0, episodes=[episode("cut", 0, None, "n0")]),
    ],
    ids=["empty", "empty but settled", "no operation", "a miss", "no order", "nothing succeeded", "garbage in an open fault"],
)
@pytest.mark.parametrize("checker", CHECKERS.names)
def test_no_findings_where_nothing_was_seen(checker: str, silent: History) -> None:
    """Empty, failed, unordered and unreadable histories give a result without findings."""
    (result,) = check(silent, CONTRACT, only=[checker])
    assert result.checker == checker
    assert {finding.name for finding in result.findings} <= ({"thin-air"} if silent.episodes else set())  # garbage is of nobody
