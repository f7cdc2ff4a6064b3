"""Values that no correct store returns: each planted, each found, none imagined."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given, settings

from checkers.integrity import check
from harness.history import Function, History, Seen, Status
from harness.plan import Contract
from harness.results import Finding, Severity
from tests.checkers.big import big_history
from tests.checkers.histories import episode, history
from tests.checkers.strategies import CONTRACTS, Op, Reading, histories


def found(h: History) -> dict[str, Finding]:
    findings = check(h, Contract()).findings
    assert len({f.name for f in findings}) == len(findings)
    return {f.name: f for f in findings}


PLANTED = {
    "wrong-key": ("w x1 0-1; w y1 0-1; r y=x1 2-3", (0, 2)),
    "thin-air": ("w x1 0-1; r x5 2-3", (1,)),
    "dirty-read": ("w x1 0-1 fail; r x1 2-3", (0, 1)),
    "future-read": ("r x1 0-1; w x1 2-3", (0, 1)),
    "split-brain": ("w x1 @a 0-1; w x2 @b 0-1; w x2 @a 2-3; w x3 @b 4-5", (1, 2)),
    "late-write": ("w x1 0-; w x2 1-2; r x2 3-4; r x1 5-6", (0, 1, 2, 3)),
}


@pytest.mark.parametrize("name", PLANTED)
def test_each_anomaly_is_found_with_its_witness(name: str) -> None:
    """A planted anomaly is the one finding, proved by just the operations that show it."""
    text, witness = PLANTED[name]
    finding = found(history(text)).pop(name)
    assert (finding.count, finding.witness, finding.key or "x") == (1, witness, "y" if name == "wrong-key" else "x")
    assert finding.severity == (Severity.ORDER if name == "late-write" else Severity.INTEGRITY)
    assert set(found(history(text))) == {name}


def test_a_correct_history_is_clean() -> None:
    """Lag, misses, unanswered writes that are read, and values of unordered keys are all in order."""
    h = history("w x1 0-1; r x0 2-3; r x1 4-5; r x- 6-7; w x2 8-; r x2 9-10; r y~ 9-10; w z1 0-1; r z1 2-3", unordered=("z",))
    assert found(h) == {}
    assert found(big_history(20_000, keys=50)) == {}


def test_garbage_is_a_value_of_nobody() -> None:
    """Bytes that no operation can have written are thin-air."""
    assert found(history("w x1 0-1; r x? 2-3"))["thin-air"].claim == "Node n0 answered a read of x with garbage."


def test_a_value_is_its_operation_s() -> None:
    """The same version with another operation's id is a value of nobody."""
    assert found(history("w x1 0-1; w x2 2-3; r x1#1 4-5"))["thin-air"].witness == (2,)


def test_values_without_operation_go_by_version() -> None:
    """In an imported history the write is found by key and version; one that did happen is preferred to one that did not."""
    h = history("w x1 0-1 fail; w x1 2-3; r x1 4-5; w y1 0-1 fail; r y1 4-5")
    h.columns["seen_op"][:] = -1
    assert {name: f.key for name, f in found(h).items()} == {"dirty-read": "y"}


def test_integrity_needs_no_order_of_versions() -> None:
    """Unordered keys are held to integrity, too."""
    h = history("w x1 0-1 fail; r x1 2-3; r x9 2-3", unordered=("x",))
    assert set(found(h)) == {"dirty-read", "thin-air"}


def test_a_version_given_again_after_it_was_lost_is_no_split_brain() -> None:
    """Two nodes that acknowledged one version in turn, one after the other, did not both live."""
    assert found(history("w x1 @a 0-1; w x2 @a 2-3; w x2 @b 4-5; w x3 @b 6-7")) == {}


def test_a_node_that_shows_one_version_twice_is_split() -> None:
    """One node in one epoch that answers two values of one version has seen both histories."""
    h = history("w x1 @a 0-1; w x1 @b 5-6; r x1#0 @c 7-8; r x1#1 @c 9-10")
    assert found(h)["split-brain"].witness == (0, 1, 2, 3)
    assert found(history("w x1 @a 0-1; w x1 @b 5-6; r x1#0 @c e1 7-8; r x1#1 @c e2 9-10")) == {}


def test_findings_are_told_apart_by_phase() -> None:
    """What happens during a fault is a finding of its own."""
    h = history("r x9 0-1; r x9 5-6; r x9 6-7", episodes=[episode("kill", 4, 8)])
    findings = check(h, Contract()).findings
    assert [(f.phase, f.count, f.witness, f.examples) for f in findings] == [
        ("steady", 1, (0,), ()),
        ("during kill", 2, (1,), ((2,),)),
    ]


@settings(max_examples=400, deadline=None)
@given(histories(), CONTRACTS)
def test_findings_are_what_the_definitions_say(h: History, contract: Contract) -> None:
    """The count of every anomaly equals that of a plain reading of its rule, one operation at a time."""
    reading = Reading(h, contract)
    steps = list(reading.steps_back())
    writes = [o for o in reading.ops if o.write]
    expected: Counter[str] = Counter()
    for r in reading.reads:
        mine = [w for w in writes if (w.key, w.sent) == (r.key, r.seen_version) and r.seen_op in (-1, w.op)]
        mine = [w for w in mine if w.status != Status.FAIL] or mine
        if r.seen == Seen.GARBAGE:
            expected["thin-air"] += 1
        elif r.seen != Seen.HIT:
            continue
        elif r.seen_key != r.key:
            expected["wrong-key"] += 1
        elif not mine:
            expected["thin-air"] += not (r.seen_version == 0 and r.seen_op < 0)
        elif all(w.status == Status.FAIL for w in mine):
            expected["dirty-read"] += 1
        else:
            expected["future-read"] += r.ret < min(w.call for w in mine)
    backwards = {then: max(reading.found(a) or 0 for a, b in steps if b is then) for _, then in steps}
    expected["late-write"] = sum((reading.newest(then) or 0) >= highest for then, highest in backwards.items())
    expected["split-brain"] = len({(w.key, w.sent) for w in reading.writes if forked(reading, w)})
    assert Counter({f.name: f.count for f in check(h, contract).findings}) == +expected


def forked(reading: Reading, write: Op) -> bool:
    """Whether the version of a write lived twice."""

    def period(w: Op) -> tuple[int, int]:
        acks = [o.ret for o in reading.ops if o.acked and (o.node, o.epoch) == (w.node, w.epoch)]
        return min(acks), max(acks)

    acknowledged = [w for w in reading.of(write.key, write.sent) if w.acked]
    for left, right in combinations(acknowledged, 2):
        own = (left.node, left.epoch) == (right.node, right.epoch) or min(left.epoch, right.epoch) < 0
        (a, b), (c, d) = ((left.call, left.ret), (right.call, right.ret)) if own else (period(left), period(right))
        if a <= d and c <= b:
            return True
    shown = [
        r for r in reading.reads if r.key == write.key and reading.found(r) == write.sent and r.seen_op >= 0 and r.epoch >= 0
    ]
    return any((a.node, a.epoch) == (b.node, b.epoch) and a.seen_op != b.seen_op for a, b in combinations(shown, 2))


def test_a_read_and_its_function_are_never_confused() -> None:
    """The op id of a read in a value names no write."""
    assert found(history("r x0 0-1; r x1#0 2-3"))["thin-air"].count == 1
    assert Function.READ == 0
