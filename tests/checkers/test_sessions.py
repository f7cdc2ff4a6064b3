"""The four session guarantees and how far they reach."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings

from checkers.sessions import check
from harness.history import History
from harness.plan import Contract
from tests.checkers.big import big_history
from tests.checkers.histories import history
from tests.checkers.strategies import CONTRACTS, Op, Reading, histories


def found(h: History, contract: Contract | None = None) -> dict[tuple[str, str], int]:
    counts: Counter[tuple[str, str]] = Counter()
    for finding in check(h, contract or Contract()).findings:
        counts[finding.name, finding.scope] += finding.count
    return dict(counts)


WRITES = "w x1 @p s9 0-1; w x2 @p s8 2-3;"
PLANTED = {
    ("monotonic-reads", "sticky"): WRITES + "r x2 @n s1 4-5; r x1 @n s1 6-7",
    ("monotonic-reads", "same-node"): WRITES + "r x2 @n s1 4-5; r z- @m s1 5.5-5.7; r x1 @n s1 6-7",
    ("monotonic-reads", "cross-node"): WRITES + "r x2 @n s1 4-5; r x1 @m s1 6-7",
    ("read-your-writes", "sticky"): "w x1 @n s1 0-1; r x0 @n s1 2-3",
    ("read-your-writes", "same-node"): "w x1 @n s1 0-1; r z- @m s1 1.5-1.7; r x0 @n s1 2-3",
    ("read-your-writes", "cross-node"): "w x1 @n s1 0-1; r x0 @m s1 2-3",
    ("monotonic-writes", "sticky"): "w x2 @p s1 0-1; w x1 @p s1 2-3",
    ("monotonic-writes", "cross-node"): "w x1 @p s1 0-1; w y1 @q s1 2-3; r y1 @n s2 4-5; r x0 @n s3 6-7",
    ("writes-follow-reads", "sticky"): "w x2 @p s9 0-1; r x2 @p s1 2-3; w x1 @p s1 4-5",
    ("writes-follow-reads", "cross-node"): "w x1 @p s9 0-1; r x1 @q s1 2-3; w y1 @p s1 4-5; r y1 @n s2 6-7; r x0 @n s3 8-9",
}


@pytest.mark.parametrize(("name", "scope"), PLANTED)
def test_each_broken_guarantee_is_found_in_its_scope(name: str, scope: str) -> None:
    """A planted offence is found once, under its name and in the narrowest scope that it breaks."""
    assert found(history(PLANTED[name, scope])) == {(name, scope): 1}


def test_an_observer_s_proof_is_complete() -> None:
    """Both writes, the read that saw the second and the read that missed the first."""
    h = history("w x1 @p s1 0-1; w y1 @p s1 2-3; r y1 @n s2 4-5; r x0 @n s3 6-7")
    (finding,) = check(h, Contract()).findings
    assert (finding.witness, finding.key) == ((0, 1, 2, 3), "x")
    assert finding.claim == (
        "Session 1 wrote version 1 of x and then wrote y; node n showed the second and 1ms later answered the initial value of x."
    )
    assert "r#3 found the initial value" not in finding.claim


def test_operations_that_overlap_bind_nobody() -> None:
    """Only what had returned before the call obliges."""
    assert found(history("w x1 s1 0-2; r x0 s1 2-3; w y1 s2 0-5; r y1 s1 4-6; r y0 s1 6-7")) == {}


def test_an_unanswered_write_obliges_nobody() -> None:
    """A session may miss what it never saw acknowledged, and an unanswered old write may take effect late."""
    assert found(history("w x1 s1 0-; r x0 s1 2-3")) == {}
    assert found(history("w x1 s1 0-; w x2 s1 1-2; r x1 s1 3-4")) == {}


def test_observers_at_different_nodes_or_epochs_see_no_order() -> None:
    """Across nodes the order of writes is causal consistency, which is not judged here."""
    writes = "w x1 @p s1 0-1; w y1 @p s1 2-3;"
    assert found(history(writes + "r y1 @n s2 4-5; r x0 @m s3 6-7")) == {}
    assert found(history(writes + "r y1 @n e1 s2 4-5; r x0 @n e2 s3 6-7")) == {}
    assert found(history(writes + "r y1 @n s2 4-7; r x0 @n s3 6-8")) == {}


def test_a_node_that_goes_backwards_is_no_witness() -> None:
    """A read that steps back on its own key is a node-regress and says nothing of the order of writes."""
    assert found(history("w x1 @p s1 0-1; w y1 @p s1 2-3; r x1 @n s2 4-5; r y1 @n s3 4-5; r x0 @n s4 6-7")) == {}


def test_sessions_that_stay_at_a_correct_node_see_no_offence() -> None:
    """With lagging replicas all offences are cross-node; at the primary alone there are none."""
    assert {scope for _, scope in found(big_history(30_000, keys=30))} == {"cross-node"}
    assert found(big_history(30_000, keys=30, nodes=1)) == {}


@settings(max_examples=500, deadline=None)
@given(histories(), CONTRACTS)
def test_offences_are_what_the_definitions_say(h: History, contract: Contract) -> None:
    """The offending operations of every guarantee, counted in their narrowest scope, equal those of a plain reading."""
    reading = Reading(h, contract)
    narrowest: dict[tuple[str, int], int] = {}
    for name, earlier, later, offender in offences(reading):
        scope = reach(reading, earlier, later)
        narrowest[name, offender.row] = max(scope, narrowest.get((name, offender.row), 0))
    expected = Counter((name, ("cross-node", "same-node", "sticky")[scope]) for (name, _), scope in narrowest.items())
    assert found(h, contract) == dict(expected)


def reach(reading: Reading, earlier: Op, later: Op) -> int:
    """2 if the session asked one node from A to B, 1 if both asked one node, else 0."""
    asked = [o.node for o in reading.ops if o.session == earlier.session and earlier.row <= o.row <= later.row]
    return 2 if len(set(asked)) == 1 else int(earlier.node == later.node)


def offences(reading: Reading) -> Iterator[tuple[str, Op, Op, Op]]:
    """Every broken guarantee with its A, its B and the operation that offends."""
    backwards = {then.row for _, then in reading.steps_back()}
    judged = [r for r in reading.reads if reading.newest(r) is not None]
    acked = [w for w in reading.writes if w.acked]
    deeds = [
        ("monotonic-reads", "writes-follow-reads", a, reading.found(a)) for a in reading.reads if reading.found(a) is not None
    ]
    deeds += [("read-your-writes", "monotonic-writes", a, a.sent) for a in acked]
    for of_reads, of_writes, a, version in deeds:
        assert version is not None
        after = [o for o in reading.ops if o.session == a.session and a.ret < o.call]
        for b in after:
            if b in judged and b.key == a.key and (reading.newest(b) or 0) < version:
                yield of_reads, a, b, b
            if b in acked and b.key == a.key and b.sent < version:
                yield of_writes, a, b, b
            if b not in reading.writes or len(reading.of(b.key, b.sent)) > 1:
                continue
            for shown in reading.reads:
                if (shown.key, reading.found(shown)) != (b.key, b.sent) or shown.ret < b.call or shown.epoch < 0:
                    continue
                for missed in judged:
                    at = (missed.node, missed.epoch) == (shown.node, shown.epoch) and shown.ret < missed.call
                    if at and missed.key == a.key and (reading.newest(missed) or 0) < version and missed.row not in backwards:
                        yield of_writes, a, b, missed
