"""Documentation out of code: docstrings of modules and of fields, types and defaults in the words of a plan's author."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from itertools import pairwise
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from harness.durations import format_duration, parse_bound, parse_duration
from harness.plan import Record

_PLAIN = {bool: "true or false", int: "whole number", float: "number", str: "text"}
_LIMITS = {Ge: ("ge", "at least"), Gt: ("gt", "more than"), Le: ("le", "at most"), Lt: ("lt", "less than")}


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table of a plan.

    Attributes:
        path: the key with the tables it stands in: ``contract.staleness.steady``.
        kind: what may stand there, in words.
        default: what holds where it is left out; empty if it must be there.
        doc: what it means; may be empty.
        record: the record behind it, if it is a table.
    """

    path: str
    kind: str
    default: str
    doc: str
    record: type[BaseModel] | None

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]


def long_doc(thing: Any) -> str:
    """The docstring of the module that defines ``thing``, or its own; without reStructuredText's double quotes."""
    module = inspect.getmodule(thing)
    return plain((module.__doc__ if module else None) or thing.__doc__ or "")


def first_sentence(doc: str, name: str = "") -> str:
    """The first sentence of ``doc`` on one line, without ``name`` as its head.

    >>> first_sentence("`pause`: a process stands still. It is no partition.", "pause")
    'a process stands still.'
    """
    paragraph = " ".join(doc.strip().split("\n\n")[0].split())
    sentence = re.split(r"(?<=[.!?])\s", paragraph, maxsplit=1)[0]
    return re.sub(rf"^`?{re.escape(name)}`?\s*[:,]\s*", "", sentence) if name else sentence


def plain(doc: str) -> str:
    """A docstring as text to read in a terminal."""
    text = inspect.cleandoc(doc).replace("``", "`").replace("::\n", ":\n")
    return re.sub(r"\*\*(.+?)\*\*", r"\1", text, flags=re.DOTALL)


def keys(record: type[BaseModel], path: str = "") -> Iterator[Key]:
    """The keys of ``record``, which stands at ``path`` of a plan; not those of the tables in it."""
    docs = _field_docs(record)
    for name, field in record.model_fields.items():
        yield Key(
            path=f"{path}.{name}" if path else name,
            kind=_type(field.annotation, field.metadata),
            default=_default(field),
            doc=docs.get(name, field.description or ""),
            record=_record(field.annotation),
        )


def all_keys(record: type[BaseModel], path: str = "") -> Iterator[Key]:
    """The keys of ``record`` and, after each table, those of the table."""
    for key in keys(record, path):
        yield key
        if key.record is not None:
            yield from all_keys(key.record, key.path)


def options_of(thing: type) -> type[Record] | None:
    """The record of the options that a candidate, workload or fault reads: by convention ``SomethingOptions`` in its module."""
    module = inspect.getmodule(thing)
    found = [
        value
        for name, value in (vars(module) if module else {}).items()
        if name.endswith("Options") and isinstance(value, type) and issubclass(value, Record)
    ]
    own = [record for record in found if module and record.__module__ == module.__name__]
    return max(own or found, key=lambda record: len(record.__mro__), default=None)


def table(rows: Sequence[Key], *, name: str = "name") -> str:
    """Keys with types, defaults and meanings, as text."""
    lines: list[str] = []
    for key in rows:
        default = f", default {key.default}" if key.default else ", required"
        lines.append(f"  {getattr(key, name)}: {key.kind}{default}")
        if key.doc:
            lines += textwrap.wrap(key.doc, width=96, initial_indent="      ", subsequent_indent="      ")
    return "\n".join(lines)


@cache  # reading source takes milliseconds a record
def _field_docs(record: type[BaseModel]) -> dict[str, str]:
    """The strings under the fields of ``record`` and of the records it extends."""
    docs: dict[str, str] = {}
    for base in reversed(record.__mro__):
        if not issubclass(base, BaseModel) or base in (BaseModel, Record):
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        except (OSError, TypeError):  # defined where there is no source
            continue
        body = next(node for node in tree.body if isinstance(node, ast.ClassDef)).body
        for field, after in pairwise(body):
            match field, after:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    docs[name] = " ".join(plain(text).split())
    return docs


def _type(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """What may stand there, in words."""
    validators = [item.func for item in metadata if isinstance(item, BeforeValidator)]
    if parse_duration in validators:
        return 'duration such as "250ms"'
    if parse_bound in validators:
        return 'duration, or "fault + 500ms"'
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0], arguments[1:])
    if origin is Literal:
        return " | ".join(f'"{choice}"' for choice in arguments)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_type(part) for part in arguments if part is not type(None)))
    if origin is tuple:
        number = "" if Ellipsis in arguments else f"{len(arguments)} of "
        return "tables" if _record(arguments[0]) else f"list of {number}{_type(arguments[0])}"
    if origin is dict:
        return f"table of {_type(arguments[1])}"
    if _record(annotation):
        return "table"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " | ".join(f'"{choice}"' for choice in annotation)
    return _PLAIN.get(annotation, str(getattr(annotation, "__name__", annotation))) + _limits(metadata)


def _limits(metadata: Sequence[Any]) -> str:
    flat = [part for item in metadata for part in (item.metadata if isinstance(item, FieldInfo) else (item,))]
    limits = [
        f"{words} {getattr(part, attribute):g}"
        for part in flat
        for kind, (attribute, words) in _LIMITS.items()
        if isinstance(part, kind)
    ]
    return f", {' and '.join(limits)}" if limits else ""


def _default(field: FieldInfo) -> str:
    """What holds where the key is left out; empty if it must be there."""
    if field.is_required():
        return ""
    value = field.get_default(call_default_factory=True)
    if value is None or value in ((), {}, "") or value is PydanticUndefined:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, BaseModel):
        return "that of its keys"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    return f'"{format_duration(value)}"' if _type(field.annotation, field.metadata).startswith("duration") else f"{value}"


def _record(annotation: Any) -> type[BaseModel] | None:
    """The record in ``annotation``: itself, or the one that a list or an optional key holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _record(part))), None)
