"""What a path does with packets, without a network."""

from __future__ import annotations

import pytest

from harness.runtimes.kernel.queueing.fates import Path, Treatment

MS = 1_000_000


def fates(treatment, packets=1000, every_ns=MS, size=100, name="a"):
    path = Path(name, treatment)
    return [path.fate(number * every_ns, size) for number in range(packets)]


def test_an_untouched_packet_goes_on_at_once():
    """A path that does nothing holds nothing."""
    assert fates(Treatment(), packets=3) == [(0,), (MS,), (2 * MS,)]


def test_a_delay_is_exact():
    """Each packet goes on exactly as much later as was asked for."""
    assert fates(Treatment(delay_ns=5 * MS), packets=3) == [(5 * MS,), (6 * MS,), (7 * MS,)]


def test_jitter_keeps_bounds_and_order():
    """Times scatter around the delay over most of the range, and never run backwards."""
    path = Path("a", Treatment(delay_ns=20 * MS, jitter_ns=10 * MS))
    waits = []
    last_ns = 0
    for number in range(500):
        now_ns = number * 50 * MS  # far enough apart for order to be no matter
        (due_ns,) = path.fate(now_ns, 100)
        waits.append(due_ns - now_ns)
    assert 10 * MS <= min(waits) < 12 * MS
    assert 28 * MS < max(waits) <= 30 * MS
    for (due_ns,) in fates(Treatment(delay_ns=20 * MS, jitter_ns=10 * MS)):
        assert due_ns >= last_ns
        last_ns = due_ns


def test_more_jitter_than_delay_never_goes_back_in_time():
    """A packet does not go on before it came."""
    assert all(due_ns >= number * MS for number, (due_ns,) in enumerate(fates(Treatment(jitter_ns=10 * MS))))


def test_every_nth_is_lost():
    """Of ten packets every third is lost: the third, the sixth, the ninth."""
    assert [number for number, fate in enumerate(fates(Treatment(drop_every=3), packets=10), 1) if not fate] == [3, 6, 9]


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_shares_are_kept(share):
    """Losses and doubles come at the share that was asked for, and independently of each other."""
    times = [len(fate) for fate in fates(Treatment(drop=share, duplicate=0.3), packets=20_000)]
    assert times.count(0) / 20_000 == pytest.approx(share, abs=0.02)
    assert times.count(2) / 20_000 == pytest.approx((1 - share) * 0.3, abs=0.02)


def test_all_is_lost_where_all_is_to_be_lost():
    """A path that loses everything lets nothing through."""
    assert not any(fates(Treatment(lose=1)))


def test_the_same_seed_gives_the_same_fates_and_other_paths_others():
    """Choices come again with seed and path, and differ from path to path."""
    treatment = Treatment(drop=0.5, seed=3)
    assert fates(treatment) == fates(treatment)
    assert fates(treatment) != fates(treatment._replace(seed=4))
    assert fates(treatment) != fates(treatment, name="b")


def test_a_packet_that_is_overtaken_does_not_hold_up_those_behind_it():
    """Only the chosen packets are late, by exactly what was asked for."""
    waits = [due_ns - number * MS for number, (due_ns,) in enumerate(fates(Treatment(reorder=0.1, reorder_by_ns=30 * MS)))]
    assert set(waits) == {0, 30 * MS}
    assert 60 < waits.count(30 * MS) < 140


def test_a_rate_spaces_packets_and_gives_up_when_too_much_waits():
    """At 100 kB/s a packet of 1000 bytes takes 10 ms; a burst waits for as much as the queue holds, and then is lost."""
    treatment = Treatment(bytes_per_second=100_000)
    assert fates(treatment, packets=3, every_ns=0, size=1000) == [(10 * MS,), (20 * MS,), (30 * MS,)]
    burst = fates(treatment, packets=1000, every_ns=0, size=1000)
    through = [fate for fate in burst if fate]
    assert through == burst[: len(through)]
    assert 40 < len(through) < 60
    steady = fates(treatment, packets=1000, every_ns=10 * MS, size=1000)
    assert all(due_ns == (number + 1) * 10 * MS for number, (due_ns,) in enumerate(steady))


def test_a_treatment_survives_the_way_into_the_container():
    """What is written as words is read as the same numbers."""
    treatment = Treatment(0, 5, 6, 7, 0.1, 9, 1e-7, 0.3, 12, 2**63)
    assert Treatment.parse(str(treatment).split()) == treatment
