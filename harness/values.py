"""What every value says about itself: its key, its version, and the operation that wrote it, as text: ``k17|42|1093``."""

from __future__ import annotations

from typing import NamedTuple

_DIGITS = 18
"""As many digits fit into an int64, whatever they are; no number of ours is longer."""


class Written(NamedTuple):
    """The key, version and op id that a value carries."""

    key: bytes
    version: int
    op: int


def encode_value(key: bytes, version: int, op: int) -> bytes:
    """The value that operation ``op`` writes as ``version`` of ``key``."""
    return b"%b|%d|%d" % (key, version, op)


def decode_value(value: bytes) -> Written | None:
    """What ``value`` says about itself; None for bytes that ``encode_value`` cannot have made.

    >>> decode_value(b"k17|42|1093")
    Written(key=b'k17', version=42, op=1093)
    """
    parts = value.split(b"|", 3)
    if len(parts) != 3:  # noqa: PLR2004 - key, version, op
        return None
    key, version, op = parts
    if not (key and _is_number(version) and _is_number(op)) or version == b"0":
        return None
    return Written(key, int(version), int(op))


def _is_number(text: bytes) -> bool:
    # Stricter than int(), which takes signs, blanks, underscores and leading zeros: "4_2" is a damaged value, not 42.
    return text.isdigit() and len(text) <= _DIGITS and (text[0] != 48 or len(text) == 1)  # noqa: PLR2004 - 48 is "0"
