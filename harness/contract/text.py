"""A contract as a table of a plan: what stands under ``[contract]``, to the nanosecond."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.durations import UNITS, Bound
from harness.plan import Contract, RatePromise, StalenessPromise, TimeToLive

_DURATIONS: Mapping[type, set[str]] = {
    Contract: {"converges_within"},
    StalenessPromise: {"steady", "after_heal"},
    RatePromise: {"older_than"},
    TimeToLive: {"max", "grace"},
}
"""The keys whose numbers are ns, by their record."""


def contract_text(contract: Contract) -> str:
    r"""The TOML of ``contract``, without its header; keys that promise nothing are left out.

    >>> contract_text(Contract(converges_within=1_500_000_000, lost_writes=0))
    'converges_within = "1500ms"\nlost_writes = 0\n'
    """
    return "".join(f"{key} = {value}\n" for key, value in _pairs(contract))


def _pairs(record: Any) -> Iterator[tuple[str, str]]:
    """The keys of ``record`` that do not have their default, with their values as TOML."""
    durations: set[str] = _DURATIONS.get(type(record), set())
    for key, field in type(record).model_fields.items():
        value = getattr(record, key)
        if value != field.get_default(call_default_factory=True):
            yield key, f'"{_exact(value)}"' if key in durations else _toml(value)


def _toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case Bound(extra_ns, plus_fault):
            return f'"fault + {_exact(extra_ns)}"' if plus_fault else f'"{_exact(extra_ns)}"'
        case Mapping():
            return _table((key, _toml(item)) for key, item in value.items())
        case tuple():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case int() | float():
            return str(value)
    return _table(_pairs(value))


def _table(pairs: Iterator[tuple[str, str]]) -> str:
    return "{ " + ", ".join(f"{key} = {value}" for key, value in pairs) + " }"


def _exact(duration_ns: int) -> str:
    """A duration that loses nothing, in the largest unit that has it as a whole number."""
    unit = next((unit for unit in ("s", "ms", "us") if duration_ns % UNITS[unit] == 0), "ns")
    return f"{duration_ns // UNITS[unit]}{unit}"
