"""Durations and bounds as people write them: ``250ms``, ``1.5s``, ``fault + 500ms``; integer nanoseconds inside."""

from __future__ import annotations

import re
from dataclasses import dataclass

UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "min": 60_000_000_000, "h": 3_600_000_000_000}

_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*")
_MAX_NS = 7 * 24 * UNITS["h"]


def parse_duration(text: object) -> int:
    """Nanoseconds in ``text``; raises ``ValueError`` with advice for anything else.

    >>> parse_duration("1.5s")
    1500000000
    """
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        message = f'the duration {text} has no unit; write it as text, for example "{text}s" or "{text}ms"'
        raise ValueError(message)  # noqa: TRY004 - pydantic places only ValueErrors in the plan
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f'{text!r} is no duration; write a number and a unit, for example "250ms" or "2s"')
    number, unit = match.groups()
    if unit not in UNITS:
        raise ValueError(f'unknown unit "{unit}" in {text!r}; use one of {", ".join(UNITS)}')
    duration_ns = round(float(number) * UNITS[unit])
    if duration_ns > _MAX_NS:
        raise ValueError(f"{text!r} is longer than a week")
    return duration_ns


def format_duration(duration_ns: float) -> str:
    """``duration_ns`` in the largest fitting unit, three significant digits.

    >>> format_duration(1_234_567)
    '1.23ms'
    """
    if duration_ns == 0:
        return "0ms"
    for unit, least in (("min", 2), ("s", 1), ("ms", 1), ("us", 1)):
        number = duration_ns / UNITS[unit]
        if abs(number) >= least:
            return f"{number:.3g}{unit}" if abs(number) < 999.5 else f"{number:.0f}{unit}"  # noqa: PLR2004 - where .3g turns to 1e+03
    return f"{duration_ns:.0f}ns"


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound on staleness while a fault is on: a fixed time, or the fault's own length plus one."""

    extra_ns: int
    plus_fault: bool = False

    def of(self, fault_ns: int) -> int:
        """The bound in ns for a fault that lasted ``fault_ns``."""
        return self.extra_ns + (fault_ns if self.plus_fault else 0)

    def __str__(self) -> str:
        return f"fault + {format_duration(self.extra_ns)}" if self.plus_fault else format_duration(self.extra_ns)


def parse_bound(text: object) -> Bound:
    """A ``Bound`` from ``"500ms"``, ``"fault"`` or ``"fault + 500ms"``; raises ``ValueError``."""
    if isinstance(text, str):
        head, plus, tail = text.partition("+")
        if head.strip() == "fault":
            return Bound(parse_duration(tail) if plus else 0, plus_fault=True)
        if plus and tail.strip() == "fault":
            return Bound(parse_duration(head), plus_fault=True)
    try:
        return Bound(parse_duration(text))
    except ValueError as error:
        raise ValueError(f'{error}, or "fault + 500ms" for the length of the fault and half a second') from None
