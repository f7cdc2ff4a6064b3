"""Linearizable registers: planted violations, clean runs, and every small history against trying every order."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings

from checkers import linearizable_register
from checkers.linearizable_register import check
from harness.history import Function, History, Seen, Status
from harness.plan import Contract
from harness.results import Finding, Measure, Severity
from tests.checkers.big import big_history
from tests.checkers.histories import MS, episode, history
from tests.checkers.strategies import CONTRACTS, Op, Reading, histories

LINEARIZABLE = Contract(linearizable=True)


def found(h: History, contract: Contract = LINEARIZABLE) -> tuple[Finding, ...]:
    """The findings of the checker."""
    return check(h, contract).findings


def measure(h: History, name: str, contract: Contract = LINEARIZABLE) -> Measure:
    """The measure of that name."""
    return next(m for m in check(h, contract).measures if m.name == name)


def test_a_stale_read_is_a_contradiction() -> None:
    """A replica that answers the old version after the new one was acknowledged is caught, with three operations as proof."""
    h = history("w x1 @p 0-5; w x2 @p 10-20; r x1 @b s1 40-47")
    (finding,) = found(h)
    assert (finding.name, finding.severity, finding.count, finding.key) == ("not-linearizable", Severity.ORDER, 1, "x")
    assert finding.witness == (0, 1, 2)
    assert finding.claim == "x went back from version 2 to version 1: r#2 found version 1 20ms after w#1 wrote version 2."
    assert finding.argument[-2:] == (
        "w#0 had returned before w#1 was called, so version 1 came before version 2.",
        (
            "However, w#1 had returned before r#2 was called, so version 2 came before version 1: "
            "a contradiction, because each was written once."
        ),
    )


def test_an_answer_that_goes_back_while_the_write_is_open() -> None:
    """Once a read has found an open write, no later read may find the value before it, although no write was acknowledged."""
    h = history("w x1 0-10; r x1 s1 2-4; r x0 s2 5-7")
    (finding,) = found(h)
    assert "went back from version 1 to the initial value" in finding.claim
    assert measure(h, "delta-atomicity").value == measure(h, "gamma-atomicity").value == 1 * MS


@pytest.mark.parametrize(
    "lines",
    [
        "w x1 0-10; r x0 s1 1-2; r x1 s2 3-12; r x0 s3 4-5; r x1 s1 6-7",
        "w x1 0-; r x0 s1 5-6; r x1 s1 50-51; w x2 s2 60-61; r x2 s1 62-63",
        "w x1 0-; w x2 s1 5-6; r x2 s1 7-8; r x1 s2 9-10",
        "w x1 0-5; w x2 s1 5-9; r x1 s2 9-10",
        "w x1 0-1; r x1 fail 2-3; r x0 info 4-; r x1 5-6",
    ],
    ids=["overlaps", "unanswered", "lands late", "ties", "reads without answer"],
)
def test_legal_histories_are_silent(lines: str) -> None:
    """Overlapping and unanswered writes may be ordered freely, equal times overlap, and reads without answer say nothing."""
    h = history(lines)
    assert found(h) == ()
    assert measure(h, "delta-atomicity").value == measure(h, "gamma-atomicity").value == 0
    assert measure(h, "keys-not-linearizable").value == 0


def test_several_unsequenced_writers() -> None:
    """Keys without a version order are judged too: their versions only name values."""
    h = history("w x5 s0 0-10; w x3 s1 0-10; r x5 s2 11-12; r x3 s2 13-14; r x5 s2 15-16", unordered="x")
    (finding,) = found(h)
    assert finding.key == "x"
    assert found(history("w x5 s0 0-10; w x3 s1 0-10; r x5 s2 11-12; r x5 s2 13-14", unordered="x")) == ()


def test_the_value_of_a_failed_write() -> None:
    """A read of a value that was refused is caught, and shown with the refused write."""
    (finding,) = found(history("w x1 0-5 fail; r x1 s1 6-7"))
    assert (finding.scope, finding.witness) == ("unwritten-value", (0, 1))
    assert "the only write of it did not happen" in finding.claim


def test_a_value_before_its_write() -> None:
    """A read that returned before the write was called is caught; no shift of reads mends it, a stretch does."""
    h = history("r x1 s1 0-5; w x1 10-15")
    (finding,) = found(h)
    assert (finding.scope, finding.witness) == ("future-value", (0, 1))
    assert measure(h, "delta-atomicity").value is None
    assert measure(h, "gamma-atomicity").value == 5 * MS


def test_misses_count_as_the_contract_says() -> None:
    """A miss after an acknowledged write says nothing where misses are allowed, else it is the initial value, out of order."""
    h = history("w x1 0-5; r x1 6-7; r x- 8-9")
    assert found(h, Contract(linearizable=True, misses="allowed")) == ()
    (finding,) = found(h, Contract(linearizable=True, misses="loss"))
    assert finding.witness == (0, 2)


def test_a_deleted_key_is_searched() -> None:
    """Absence is the same value before the first write and after every delete: found in its place, and caught out of it."""
    assert found(history("r x~ 0-1; w x1 2-3; d x2 4-5; r x~ 6-7; w x3 8-9; d x4 10-11; r x~ 12-13")) == ()
    (finding,) = found(history("r x~ 0-1; w x1 2-3; d x2 4-5; r x~ 6-7; r x1 8-9"))
    assert set(finding.witness) == {1, 2, 4}


def test_repeated_values_are_searched() -> None:
    """Where a value is written twice, as in imported histories, a stale read of it is caught between two writes of another."""
    h = history("w x1 0-1; w x2 2-3; w x1 4-5; r x2 6-7", unordered="x")
    (finding,) = found(h)
    assert finding.witness == (0, 1, 2, 3)[-len(finding.witness) :]
    assert found(history("w x1 0-1; w x2 2-3; w x1 4-5; r x1 6-7", unordered="x")) == ()


def test_what_was_not_decided_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key whose search exceeds the budget is undecided, not linearizable and not silent."""
    monkeypatch.setattr(linearizable_register, "BUDGET", 200)
    writes = "; ".join(f"w x{i % 9 + 1} s{i} {i}-{100 + i}" for i in range(12))
    h = history(f"{writes}; r x8 s99 200-201", unordered="x")
    assert found(h) == ()
    assert measure(h, "keys-undecided").value == 1
    monkeypatch.setattr(linearizable_register, "BUDGET", 400_000)
    assert measure(h, "keys-undecided").value == 0


def test_findings_are_told_apart_by_phase() -> None:
    """A contradiction that is completed during a fault is counted there."""
    h = history("w x1 0-1; w x2 2-3; r x1 4-5; w y1 20-21; w y2 22-23; r y1 24-25", episodes=[episode("partition", 20, 30, "n0")])
    assert {finding.phase: finding.key for finding in found(h)} == {"steady": "x", "during partition": "y"}


def test_a_lagging_fleet_is_not_linearizable_and_its_primary_is() -> None:
    """Reads of replicas with 2 ms of lag are caught and are 2 ms away; the same run read at the primary only is clean."""
    h = big_history(20_000, keys=50)
    (finding,) = found(h)
    assert finding.count > 100
    assert 1 * MS < (measure(h, "delta-atomicity").value or 0) <= 2 * MS
    at_primary = h.select(h.node == 0)
    assert found(at_primary) == ()
    assert measure(at_primary, "gamma-atomicity").value == 0


def made_linearizable(n: int, overlap: int, seed: int, *, stale: int = 0) -> History:
    """A run of several unsequenced writers in which every operation takes effect at a moment between its call and its return.

    The last ``stale`` reads return the value of long before instead.
    """
    rng = np.random.default_rng(seed)
    effect = np.sort(rng.choice(1_000 * n, n, replace=False)) / 1_000
    call, ret = effect - rng.random(n) * overlap / 2, effect + rng.random(n) * overlap / 2
    write = rng.random(n) < 0.3
    names = iter(rng.permutation(n) + 1)
    values, value = [], 0
    for wrote in write:
        value = int(next(names)) if wrote else value
        values.append(value)
    for read in np.flatnonzero(~write)[::-1][:stale]:
        values[read] = values[n // 2]
    lines = [
        f"{'w' if wrote else 'r'} x{value} s{i} {begin + overlap:.6f}-{end + overlap:.6f}"
        for i, (wrote, value, begin, end) in enumerate(zip(write, values, call, ret, strict=True))
    ]
    return history(*lines, unordered="x")


@pytest.mark.parametrize("overlap", [1, 5, 100])
def test_what_is_linearizable_by_construction_is_found_so_and_a_planted_read_is_not(overlap: int) -> None:
    """However many operations overlap, a legal run is silent, and one read of a value of long ago in it is caught."""
    h = made_linearizable(2_000, overlap, seed=overlap)
    assert found(h) == ()
    assert measure(h, "gamma-atomicity").value == 0
    (finding,) = found(made_linearizable(2_000, overlap, seed=overlap, stale=1))
    assert 2 <= len(finding.witness) <= 4


def _values(h: History, contract: Contract) -> dict[int, list[tuple[Op, int]]]:
    """What counts in each key, with its value: absence and the initial value are 0."""
    reading = Reading(h, contract)
    keys: dict[int, list[tuple[Op, int]]] = {}
    for op in reading.ops:
        if op.write and op.status != Status.FAIL:
            value = 0 if op.function == Function.DELETE else op.sent
        elif op.write or op.status != Status.OK:
            continue
        elif op.seen == Seen.HIT and op.seen_key == op.key:
            value = op.seen_version
        elif contract.ttl is None and (op.seen == Seen.ABSENT or (op.seen == Seen.MISS and contract.misses != "allowed")):
            value = 0
        else:
            continue
        keys.setdefault(op.key, []).append((op, value))
    return keys


def _linearizable(ops: list[tuple[Op, int]]) -> bool:
    """Whether some order of the operations that must have happened, and some that may have, is legal."""
    optional = [item for item in ops if item[0].status == Status.INFO]
    required = [item for item in ops if item[0].status != Status.INFO]
    return any(
        _legal(order)
        for k in range(len(optional) + 1)
        for extra in combinations(optional, k)
        for order in permutations([*required, *extra])
    )


def _legal(order: tuple[tuple[Op, int], ...]) -> bool:
    current, latest = 0, -1
    for op, value in order:
        if op.ret < latest:
            return False
        latest = max(latest, op.call)
        if op.write:
            current = value
        elif value != current:
            return False
    return True


@settings(max_examples=400, deadline=None)
@given(histories(most=7), CONTRACTS)
def test_the_checker_agrees_with_trying_every_order(h: History, contract: Contract) -> None:
    """Keys are found not linearizable exactly if no order of what counts in them is legal."""
    bad = sum(not _linearizable(ops) for ops in _values(h, contract).values())
    assert measure(h, "keys-not-linearizable", contract).value == bad
    assert bool(found(h, contract)) == bool(bad)
    assert measure(h, "keys-undecided", contract).value == 0


@settings(max_examples=200, deadline=None)
@given(histories(most=10), CONTRACTS)
def test_witnesses_prove_what_they_are_shown_for(h: History, contract: Contract) -> None:
    """The operations of a witness, with the writes of the key and nothing else, are not linearizable by themselves."""
    for finding in found(h, contract):
        for witness in (finding.witness, *finding.examples):
            assert 1 <= len(witness) <= 8
            assert finding.scope == "" or len(witness) <= 2
            key = h.key[h.rows_of(np.array(witness[:1]))[0]]
            alone = h.select((h.key == key) & (np.isin(h.op, witness) | (h.function != Function.READ)))
            assert found(alone, contract)
