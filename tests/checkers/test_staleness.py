"""Staleness: planted stale reads, clean runs, and every number against the definition read one operation at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from checkers.linearizable_register import check as check_linearizable
from checkers.reads import reads
from checkers.staleness import check
from checkers.versions import versions
from harness.history import NEVER, History
from harness.plan import Contract, RatePromise, StalenessPromise
from harness.results import Curve, Measure, Severity
from tests.checkers.big import big_history
from tests.checkers.histories import MS, episode, history, stall
from tests.checkers.strategies import CONTRACTS, Reading, histories

STALE = "w x1 @a 0-5; w x2 @a 10-20; r x1 @b s1 40-47; r x2 @a s2 50-51"


def within(steady: str, **more: object) -> Contract:
    """A contract with a bound on staleness."""
    return Contract(staleness=StalenessPromise(steady=steady, **more))


def measure(h: History, contract: Contract, name: str, phase: str = "", scope: str = "") -> Measure:
    """The one measure of that name, phase and scope."""
    (found,) = [m for m in check(h, contract).measures if (m.name, m.phase, m.scope) == (name, phase, scope)]
    return found


def curve(h: History, contract: Contract, name: str, scope: str = "") -> Curve:
    """The one curve of that name and scope."""
    (found,) = [c for c in check(h, contract).curves if (c.name, c.scope) == (name, scope)]
    return found


def test_a_read_beyond_the_bound() -> None:
    """A read that was superseded 20 ms before its call breaks a bound of 10 ms, with the four operations that show it."""
    (finding,) = check(history(STALE), within("10ms")).findings
    assert (finding.name, finding.severity, finding.phase, finding.count) == ("stale-read", Severity.BOUND, "steady", 1)
    assert (finding.witness, finding.key, finding.nodes) == ((0, 1, 2, 3), "x", ("b",))
    assert finding.claim == "b answered version 1 of x 20ms after version 2 had been acknowledged; the contract allows 10ms."


def test_a_read_in_steady_times_tells_of_the_fault_that_widened_its_bound() -> None:
    """A read after the grace period whose value was superseded during a fault is held to that fault's bound, and says why."""
    h = history("w x1 @a 0-5; w x2 @a 10-20; r x1 @b s1 95-97; r x2 @a s2 98-99", episodes=[episode("pause", 15, 30, "b")])
    contract = within("10ms", during={"pause": "50ms"})
    (finding,) = check(h, contract).findings
    assert finding.phase == "steady"
    assert finding.claim.endswith("acknowledged; the contract allows 50ms, as part of that time counts as during pause.")
    apart = history("w x1 @a 0-5; w x2 @a 10-20; r x1 @b s1 95-97; r x2 @a s2 98-99", episodes=[episode("pause", 1, 5, "b")])
    (finding,) = check(apart, contract).findings
    assert finding.claim.endswith("the contract allows 10ms.")


@pytest.mark.parametrize(
    "contract", [within("20ms"), within("1s", versions=1), Contract()], ids=["20 ms", "1 version", "nothing"]
)
def test_a_read_within_the_bound(contract: Contract) -> None:
    """A read that is no older than the bound says is no finding, nor is any without a promise."""
    assert check(history(STALE), contract).findings == ()


def test_too_many_versions_behind() -> None:
    """Two newer versions were acknowledged before the call: a bound of one version is broken, although 1 s is not."""
    h = history("w x1 0-1; w x2 2-3; w x3 4-5; r x1 s1 6-7")
    (finding,) = check(h, within("1s", versions=1)).findings
    assert finding.name == "stale-versions"
    assert "it was 2 versions behind, the contract allows 1" in finding.claim


def test_an_unanswered_write_supersedes_once_it_was_seen() -> None:
    """A write without answer makes no read stale before somebody has found it."""
    assert check(history("w x1 0-; r x0 s1 50-51"), within("0ms")).findings == ()
    (finding,) = check(history("w x1 0-; r x1 s1 10-12; r x0 s2 50-51"), within("0ms")).findings
    assert "38ms after version 1 had been seen" in finding.claim


def test_the_bound_is_that_of_the_phase() -> None:
    """A stale spell that touches a partition is held to the partition's bound; the same spell later is not."""
    contract = within("10ms", during={"partition": "30ms"}, after_heal="5ms")
    assert check(history(STALE, episodes=[episode("partition", 22, 24, "b")]), contract).findings == ()
    assert check(history(STALE, episodes=[episode("partition", 8, 16, "b")]), contract).findings == ()
    (finding,) = check(history(STALE, episodes=[episode("partition", 41, 60, "b")]), contract).findings
    assert finding.phase == "steady"


def test_time_in_which_the_harness_stood_still_is_taken_off() -> None:
    """A read that is old only because the harness stalled breaks no bound."""
    assert check(history(STALE, stalls=[stall(25, 37)]), within("10ms")).findings == ()
    assert check(history(STALE, stalls=[stall(25, 27)]), within("10ms")).findings


def test_misses_are_stale_only_where_the_contract_says_so() -> None:
    """Absent after an acknowledged create, with no delete in between, is as stale as the initial value."""
    h = history("w x1 0-5; r x- s1 40-47")
    assert check(h, within("10ms")).findings == ()
    (finding,) = check(h, Contract(misses="absent-is-a-value", staleness=StalenessPromise(steady="10ms"))).findings
    assert "answered nothing of x 35ms after version 1" in finding.claim


def test_the_greatest_certain_age_is_not_delta() -> None:
    """With overlapping writes a history can be 10 ms from linearizable although no read is certainly stale."""
    h = history("w x1 s0 0-1; w x2 s1 2-100; r x2 s2 20-30; r x1 s3 40-50")
    assert reads(h, Contract()).lo_ns.tolist() == [0, 0]
    (delta,) = [m for m in check_linearizable(h, Contract()).measures if m.name == "delta-atomicity"]
    assert delta.value == 10 * MS


def test_a_clean_fleet_is_silent_and_a_lagging_one_is_measured() -> None:
    """Reads at the primary are never stale; with 2 ms of lag at the replicas no read is older than that, and many are stale."""
    h = big_history(20_000, keys=20)
    contract = within("2ms", versions=50)
    assert check(h, contract).findings == ()
    assert measure(h, contract, "stale-share", "", "primary").value == 0
    assert 0 < (measure(h, contract, "staleness-lo-max", "steady").value or 0) <= 2 * MS
    assert {f.name for f in check(h, within("1ms")).findings} == {"stale-read"}
    assert check(h.select(h.node == 0), within("0ms")).findings == ()


@settings(max_examples=300, deadline=None)
@given(histories(), CONTRACTS)
def test_reads_agree_with_the_definition(h: History, contract: Contract) -> None:
    """lo, hi, k and the newest superseding version of every read are those of a quadratic reading of the definition."""
    reading, table = Reading(h, contract), reads(h, contract)
    expected = {}
    for r in reading.reads:
        version, shown = reading.newest(r), reading.meant(r)
        if version is None or shown is None:
            continue
        newer = {w.sent for w in reading.writes if w.key == r.key and w.sent > version}
        sups = [reading.sup(r.key, v) for v in newer]
        calls = [w.call for w in reading.writes if w.key == r.key and w.sent > shown]
        lo = max(0, r.call - min(sups, default=NEVER))
        known = {w.sent for w in reading.writes if w.key == r.key and reading.sup(r.key, w.sent) < r.call}
        expected[r.row] = (lo, max(0, r.ret - min(calls, default=NEVER)), sum(s < r.call for s in sups), max(known, default=0))
    version_of = h.derive(versions).version
    found = zip(table.row, table.lo_ns, table.hi_ns, table.lag, version_of[table.newest], strict=True)
    assert {int(row): (int(lo), int(hi), int(lag), int(newest)) for row, lo, hi, lag, newest in found} == expected


@settings(max_examples=200, deadline=None)
@given(histories(), CONTRACTS)
def test_findings_are_the_reads_beyond_the_bound(h: History, contract: Contract) -> None:
    """The number of stale reads is that of the reads with lo beyond the bound, and each witness is stale by itself."""
    contract = contract.model_copy(update={"staleness": StalenessPromise(steady="3ns", versions=1)})
    table = reads(h, contract)
    found = {f.name: f for f in check(h, contract).findings}
    counts = {"stale-read": int((table.lo_ns > 3).sum()), "stale-versions": int((table.lag > 1).sum())}
    assert {name: f.count for name, f in found.items()} == {name: n for name, n in counts.items() if n}
    if "stale-read" in found:
        alone = h.select(np.isin(h.op, found["stale-read"].witness))
        assert "stale-read" in {f.name for f in check(alone, contract).findings}


def test_quantiles_of_all_reads_with_their_zeros() -> None:
    """Of ten reads with one stale by 20 ms, the median is 0 and p99 is 20 ms."""
    fresh = "; ".join(f"r x2 @a s2 {50 + 2 * i}-{51 + 2 * i}" for i in range(9))
    h = history("w x1 @a 0-5; w x2 @a 10-20; r x1 @b s1 40-47", fresh)
    contract = Contract()
    values = {m.name: m.value for m in check(h, contract).measures if m.phase == "steady"}
    assert (values["stale-share"], values["staleness-lo-p50"], values["staleness-lo-p90"]) == (0.1, 0, 0)
    assert values["staleness-lo-p99"] == values["staleness-lo-max"] == 20 * MS
    assert values["staleness-hi-max"] == 37 * MS
    tail = curve(h, contract, "staleness-lo")
    assert (tail.x, tail.y, tail.n) == ((0, 20 * MS), (0.1, 0.0), (10, 10))


def test_visibility_rises_with_the_age_of_the_write() -> None:
    """Reads soon after an acknowledgement miss it, later ones find it: the curve says how many, monotonously."""
    lines = ["w x1 @a 0-10"]
    lines += [f"r x{int(age > 50)} @b s1 {10 + age}-{10 + age + 0.5}" for age in (2, 20, 40, 60, 80, 200, 900)]
    seen = curve(history(*lines), Contract(), "t-visibility", "b")
    assert list(seen.y) == sorted(seen.y)
    assert (seen.y[0], seen.y[-1], sum(seen.n)) == (0.0, 1.0, 7)


def test_rates_per_write_and_per_episode() -> None:
    """One of two pairs, and one of two partitions, saw a read older than 10 ms."""
    h = history(
        "w x1 @a 0-5; r x1 @b s1 20-21; w x2 @a 30-35; r x1 @b s1 50-51; r x2 @b s1 60-61",
        episodes=[episode("cut", 48, 55, "b"), episode("cut", 58, 70, "b")],
    )
    writes = RatePromise(phase="", older_than="10ms", at_most=0.5)
    episodes = RatePromise(phase="during cut", older_than="10ms", at_most=0.5, per="episode")
    contract = Contract(rates=(writes, episodes))
    by_write = measure(h, contract, "stale-rate", "", "10ms")
    assert (by_write.value, by_write.n, by_write.per) == (0.5, 2, "write-node")
    by_episode = measure(h, contract, "stale-rate", "during cut", "10ms")
    assert (by_episode.value, by_episode.n, by_episode.per) == (0.5, 2, "episode")
    assert by_episode.low == pytest.approx(0.0253, abs=1e-4)
    assert by_episode.high == pytest.approx(0.9747, abs=1e-4)
