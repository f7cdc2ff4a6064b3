"""The text of a value: what was written comes back, and nothing else passes for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.values import decode_value, encode_value

KEYS = st.binary(min_size=1, max_size=20).filter(lambda key: b"|" not in key)
NUMBERS = st.integers(min_value=0, max_value=10**18 - 1)


@given(KEYS, NUMBERS.filter(bool), NUMBERS)
def test_a_value_says_what_was_written(key: bytes, version: int, op: int) -> None:
    """Key, version and op id come back from the value."""
    assert decode_value(encode_value(key, version, op)) == (key, version, op)


@given(st.binary(max_size=30))
def test_bytes_that_decode_are_exactly_what_encode_makes(value: bytes) -> None:
    """No two texts mean the same value, so a damaged one is never taken for a good one."""
    written = decode_value(value)
    assert written is None or encode_value(*written) == value


ARABIC_ONE = "\u0661".encode()
DAMAGED = (
    *(b"", b"k", b"k|1", b"|1|2", b"k|1|2|3", b"k|0|2", b"k|01|2", b"k|+1|2", b"k|1_0|2", b"k| 1|2", b"k|1|", b"k||2", b"k|1|-2"),
    *(b"k|%b|1" % (b"9" * 19), b"k|1|%b" % (b"9" * 40), b"k|%b|2" % ARABIC_ONE),
)


@pytest.mark.parametrize("value", DAMAGED)
def test_damaged_values_are_garbage(value: bytes) -> None:
    """Whatever int() would let through is still garbage."""
    assert decode_value(value) is None
