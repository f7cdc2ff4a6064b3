"""Lanes: delay, jitter and throttle by their definitions, on made-up times."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.runtimes.shaping import _THROTTLE_CREDIT_NS, _THROTTLE_QUANTUM_NS, PIECE_MAX, Lane, Mark, _Item

SECOND_NS = 1_000_000_000


@given(
    arrived_ns=st.integers(0, 10**12),
    chance=st.floats(-1, 1),
    delay_ns=st.integers(0, 10**10),
    jitter_ns=st.integers(0, 10**10),
)
def test_delay_stays_within_its_jitter(arrived_ns, chance, delay_ns, jitter_ns):
    """An item waits for the delay give or take the jitter, by its own chance, and never leaves before it came."""
    lane = Lane(delay_ns=delay_ns, jitter_ns=jitter_ns)
    waits_ns = lane.wait_ns(_Item(arrived_ns, chance, Mark.END), arrived_ns)
    assert max(0, delay_ns - jitter_ns) <= waits_ns <= delay_ns + jitter_ns
    assert lane.wait_ns(_Item(arrived_ns, 1.0, Mark.END), arrived_ns) == delay_ns + jitter_ns
    assert lane.wait_ns(_Item(arrived_ns, -1.0, Mark.END), arrived_ns) == max(0, delay_ns - jitter_ns)


@given(
    rate=st.integers(1, 10**9),
    start_ns=st.integers(10**9, 10**15),
    asks=st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 10**8)), min_size=1, max_size=200),
)
def test_throttle_never_exceeds_its_rate(rate, start_ns, asks):
    """In any stretch of time no more leaves than the rate allows, plus one piece (10 ms) and what 20 ms of idleness saved."""
    lane = Lane(bytes_per_second=rate)
    now_ns, granted = start_ns, []
    for size, pause_ns in asks:
        now_ns += pause_ns
        given_bytes, wait_ns = lane.grant(size, now_ns)
        assert 0 <= given_bytes <= min(size, PIECE_MAX)
        assert (given_bytes == 0) == (wait_ns > 0)
        granted.append((now_ns, given_bytes))
    for first in range(len(granted)):
        total = 0
        for until_ns, amount in granted[first:]:
            total += amount
            allowed = rate * (until_ns - granted[first][0] + _THROTTLE_CREDIT_NS + _THROTTLE_QUANTUM_NS) / SECOND_NS
            assert total <= allowed + 1 + len(asks)  # a piece is a byte at least; the time of each is rounded to whole ns


@given(rate=st.integers(1, 10**8), size=st.integers(1, 500))
def test_throttle_reaches_its_rate(rate, size):
    """Asking again exactly when told moves the bytes at the rate, though every timer fires up to a millisecond late."""
    lane = Lane(bytes_per_second=rate)
    start_ns = now_ns = SECOND_NS
    left, rounds = size, 0
    while left:
        given_bytes, wait_ns = lane.grant(left, now_ns)
        left -= given_bytes
        now_ns += wait_ns + (1_000_000 if wait_ns else 0)
        rounds += 1
        assert rounds <= 2 * size + 2
    assert now_ns - start_ns <= size * SECOND_NS / rate + 2_000_000


def test_mended_lane_grants_everything():
    """After a mend there is no limit but the size of a piece."""
    lane = Lane(cut=True, delay_ns=5, jitter_ns=5, bytes_per_second=1)
    lane.mend()
    assert not lane.cut
    assert lane.wait_ns(_Item(0, 1.0, Mark.END), 0) == 0
    assert lane.grant(10 * PIECE_MAX, 0) == (PIECE_MAX, 0)
