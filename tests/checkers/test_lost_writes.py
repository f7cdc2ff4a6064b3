"""Acknowledged writes that are gone for good."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

from checkers.lost_writes import check
from harness.history import Epoch, History
from harness.plan import Contract
from tests.checkers.big import big_history
from tests.checkers.histories import MS, episode, history
from tests.checkers.strategies import CONTRACTS, Op, Reading, histories

LOSS = Contract(misses="loss")
KILL = [episode("kill", 10, 12, "p")]
WRITES = "w x1 @p 0-1; w x2 @p 2-3; r x2 @q 4-5;"


def lost(h: History, contract: Contract = LOSS) -> int:
    return sum(f.count for f in check(h, contract).findings)


def test_a_restart_without_data_loses_what_was_acknowledged() -> None:
    """Two acknowledged versions, and nothing left of them anywhere once all has settled."""
    h = history(WRITES + "r x- @p e1 30-31; r x- @q 30-31; r x- @p e1 40-41; r x- @q 42-43", settled=30, episodes=KILL)
    result = check(h, LOSS)
    (finding,) = result.findings
    assert (finding.name, finding.count, finding.phase, finding.key) == ("lost-write", 2, "during kill", "x")
    assert finding.witness == (1, 2, 5, 6)
    assert (
        finding.claim
        == "Version 2 of x was acknowledged by p, but 37ms later p answered nothing, and no node has shown it since."
    )
    (measure,) = result.measures
    assert (measure.name, measure.value, measure.n, measure.censored) == ("lost-writes", 2, 2, 0)


def test_a_loss_that_the_source_does_not_share_says_so() -> None:
    """Where the audit has every acknowledged write, it is the caches that lost one; of a delete the audit knows nothing."""
    h = history(WRITES + "r x- @p e1 40-41; r x- @q 42-43", settled=30, episodes=KILL)
    (finding,) = check(replace(h, audited=True), LOSS).findings
    assert finding.claim.endswith("and no cache has shown it since; the source of truth has it, as its audit shows.")
    h = history("w x1 @p 0-1; d x2 @p 2-3; r x1 @p e1 40-41; r x1 @q 42-43", settled=30, episodes=KILL)
    (finding,) = check(replace(h, audited=True), LOSS).findings
    assert finding.claim.endswith("and no node has shown it since.")


def test_a_rollback_loses_what_is_newer_than_what_is_left() -> None:
    """With version 1 left everywhere only version 2 is lost."""
    assert lost(history(WRITES + "r x1 @p 40-41; r x1 @q 42-43", settled=30)) == 1


def test_a_rollback_that_is_then_overwritten_shows_at_the_node_that_acknowledged() -> None:
    """The restarted node answers nothing before the next write is called, and nobody finds the old version again."""
    text = WRITES + "r x- @p e1 20-21; w x3 @p e1 30-31; r x3 @p e1 50-51; r x3 @q 50-51"
    (finding,) = check(history(text, settled=50, episodes=KILL), LOSS).findings
    assert (finding.count, finding.phase, finding.witness) == (2, "during kill", (1, 2, 3))


TAKEN_OVER = "w x1 @p 0-1; w x2 @p 2-3; w x3 @p 4-5; r x1 @q e1 20-21; w x4 @q e1 30-31; r x4 @q e1 40-41"


def test_who_takes_over_without_the_last_writes_has_lost_them() -> None:
    """A routed client finds version 1 at the node that acknowledges the key from then on: versions 2 and 3 are gone."""
    h = replace(history(TAKEN_OVER), routed=True)
    (finding,) = check(h, LOSS).findings
    assert finding.count == 2
    assert {2, 3} < set(finding.witness)  # the lost write, and the read that misses it


@pytest.mark.parametrize(
    "text",
    [
        TAKEN_OVER.replace("w x4 @q e1", "w x4 @q e2"),  # it may have been a replica when it was read
        TAKEN_OVER.replace("r x1 @q e1 20-21", "r x1 @q e1 20-31"),  # the newer write was called before the read returned
        TAKEN_OVER.replace("r x4 @q", "r x3 @q"),  # found again
    ],
)
def test_a_take_over_that_may_have_had_the_last_writes_has_lost_none(text: str) -> None:
    """Only an answer of the epoch that acknowledges shows what is left."""
    assert lost(replace(history(text), routed=True)) == 0


def test_a_key_that_nobody_writes_again_is_lost_all_the_same() -> None:
    """The node that has taken over acknowledges another key in the epoch in which it answers."""
    h = replace(history(TAKEN_OVER.replace("w x4 @q e1", "w y1 @q e1").replace("r x4 @q", "r x1 @q")), routed=True)
    assert lost(h) == 2


def test_without_routing_another_nodes_old_answer_is_staleness() -> None:
    """Where every node takes writes, one that lags is not the one that counts."""
    assert lost(history(TAKEN_OVER)) == 0


@pytest.mark.parametrize(
    "after",
    [
        "r x- @p 40-41; r x2 @q 42-43",  # a replica still has it
        "r x- @q 40-41; r x1 @q 42-43",  # the node that acknowledged was not asked
        "w x3 @p 20-21; r x3 @p 40-41; r x3 @q 40-41",  # superseded
        "d x3 @p 20-; r x~ @p 40-41; r x~ @q 40-41",  # a delete may have taken effect
        "r x- @p e1 10-11; r x2 @q 12-13; w x3 @p e1 20-21; r x3 @p e1 40-41",  # found again after the node had answered nothing
        "r x- @p e1 10-21; w x3 @p e1 20-21; r x3 @p e1 40-41",  # the next write was called before the read returned
        "r x- @p e0 10-11; w x3 @p e0 20-21; r x3 @p e0 40-41",  # no change of epoch: stale, not lost
    ],
)
def test_no_loss_is_claimed_without_proof(after: str) -> None:
    """A version that is elsewhere, superseded, deleted, found again or not looked for is not lost."""
    assert lost(history(WRITES + after, settled=39)) == 0


def test_an_unwatched_end_proves_nothing_and_says_so() -> None:
    """Without a settle phase nothing is judged, and the measure has no value."""
    (measure,) = check(history(WRITES + "r x- @p 30-31; r x- @q 30-31"), LOSS).measures
    assert (measure.value, measure.n, measure.censored) == (None, 0, 2)


def test_eviction_is_no_loss_where_misses_are_allowed() -> None:
    """A missing value counts only where the contract says that it does."""
    h = history(WRITES + "r x- @p 40-41; r x- @q 40-41", settled=30)
    assert lost(h, Contract()) == 0
    assert lost(h, LOSS) == 2


def test_what_an_unanswered_write_overwrote_late_is_not_lost() -> None:
    """The old version left at the end belongs to a write without answer: a late-write, not a loss."""
    assert lost(history("w x1 @p 0-; w x2 @p 2-3; r x1 @p 40-41", settled=30)) == 0


def test_a_loss_is_put_down_to_the_fault_that_changed_the_node() -> None:
    """The fault that was on when the acknowledging node got a new epoch is blamed, not an earlier one."""
    episodes = [episode("partition", 6, 8, "p", "q"), *KILL]
    h = history(WRITES + "r x- @p e1 40-41; r x- @q 42-43", settled=30, episodes=episodes)
    (finding,) = check(h, LOSS).findings
    assert finding.phase == "during partition"
    changed = History(
        columns=h.columns,
        keys=h.keys,
        nodes=h.nodes,
        ordered=h.ordered,
        episodes=h.episodes,
        epochs=(Epoch(0, "p", 0, "first"), Epoch(1, "p", 12 * MS, "second")),
        end_ns=h.end_ns,
        settled_ns=h.settled_ns,
    )
    (finding,) = check(changed, LOSS).findings
    assert finding.phase == "during kill"


def test_five_hundred_of_five_hundred() -> None:
    """A fail-over that forgets everything loses every acknowledged write, counted one by one."""
    writes = [f"w {key}{version} @p {10 * version}-{10 * version + 1}" for key in "abcde" for version in range(1, 101)]
    reads = [f"r {key}- @{node} 2000-2001" for key in "abcde" for node in "pq"]
    result = check(history(*writes, *reads, settled=1500), LOSS)
    assert [f.count for f in result.findings] == [500]
    assert (result.measures[0].value, result.measures[0].n) == (500, 500)


def test_a_correct_history_is_clean() -> None:
    """A large history of a correct fleet loses nothing, even where misses count."""
    h = big_history(30_000, keys=30)
    settled = History(columns=h.columns, keys=h.keys, nodes=h.nodes, ordered=h.ordered, end_ns=h.end_ns, settled_ns=h.end_ns // 2)
    assert lost(settled) == 0


@settings(max_examples=500, deadline=None)
@given(histories(settle=True), CONTRACTS)
def test_losses_are_what_the_definition_says(h: History, contract: Contract) -> None:
    """The number of lost versions equals that of a plain reading of the two proofs."""
    reading = Reading(h, contract)
    assert lost(h, contract) == len(gone(reading) | rolled_back(reading))


@settings(max_examples=400, deadline=None)
@given(histories(settle=True, keys="x", versions=3), CONTRACTS)
def test_losses_of_one_busy_key_are_what_the_definition_says(h: History, contract: Contract) -> None:
    """The same with one key, where proofs meet more often."""
    reading = Reading(h, contract)
    assert lost(h, contract) == len(gone(reading) | rolled_back(reading))


@settings(max_examples=400, deadline=None)
@given(histories(settle=True, keys="xy", versions=3), CONTRACTS)
def test_losses_of_routed_clients_are_what_the_definition_says(h: History, contract: Contract) -> None:
    """The same where the source of a key may move."""
    reading = Reading(replace(h, routed=True), contract)
    assert lost(reading.h, contract) == len(gone(reading) | rolled_back(reading))


def acked(reading: Reading, key: int) -> dict[int, Op]:
    """The acknowledged versions of a key, each with the write that was acknowledged first."""
    first: dict[int, Op] = {}
    for w in sorted((w for w in reading.writes if w.acked and w.key == key), key=lambda w: (w.ret, w.row)):
        first.setdefault(w.sent, w)
    return first


def gone(reading: Reading) -> set[tuple[int, int]]:
    """What the last reads of the settle phase prove lost."""
    settled = reading.h.settled_ns
    lost: set[tuple[int, int]] = set()
    for key in range(len(reading.h.keys)):
        end = max((w.ret for w in acked(reading, key).values()), default=-1)
        last = {r.node: r for r in reading.reads if r.key == key and settled is not None and r.call >= settled and r.call > end}
        last = {node: r for node, r in last.items() if reading.meant(r) is not None}
        if not last or any(reading.newest(r) != reading.meant(r) for r in last.values()):
            continue
        left = max(reading.meant(r) or 0 for r in last.values())
        missing = {version: w for version, w in acked(reading, key).items() if version > left}
        if all(w.node in last for w in missing.values()):
            lost |= {(key, version) for version in missing}
    return lost


def rolled_back(reading: Reading) -> set[tuple[int, int]]:
    """What the key's source proves lost, in another epoch; one read for each newest version."""
    lost: set[tuple[int, int]] = set()
    shown: set[tuple[int, int]] = set()
    in_office = {(w.node, w.epoch) for key in range(len(reading.h.keys)) for w in acked(reading, key).values()}
    for r in reading.reads:
        meant, versions = reading.newest(r), acked(reading, r.key)
        called = {w.sent for w in reading.writes if w.key == r.key and w.call <= r.ret}
        alone = {w.node for w in versions.values()} == {r.node}
        takes = reading.h.routed and (r.node, r.epoch) in in_office
        if meant is None or r.epoch < 0 or not called or not (alone or takes):
            continue

        def again(version: int, r: Op = r) -> bool:
            return any(s.key == r.key and reading.found(s) == version and s.call > r.ret for s in reading.reads)

        newest = max(called)
        w = versions.get(newest)
        if (
            w is None
            or newest <= meant
            or w.ret >= r.call
            or again(newest)
            or w.epoch < 0
            or (w.node, w.epoch) == (r.node, r.epoch)
        ):
            continue
        if (r.key, newest) in shown:
            continue
        shown.add((r.key, newest))
        lost |= {(r.key, version) for version in versions if meant < version <= newest and not again(version)}
    return lost
