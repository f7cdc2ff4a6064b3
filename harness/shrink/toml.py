"""The tables of a plan as TOML again, in the layout that people write plans in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any


def toml_text(tables: Mapping[str, Any]) -> str:
    """``tables`` as TOML: plain keys first, then a table for each record, and one for each member of a list of records.

    >>> print(toml_text({"seed": 7, "faults": [{"kind": "kill", "lasts": "1s"}]}), end="")
    seed = 7
    <BLANKLINE>
    [[faults]]
    kind = "kill"
    lasts = "1s"
    """
    plain = {key: value for key, value in tables.items() if not _has_tables(value)}
    parts = ["".join(_lines(plain))] if plain else []
    for key, value in tables.items():
        if isinstance(value, Mapping):
            parts.append(f"[{_key(key)}]\n" + "".join(_lines(value)))
        elif key not in plain:
            parts += (f"[[{_key(key)}]]\n" + "".join(_lines(record)) for record in value)
    return "\n".join(parts)


def _has_tables(value: Any) -> bool:
    several = isinstance(value, list | tuple) and bool(value)
    return isinstance(value, Mapping) or (several and all(isinstance(item, Mapping) for item in value))


def _lines(record: Mapping[str, Any]) -> Iterator[str]:
    return (f"{_key(key)} = {_value(value)}\n" for key, value in record.items())


def _key(key: str) -> str:
    return key if key.replace("-", "").replace("_", "").isalnum() and key.isascii() else _value(key)


def _value(value: Any) -> str:
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case bool():
            return str(value).lower()
        case list() | tuple():
            return "[" + ", ".join(map(_value, value)) + "]"
        case Mapping():
            return "{ " + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + " }"
    return str(value)
