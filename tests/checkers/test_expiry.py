"""Values that outlive their time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkers.expiry import check
from harness.history import Function, History, Seen, Status
from harness.plan import Contract, TimeToLive
from harness.results import Severity
from tests.checkers.big import big_history
from tests.checkers.histories import MS, episode, history
from tests.checkers.strategies import Op, Reading, histories


def within(most: str, grace: str = "0ms") -> Contract:
    return Contract(ttl=TimeToLive(max=most, grace=grace))


def measure(h: History, contract: Contract, name: str) -> tuple[float | None, int]:
    (found,) = [m for m in check(h, contract).measures if m.name == name]
    return found.value, found.n


def test_a_value_that_outlives_its_time_is_found_with_its_proof() -> None:
    """The write's answer starts the clock; the read is late by what is over both time to live and grace."""
    h = history("w x1 @a s0 0-5; r x1 @b s1 30-31; r x1 @b s1 85-86; r x~ @b s1 90-91")
    (finding,) = check(h, within("50ms", "10ms")).findings
    assert (finding.name, finding.severity, finding.count, finding.witness) == ("expired-read", Severity.BOUND, 1, (0, 2))
    assert finding.claim == (
        "Node b answered version 1 of x at least 80ms after it had been written; the contract says that values live for 50ms, "
        "give or take 10ms."
    )
    assert check(h, within("70ms", "10ms")).findings == ()


def test_what_is_not_promised_is_not_looked_at() -> None:
    """Without a time to live there is nothing to find or to measure."""
    result = check(history("w x1 0-5; r x1 9000-9001"), Contract())
    assert (result.findings, result.measures) == ((), ())


def test_an_unanswered_write_s_clock_begins_when_its_value_is_seen() -> None:
    """It may have taken effect at any time up to then."""
    h = history("w x1 0-; r x1 40-41; r x1 80-81; r x1 92-93")
    (finding,) = check(h, within("50ms")).findings
    assert finding.witness == (0, 1, 3)
    assert finding.count == 1


def test_order_does_not_matter() -> None:
    """Keys with several writers have values that expire, too."""
    assert check(history("w x7 0-5; r x7 60-61", unordered="x"), within("50ms")).findings[0].count == 1
    assert check(history("w x7 0-5; w x7 50-55; r x7#1 60-61", unordered="x"), within("50ms")).findings == ()


def test_only_reads_that_came_late_enough_count() -> None:
    """Reads after the latest write has expired, and whether it was found or not; a newer write or a delete hides it."""
    h = history("w x1 0-5; r x1 50-51; r x- 60-61; r x1 70-71; w x2 72-75; r x2 80-81; d y1 0-5; r y~ 90-91")
    assert measure(h, within("50ms"), "expired-reads") == (1, 2)


@pytest.mark.parametrize(
    ("operations", "early"),
    [
        ("w x1 0-5; r x- 30-31", 1),
        ("w x1 0-5; r x~ 30-31", 1),
        ("w x1 0-5; r x- 48-50", 0),
        ("w x1 0-5; r x- 4-31", 0),
        ("w x1 0-5; d x2 29-33; r x- 30-31", 0),
        ("d x1 0-; w x2 1-5; r x- 30-31", 0),
        ("d x1 0-1; w x2 2-5; r x- 30-31", 1),
        ("w x1 0-5; d x2 29-33 fail; r x- 30-31", 1),
    ],
)
def test_early_misses_are_counted_unless_a_delete_may_explain_them(operations: str, early: int) -> None:
    """A value that is gone before its time was evicted; that is no finding."""
    result = check(history(operations), within("50ms"))
    assert result.findings == ()
    assert measure(history(operations), within("50ms"), "early-misses")[0] == early


def test_findings_are_told_apart_by_phase() -> None:
    """A clock that stands still during a fault shows as a finding of that fault."""
    h = history("w x1 0-5; r x1 60-61; r x1 80-81", episodes=[episode("pause", 70, 90)])
    assert [(f.phase, f.count) for f in check(h, within("50ms")).findings] == [("steady", 1), ("during pause", 1)]


def test_a_history_without_expired_values_is_clean() -> None:
    """Nothing lives longer than the run, and nothing in a correct history lives longer than until its successor."""
    h = big_history(20_000, keys=20)
    assert check(h, Contract(ttl=TimeToLive(max="1h"))).findings == ()
    hits = h.seen == Seen.HIT
    oldest = max(int(h.call_ns[hits].max()), MS)
    assert check(h, Contract(ttl=TimeToLive(max=f"{oldest}ns"))).findings == ()


@settings(max_examples=300, deadline=None)
@given(histories(), st.integers(1, 9), st.integers(0, 3))
def test_expired_reads_are_what_the_definition_says(h: History, most: int, grace: int) -> None:
    """The reads are those that a plain reading of the rule names, and the measures count plain pairs."""
    ops = Reading(h, Contract()).ops
    reads = [o for o in ops if not o.write and o.status == Status.OK]

    def writer(r: Op) -> Op | None:
        same = [w for w in ops if w.write and (w.key, w.sent) == (r.key, r.seen_version)]
        same = [w for w in same if r.seen_op in (-1, w.op)]
        return min(same, key=lambda w: (w.status == Status.FAIL, w.row), default=None)

    hits = [(r, w) for r in reads if r.seen == Seen.HIT and r.seen_key == r.key and (w := writer(r)) is not None]
    hits = [(r, w) for r, w in hits if w.status != Status.FAIL]
    expired = 0
    for r, w in hits:
        began = min([w.ret] * w.acked + [s.ret for s, v in hits if v is w])
        expired += r.call > began + most + grace
    contract = within(f"{most}ns", f"{grace}ns")
    assert sum(f.count for f in check(h, contract).findings) == expired
    could = early = 0
    for r in (r for r in reads if r.seen != Seen.GARBAGE):
        before = [w for w in ops if w.acked and w.key == r.key and w.ret < r.call]
        latest = max(before, key=lambda w: (w.ret, -w.row), default=None)  # the first of those that returned at once
        if latest is None or latest.function != Function.WRITE:
            continue
        could += r.call > latest.ret + most + grace
        deletes = [d for d in ops if d.function == Function.DELETE and d.status != Status.FAIL and d.key == r.key]
        excused = any(d.call <= r.ret and d.ret >= latest.call for d in deletes)
        early += r.seen != Seen.HIT and r.ret < latest.call + most - grace and not excused
    assert measure(h, contract, "expired-reads") == (expired, max(could, expired))
    assert measure(h, contract, "early-misses")[0] == early
