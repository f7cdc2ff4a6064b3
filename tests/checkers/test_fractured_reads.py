"""Reads that see half of a write: planted ones are found, what nobody owed is not, and all is as the definition says."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkers import check as check_all
from checkers.fractured_reads import ALONE, check, requests
from harness.history import COLUMNS, History
from harness.plan import Contract, Sessions, StalenessPromise
from harness.reference.zoo import all_bugs
from harness.results import Severity
from harness.zoo.trials import forced, random
from tests.checkers.big import big_history
from tests.checkers.histories import episode, history
from tests.checkers.strategies import CONTRACTS, Op, Reading, histories

LENIENT = Contract()
WRITES = "w x1+y1 @a s0 0-5; w x2+y2 @a s0 10-15;"
HALF = WRITES + "r x2+y1 @b s1 20-21; r x2+y2 @b s1 30-31"


def counts(h: History, contract: Contract = LENIENT) -> tuple[int, int]:
    """How many read requests are fractured, and how many could have been."""
    result = check(h, contract)
    (measure,) = result.measures
    found = sum(finding.count for finding in result.findings)
    assert measure.value == (found / measure.n if measure.n else None)
    return found, measure.n


def test_half_of_a_write_is_found_with_its_operations() -> None:
    """Both rows of the write, both of the read, and the write of the old value; the whole read counts as one that could tell."""
    result = check(history(HALF), Contract())
    (finding,) = result.findings
    assert (finding.name, finding.severity, finding.count, finding.phase) == ("fractured-read", Severity.ORDER, 1, "steady")
    assert (finding.witness, finding.key, finding.nodes) == ((1, 2, 3, 4, 5), "", ("b",))
    assert finding.claim == (
        "Node b answered one request with version 2 of x and version 1 of y, "
        "although version 2 of x and version 2 of y were written together."
    )
    assert finding.argument[-3:] == (
        "w#2 and w#3 are one request, and so are r#4 and r#5.",
        "r#4 shows that the write had taken effect, so r#5 should have found version 2 or a newer one.",
        "However, r#5 found version 1, which is older: half of a write was read.",
    )
    (measure,) = result.measures
    assert (measure.name, measure.value, measure.n, measure.per) == ("fractured-share", 0.5, 2, "request")


@pytest.mark.parametrize(
    ("reads", "could"),
    [
        ("r x2+y2 @b s1 20-21", 1),  # whole
        ("r x1+y1 @b s1 20-21", 1),  # nothing of it
        ("w y3 @a s0 16-17; r x2+y3 @b s1 20-21", 1),  # a newer one
        ("w x3 @a s0 16-17; r x3+y1 @b s1 20-21", 1),  # what was written alone obliges to nothing
        ("r x2 @b s1 20-21; r y1 @b s1 20-21", 0),  # two requests
        ("r x2 @b s1 group=9 20-21; r y1 @b s1 group=9 22-23", 0),  # two reads of one probe round
        ("r x2+z0 @b s1 20-21", 0),  # not written together
        ("r x2+y- @b s1 20-21", 0),  # a miss, which the contract allows
        ("r x-+y~ @b s1 20-21", 0),  # what found nothing shows nothing
        ("r x2+y1 @b s1 20-21 fail", 0),
        ("r x2+y1 @b s1 20- info", 0),
    ],
)
def test_what_nobody_owed_is_no_half(reads: str, could: int) -> None:
    """Only a value of the very write obliges, only keys of one request are compared, and only what was answered counts."""
    assert counts(history(WRITES, reads)) == (0, could)


@pytest.mark.parametrize("status", ["info", "ok"])
def test_a_write_without_an_answer_counts_once_half_of_it_is_seen(status: str) -> None:
    """Whoever finds one of its values may ask for the others."""
    h = history(f"w x1+y1 @a s0 0-5; w x2+y2 @a s0 10-{'' if status == 'info' else '15'} {status}; r x2+y1 @b s1 20-21")
    assert counts(h) == (1, 1)


def test_a_write_that_failed_is_no_half() -> None:
    """Whoever finds its value has read what did not happen: that is integrity's."""
    assert counts(history("w x1+y1 @a s0 0-5; w x2+y2 @a s0 10-15 fail; r x2+y1 @b s1 20-21")) == (0, 0)


def test_an_old_value_that_may_have_come_late_is_no_half() -> None:
    """A write of a sibling that was never answered may have been carried out after the two."""
    assert counts(history("w y1 @a s0 0- info; w x2+y2 @a s0 10-15; r x2+y1 @b s1 20-21")) == (0, 1)


def test_nothing_found_is_judged_as_the_contract_says() -> None:
    """A miss where it is a loss, an absence in any contract; a delete that may have come after explains either."""
    for nothing, contract in (("-", Contract(misses="loss")), ("~", Contract())):
        (finding,) = check(history(WRITES, f"r x2+y{nothing} @b s1 20-21"), contract).findings
        assert "found nothing, which can mean no more than the initial value" in finding.argument[-1]
        assert counts(history(WRITES, f"d y3 @a s0 16-17; r x2+y{nothing} @b s1 20-21"), contract) == (0, 1)


def test_a_delete_is_a_version() -> None:
    """Where one request deleted one key and wrote the other, the old value of the deleted one is half of it."""
    together = "w x2 @a s0 10-15 group=7; d y2 @a s0 10-15 group=7;"
    assert counts(history("w x1+y1 @a s0 0-5;", together, "r x2+y1 @b s1 20-21; r x2+y~ @b s1 22-23")) == (1, 2)


def test_keys_without_order_and_versions_of_two_writes_are_left_out() -> None:
    """Nothing is older there, or nobody knows which of the writes was seen."""
    assert counts(history(HALF, unordered=("y",))) == (0, 0)
    assert counts(history("w x1+y1 @a s0 0-5; w x1 @c s2 0-5; r x1+y0 @b s1 20-21")) == (0, 0)


def test_a_request_counts_once_and_shows_the_key_that_is_most_behind() -> None:
    """Two old siblings are one fractured read; so are two writes of which halves were seen."""
    writes = "w x1+y1+z1 @a s0 0-1; w z2 @a s0 2-3; w x2+y2+z3 @a s0 4-5;"
    h = history(writes, "r x2+y1+z1 @b s1 20-21; r z3+x2+y1 @b s1 22-23", episodes=[episode("cut", 22, 30)])
    findings = check(h, Contract()).findings
    assert [(finding.count, finding.phase) for finding in findings] == [(1, "steady"), (1, "during cut")]
    assert "version 1 of z" in findings[0].claim


def test_histories_without_such_requests_have_nothing_to_measure() -> None:
    """No finding, no measure, and probe rounds, which have groups, are no requests."""
    h = big_history(20_000, keys=20)
    assert check(h, Contract()) == check(history("r x0 group=1 0-1; r x0 s1 group=1 0-1; r y0 s1 group=1 3-4"), Contract())
    assert check(h, Contract()).measures == ()


def test_halves_in_a_large_history_are_found_one_by_one() -> None:
    """Of many sets that are written and read together, just the planted ones are fractured."""
    h = sets_of_keys(300, rounds=20, halves=7)
    assert len(h) > 20_000
    assert counts(h) == (7, 300 * 20)


def sets_of_keys(sets: int, rounds: int, halves: int) -> History:
    """Each set of two keys is written and then read as often; ``halves`` of the reads find the second key a version behind."""
    lines = []
    for version in range(1, rounds + 1):
        for number in range(sets):
            x, y = (f"{letter}{chr(97 + number % 26)}{chr(97 + number // 26)}" for letter in "xy")
            time = 10 * (version * sets + number)
            old = version - (version == rounds and number < halves)
            lines += [
                f"w {x}{version}+{y}{version} s{number} {time}-{time + 1}",
                f"r {x}{version}+{y}{old} {time + 2}-{time + 3}",
            ]
    return history(*lines)


@st.composite
def multi_key_histories(draw: st.DrawFn) -> History:
    """A few requests of one key to three, mostly written in order; reads find any version written so far."""
    count, wild = draw(st.integers(1, 12)), draw(st.sampled_from([0.0, 0.1, 0.3]))
    rng = Random(draw(st.integers(0, 2**32)))
    written = dict.fromkeys("xyz", 0)
    lines, time = [], 0
    for _ in range(count):
        time += rng.choice([0, 1, 2])
        keys = rng.sample("xyz", rng.choice([1, 2, 2, 3]))
        if rng.random() < 0.45:
            for key in keys:
                written[key] = rng.randint(1, 3) if rng.random() < wild / 2 else written[key] + 1
            deed = ("d " if rng.random() < 0.15 else "w ") + "+".join(f"{key}{written[key]}" for key in keys)
        else:
            found = [rng.choice("-~") if rng.random() < 0.15 else max(0, written[key] - rng.choice([0, 0, 1, 2])) for key in keys]
            deed = "r " + "+".join(f"{key}{what}" for key, what in zip(keys, found, strict=True))
        status = rng.choice(["fail", "info", "info"]) if rng.random() < wild else "ok"
        lines.append(f"{deed} @n{rng.randrange(2)} s{rng.randrange(3)} {time}-{time + rng.randrange(4)} {status}")
    return history(*lines, unit_ns=1, keys="xyz", unordered="z" if rng.random() < wild else "", end=time + 4)


@settings(max_examples=600, deadline=None)
@given(st.one_of(multi_key_histories(), histories()), CONTRACTS)
def test_halves_are_what_the_definition_says(h: History, contract: Contract) -> None:
    """The fractured requests, and those that could have been, are those of all pairs of operations."""
    reading = Reading(h, contract)
    fractured, could = by_all_pairs(reading)
    result = check(h, contract)
    assert sum(finding.count for finding in result.findings) == len(fractured)
    assert sum(measure.n for measure in result.measures) == len(could)
    shown = {int(h.rows_of(np.array([op]))[0]) for f in result.findings for w in (f.witness, *f.examples) for op in w}
    assert all(shown & {o.row for o in reading.ops if request(h, o) == one} for one in fractured)


def by_all_pairs(reading: Reading) -> tuple[set[tuple[int, ...]], set[tuple[int, ...]]]:
    """The read requests that saw half of a write, and those that found of one key what was written with another of them."""
    h, fractured, could = reading.h, set(), set()
    for a in reading.reads:
        wrote = reading.of(a.key, reading.found(a) or -1)
        if len(wrote) != 1:
            continue
        for b in reading.reads:
            beside = [w for w in reading.writes if w.key == b.key and request(h, w) == request(h, wrote[0]) is not None]
            newest = reading.newest(b)
            if b.key == a.key or request(h, a) is None or request(h, a) != request(h, b) or not beside or newest is None:
                continue
            could.add(request(h, a))
            if newest < beside[0].sent:
                fractured.add(request(h, a))
    return fractured, could


def request(h: History, o: Op) -> tuple[int, ...] | None:
    """What all keys of one request share."""
    return (int(h.group[o.row]), int(h.process[o.row]), o.call) if h.group[o.row] >= 0 else None


def test_requests_are_told_apart_by_group_process_and_call() -> None:
    """Rows of one request share a number, all others have none."""
    h = history("w x1+y1 0-1; r x1 s1 group=0 0-1; r x1+y1 s2 0-1; r x1 s2 group=2 5-6; r y1 s3 5-6")
    number = requests(h).tolist()
    assert number[0] == number[1] != ALONE
    assert number[3] == number[4] != ALONE
    assert number[0] != number[3]
    assert [number[2], number[5], number[6]] == [ALONE] * 3


BUG = all_bugs()["fractured"]


def test_the_planted_bug_fires_and_its_correct_design_does_not() -> None:
    """The same schedule: half of a write on the one, the whole of it on the other."""
    for design, found in ((BUG.broken, (1, 1)), (BUG.correct, (0, 1))):
        h = forced(BUG, design).history
        assert counts(h) == found


@pytest.mark.parametrize("seed", range(2))
def test_the_correct_design_is_silent_at_random_and_the_bug_is_not(seed: int) -> None:
    """Under the workload that the bug names, on a virtual fleet."""
    found = []
    for design in (BUG.correct, BUG.broken):
        contract = BUG.correct.promise(BUG.correct.settings, 500_000)
        trial = random(
            design, contract, seed=seed, nodes=3, workloads=BUG.workloads, faults=(), duration_ns=2_000_000_000
        )  # fmt: skip
        found.append(counts(trial.history, contract))
    (silent, could), (broken, _) = found
    assert (silent, could > 300) == (0, True)
    assert broken > 0


STRICT = Contract(
    linearizable=True,
    atomic_reads=True,
    misses="loss",
    sessions=Sessions(
        read_your_writes="any-node", monotonic_reads="any-node", monotonic_writes="any-node", writes_follow_reads="any-node"
    ),
    staleness=StalenessPromise(versions=0),
    converges_within="1ms",
    lost_writes=0,
)


def test_no_checker_is_confused_by_requests_of_several_keys() -> None:
    """Each key of a request is an operation of its own, and counts as one; one process and equal times are not suspicious."""
    rounds = [
        f"w x{v}+y{v}+z{v} @a s0 {10 * v}-{10 * v + 2}; r z{v}+x{v}+y{v} @b s1 {10 * v + 3}-{10 * v + 5};"
        f"r x{v}+y{v} @a s0 {10 * v + 6}-{10 * v + 8}"
        for v in range(1, 20)
    ]
    h = history(*rounds, "r x19+y19+z19 @a s2 300-301; r x19+y19+z19 @b s2 302-303", settled=299)
    results = check_all(h, STRICT)
    assert [finding for result in results for finding in result.findings] == []
    measures = {(m.name, m.phase, m.scope): m for result in results for m in result.measures}
    assert measures["success-rate", "steady", ""].n == len(h) == 19 * 8 + 6
    assert measures["fractured-share", "", ""].n == 19 * 2 + 2
    shuffled = h.columns["group"].copy()
    shuffled[:] = -1
    alone = replace(h, columns={name: h.columns[name] if name != "group" else shuffled for name in COLUMNS})
    assert [r for r in check_all(alone, STRICT) if r.checker != "fractured-reads"] == [
        r for r in results if r.checker != "fractured-reads"
    ]
