"""The checkers against simulated systems whose truth is known: nothing is found in correct ones, each bug by its detector."""

from __future__ import annotations

from random import Random

import pytest

from checkers import check
from harness.history import History
from harness.plan import Contract, StalenessPromise
from harness.results import Finding
from tests.checkers.simulation import BUGS, Setup, Simulation

BOUND = StalenessPromise(steady="200ns")
"""Longer than any replica of a correct system can be behind: a broken link, a restart and the longest lag."""

CONTRACT = Contract(misses="absent-is-a-value", staleness=BOUND, converges_within="30ns", lost_writes=0)

NEVER_SHOWN = {
    "wrong-key", "thin-air", "dirty-read", "future-read", "split-brain", "node-regress", "lost-write", "stale-read", "stuck",
}  # fmt: skip

DETECTORS = {
    "blind refill": "node-regress",
    "reorder": "node-regress",
    "dup replay": "node-regress",
    "lost update": "lost-write",
    "dirty read": "dirty-read",
    "stuck replica": "stuck",
    "desync": "wrong-key",
}


def found(h: History, contract: Contract = CONTRACT) -> list[Finding]:
    return [finding for result in check(h, contract) for finding in result.findings]


def any_setup(rng: Random, **chosen: object) -> Setup:
    """A correct system of any kind."""
    setup = {
        "replicas": rng.randrange(4),
        "keys": rng.randrange(1, 5),
        "sessions": rng.randrange(1, 6),
        "operations": rng.choice([5, 20, 40]),
        "timeouts": rng.choice([0.0, 0.05, 0.3]),
        "refusals": rng.choice([0.0, 0.1, 0.3]),
        "deletes": rng.choice([0.0, 0.1, 0.4]),
        "restarts": rng.randrange(6),
        "ordered": rng.random() < 0.8,
        "guarded": rng.random() < 0.3,
    }
    return Setup(**(setup | chosen))


@pytest.mark.parametrize("seed", range(8))
def test_a_correct_fleet_is_accused_of_nothing(seed: int) -> None:
    """Lag, hops, refusals and retries, late and lost writes, restarts and ties make no finding that a correct system excludes."""
    rng = Random(seed)
    for case in range(25):
        setup = any_setup(rng)
        h = Simulation(1000 * seed + case, setup).run()
        false = [f for f in found(h) if f.name in NEVER_SHOWN or f.scope in {"same-node", "sticky"}]
        assert false == [], (setup, seed, case)


@pytest.mark.parametrize("seed", range(4))
def test_a_single_server_is_linearizable(seed: int) -> None:
    """Nothing at all is found but writes that took effect late; with evictions, too, where misses are allowed."""
    rng = Random(seed)
    for case in range(25):
        evictions = rng.choice([0.0, 0.2])
        contract = Contract(misses="allowed" if evictions else "absent-is-a-value", linearizable=True, lost_writes=0)
        h = Simulation(1000 * seed + case, any_setup(rng, replicas=0, evictions=evictions)).run()
        assert {f.name for f in found(h, contract)} <= {"late-write"}, (seed, case)


@pytest.mark.parametrize("seed", range(3))
def test_a_replica_that_restarts_with_old_data_breaks_sessions_but_goes_back_in_no_epoch(seed: int) -> None:
    """An epoch bounds what a node owes; a session is owed more."""
    rng = Random(seed)
    histories = [Simulation(case, any_setup(rng, replicas=2, restarts=6, forgetful=True)).run() for case in range(15)]
    assert not {f.name for h in histories for f in found(h)} & NEVER_SHOWN


def test_a_late_write_makes_no_read_stale() -> None:
    """Where the write of an older version was never answered, it may be the last one that took effect: no bound is broken."""
    simulated = [Simulation(seed, Setup(replicas=0, timeouts=0.3, restarts=0)).run() for seed in range(20)]
    names = {f.name for h in simulated for f in found(h)}
    assert "late-write" in names
    assert not names & {"stale-read", "stuck"}


@pytest.mark.parametrize("bug", BUGS)
def test_each_bug_is_found_by_its_detector(bug: str) -> None:
    """In a handful of short runs, every planted bug shows as the finding that names it."""
    runs = [Simulation(seed, Setup(bug=bug, restarts=3 if bug == "lost update" else 0)).run() for seed in range(6)]
    assert DETECTORS[bug] in {f.name for h in runs for f in found(h)}


def test_every_loss_that_the_end_shows_is_found() -> None:
    """Where a key ends below its newest acknowledged version, and no unanswered write explains that, lost-write says so."""
    losses = 0
    for seed in range(30):
        simulation = Simulation(seed, Setup(bug="lost update", keys=2, timeouts=0.0, deletes=0.0))
        names = {f.name for f in found(simulation.run())}
        losses += simulation.gone()
        assert "lost-write" in names or not simulation.gone(), seed
    assert losses > 5
