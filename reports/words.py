"""How a report writes numbers, times and outcomes, and how it makes hostile text harmless."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.durations import format_duration

ALL_BY_PROXY, SOME_BY_PROXY = (
    f"{which} were made by a user-space proxy. A proxy's cut is not a kernel's partition: there is no retransmission back-off, "
    "and connections and buffers on either side of the proxy keep answering."
    for which in ("Network faults of this run", "Some network faults of this run, those between clients and nodes,")
)


@dataclass(frozen=True, slots=True)
class Sign:
    """An outcome that can be told apart without colour: its word, its shape in plain text, its name in the style sheet."""

    word: str
    mark: str
    style: str


SIGNS = {
    "pass": Sign("pass", "✔", "pass"),
    "violated": Sign("violated", "✖", "violated"),
    "inconclusive": Sign("inconclusive", "?", "inconclusive"),
    "waived": Sign("waived", "~", "waived"),
    "error": Sign("error", "!", "error"),
}

_CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f"
_DIRECTIONS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_NO_CHARACTERS = "\ud800-\udfff\ufffe\uffff"
_HIDDEN = re.compile(f"[{_CONTROLS}{_DIRECTIONS}{_NO_CHARACTERS}]")
_LINK = re.compile(r"(?<=\w)->(?=\w)")
_PICTURES = {chr(code): chr(0x2400 + code) for code in range(0x20)} | {"\x7f": "\u2421"}


def _visible(match: re.Match[str]) -> str:
    return _PICTURES.get(match[0], f"\\u{ord(match[0]):04x}")


def printable(text: object) -> str:
    r"""``text`` with its control characters, lone surrogates and direction overrides made visible; newlines and tabs stay.

    >>> printable("key\x1b[2J")
    'key␛[2J'
    """
    return _HIDDEN.sub(_visible, str(text))


def one_line(text: object) -> str:
    """``text`` made harmless and put on one line."""
    return " ".join(printable(text).split())


def clip(text: str, length: int) -> str:
    """``text``, cut to ``length`` characters and marked where it was cut."""
    return text if len(text) <= length else text[: length - 1] + "…"


def sentence(text: str) -> str:
    """``text`` with a great first letter."""
    return text[:1].upper() + text[1:]


def linked(text: str) -> str:
    """``text`` with its links drawn as arrows.

    >>> linked("no mark crossed a->b"), linked("PRIMARY <-> REPLICA sync")
    ('no mark crossed a → b', 'PRIMARY <-> REPLICA sync')
    """
    return _LINK.sub(" → ", text)


def shorten(name: str, length: int) -> str:
    """``name`` with its middle left out, so that at most ``length`` characters stay.

    >>> shorten("tenant-0042/profile/7", 11)
    'tenan…ile/7'
    """
    kept = length - 1
    return name if len(name) <= length else f"{name[: kept // 2]}…{name[len(name) - (kept - kept // 2) :]}"


def instant(time_ns: float) -> str:
    """A time of the run, in seconds to the microsecond.

    >>> instant(12_003_412_000)
    '12.003412s'
    """
    return f"{time_ns / 1e9:.6f}s"


def moment(time_ns: float) -> str:
    """A time of the run, in seconds to the millisecond.

    >>> moment(12_003_412_000)
    '12.003s'
    """
    return f"{time_ns / 1e9:.3f}s"


def count(number: float) -> str:
    """A whole number in groups of three.

    >>> count(1234567)
    '1,234,567'
    """
    return f"{number:,.0f}"


def plural(number: int, noun: str) -> str:
    """A number with its noun.

    >>> plural(1, "read"), plural(2, "history")
    ('1 read', '2 histories')
    """
    if number == 1:
        return f"1 {noun}"
    many = f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in "aeiou" else f"{noun}s"
    return f"{count(number)} {many}"


def quantity(value: float | None, unit: str) -> str:
    """A measure's value with its unit, in the form that is easiest to read.

    >>> quantity(0.99951, "ratio"), quantity(2.5e6, "ns"), quantity(3, "versions"), quantity(None, "ns")
    ('99.951%', '2.5ms', '3 versions', 'unknown')
    """
    if value is None or value != value:  # noqa: PLR0124  # NaN is the one number that differs from itself
        return "unknown"
    if value in (float("inf"), float("-inf")):
        return "∞" if value > 0 else "-∞"
    if unit == "ns":
        return format_duration(value)
    if unit == "ratio":
        return _share(value)
    number = count(value) if float(value).is_integer() or abs(value) >= 1000 else f"{value:.4g}"  # noqa: PLR2004  # four digits
    return number if unit in ("count", "") else f"{number} {unit}"


def _share(value: float) -> str:
    """A share in percent: more digits near the whole, where they are nines; powers of ten where it is very small."""
    if 0 < value < 1e-4:  # noqa: PLR2004  # 0.01 %
        return f"{value:.2e}"
    return f"{value * 100:.5g}%" if value > 0.9 else f"{value * 100:.3g}%"  # noqa: PLR2004  # one nine


def interval(low: float | None, high: float | None, unit: str) -> str:
    """A confidence or certainty interval; empty where there is none."""
    if low is None and high is None:
        return ""
    if low is None:
        return f"at most {quantity(high, unit)}"
    return f"at least {quantity(low, unit)}" if high is None else f"{quantity(low, unit)} to {quantity(high, unit)}"
