"""A contract as a plan has it: the table ``[contract]``, to the nanosecond."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from harness.durations import UNITS, Bound
from harness.plan import Contract, RatePromise, StalenessPromise, TimeToLive

_DURATIONS: Mapping[type, frozenset[str]] = {
    Contract: frozenset({"converges_within"}),
    StalenessPromise: frozenset({"steady", "after_heal"}),
    RatePromise: frozenset({"older_than"}),
    TimeToLive: frozenset({"max", "grace"}),
}
"""The keys whose numbers are ns, by their record."""


def contract_text(contract: Contract) -> str:
    """The TOML of ``contract``: its table and those within it. What has its default is left out.

    >>> promised = {"converges_within": "1.5s", "sessions": {"monotonic_reads": "same-node"}}
    >>> print(contract_text(Contract.model_validate(promised)))
    [contract]
    converges_within = "1500ms"
    <BLANKLINE>
    [contract.sessions]
    monotonic_reads = "same-node"
    """
    return "\n\n".join(_tables("contract", contract))


def _tables(path: str, table: BaseModel | Mapping[str, Any]) -> Iterator[str]:
    """The table at ``path``, then those within it."""
    pairs = list(_items(table))
    yield "\n".join((f"[{path}]", *(f"{key} = {value}" for key, value in _written(table) if not _nested(dict(pairs)[key]))))
    for key, value in pairs:
        if _nested(value):
            yield from _tables(f"{path}.{key}", value)


def _nested(value: Any) -> bool:
    return isinstance(value, BaseModel | Mapping)


def _items(table: BaseModel | Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The keys of ``table`` that do not have their default, and their values."""
    if isinstance(table, Mapping):
        yield from table.items()
        return
    for key, field in type(table).model_fields.items():
        value = getattr(table, key)
        if value != field.get_default(call_default_factory=True):
            yield key, value


def _written(table: BaseModel | Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The same with their values as TOML."""
    durations = _DURATIONS.get(type(table), frozenset())
    for key, value in _items(table):
        yield key, f'"{_exact(value)}"' if key in durations else _toml(value)


def _toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case Bound(extra_ns, plus_fault):
            return f'"fault + {_exact(extra_ns)}"' if plus_fault else f'"{_exact(extra_ns)}"'
        case tuple():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case int() | float():
            return str(value)
    return "{ " + ", ".join(f"{key} = {item}" for key, item in _written(value)) + " }"


def _exact(duration_ns: int) -> str:
    """A duration that loses nothing, in the largest unit that has it as a whole number."""
    unit = next((unit for unit in ("s", "ms", "us") if duration_ns % UNITS[unit] == 0), "ns")
    return f"{duration_ns // UNITS[unit]}{unit}"
