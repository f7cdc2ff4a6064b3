"""Histories sliced to the operations that prove a finding."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from checkers import CHECKERS, check
from harness.findings import FINDINGS
from harness.history import Epoch, History
from harness.plan import Contract, StalenessPromise
from harness.results import Finding
from harness.shrink.slicing import Slice, same_finding, slice_history
from tests.checkers.big import big_history
from tests.checkers.histories import episode, history, stall
from tests.checkers.simulation import BUGS, Simulation
from tests.checkers.test_soundness import CONTRACT, any_setup

MS = Contract.model_validate({"staleness": {"steady": "10ms", "during": {"partition": "20ms"}}, "converges_within": "100ms"})


def sliced(h: History, name: str, contract: Contract = MS, **bounds: int) -> Slice:
    """The slice for the first finding called ``name``."""
    checker = CHECKERS.load(FINDINGS[name].checker)
    finding = next(finding for finding in checker(h, contract).findings if finding.name == name)
    found = slice_history(h, contract, finding, checker, **bounds)
    assert found is not None
    return found


def test_the_rest_of_the_run_is_left_out() -> None:
    """Of a stuck node three operations stay: the two writes and one stale read; the other key, node and session go."""
    h = history(
        "w x1 0-5; w y1 6-7; r x1 @b s1 8-9; w x2 10-20; r x2 @a s1 150-151; r y1 @a s1 152-153",
        "r x1 @b s2 150-151; r x1 @b s2 2000-2001",
        settled=100,
    )
    left = sliced(h, "stuck")
    assert left.history.op.tolist() == [0, 3, 7]
    assert left.minimal
    assert left.history.keys == ("x",)
    assert left.history.nodes == ("n0", "b")
    assert left.finding.claim == check(h, MS, ["convergence"])[0].findings[0].claim


def test_the_write_of_a_value_stays_with_its_read() -> None:
    """Without its write a value would come out of thin air, which the run never showed."""
    h = history("w x1 0-1; w x2 2-3; w x3 4-5; r x3 s1 10-11; r x2 s1 12-13")
    left = sliced(h, "node-regress")
    assert left.history.op.tolist() == [1, 2, 3, 4]
    assert not [f for r in check(left.history, MS) for f in r.findings if f.name == "thin-air"]


def test_a_node_that_came_late_does_not_become_one_that_never_came() -> None:
    """The fresh read stays, because without it the node would look stuck."""
    h = history("w x1 0-5; w x2 10-20; r x1 @b s1 150-151; r x1 @b s1 300-301; r x2 @b s1 400-401", settled=100)
    left = sliced(h, "slow-convergence")
    assert left.history.op.tolist() == [0, 1, 3, 4]


def test_only_the_episodes_that_matter_stay() -> None:
    """The partition that gives the read its bound stays; faults before and after it, epochs and stalls go."""
    h = history(
        "w x1 0-5; w x2 10-20; r x1 @b s1 150-151",
        episodes=(episode("kill", 0, 1, "a"), episode("partition", 100, 200, "b"), episode("pause", 400, 500, "b")),
        stalls=(stall(600, 601),),
    )
    left = sliced(replace(h, epochs=(Epoch(0, "b", 0, "one"),)), "stale-read")
    assert [each.kind for each in left.history.episodes] == ["partition"]
    assert left.finding.phase == "during partition"
    assert left.history.stalls == left.history.epochs == ()


def test_without_tries_the_slice_is_as_it_was() -> None:
    """A slice that ran out of tries still proves the finding, and says that fewer may do."""
    h = history("w x1 0-5; w x2 10-20; r x1 @b s1 150-151; r x2 @a s1 150-151")
    left = sliced(h, "stale-read", most=1)
    assert set(left.finding.witness) <= set(left.history.op.tolist())
    assert not left.minimal


@pytest.mark.parametrize("bug", BUGS)
@pytest.mark.parametrize("seed", range(2))
def test_every_finding_of_a_broken_system_is_proven_by_a_few_operations(bug: str, seed: int) -> None:
    """Whatever is found can be sliced, to ten operations at most, and no operation can be left out of the slice."""
    bound = StalenessPromise(steady="20ns")
    contract = CONTRACT.model_copy(update={"staleness": bound, "converges_within": 3})
    h = Simulation(seed, any_setup(Random(seed), operations=60, bug=bug)).run()
    for result in check(h, contract):
        checker = CHECKERS.load(result.checker)
        for finding in result.findings:
            left = slice_history(h, contract, finding, checker)
            assert left is not None
            assert left.minimal
            assert len(left.history) <= 10
            assert same_finding(finding, left.finding)


def test_a_long_history_is_sliced_with_few_checks() -> None:
    """A hundred thousand operations come down to four."""
    h = big_history(100_000)
    reads = np.flatnonzero((h.key == 0) & (h.function == 0) & (h.node == 1) & (h.seen_version > 5))
    columns = {name: column.copy() for name, column in h.columns.items()}
    columns["seen_version"][reads[-1]] -= 3
    columns["seen_op"][reads[-1]] = -1
    left = sliced(replace(h, columns=columns), "node-regress")
    assert len(left.history) == 4
    assert left.checks < 20


def test_the_same_finding_is_of_the_same_operations() -> None:
    """Another read that went back is another finding, though it has the same name."""
    one = Finding("node-regress", 1, "steady", 1, "", (), (1, 2, 3, 4), key="x", nodes=("a",))  # type: ignore[arg-type]
    assert same_finding(one, replace(one, witness=(2, 3), claim="less"))
    assert not same_finding(one, replace(one, witness=(2, 3, 5)))
    assert not same_finding(one, replace(one, phase="after kill"))
