"""Messages between places as text, for those that live in different processes.

A named tuple is a list that begins with the name of its class within this package, ``messages.Fetch``; any other tuple is a list
that begins with an empty one. What comes is taken only if it names a class that the reference fleet has.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

_PACKAGE = f"{__package__}."


def encode(message: Any) -> bytes:
    """``message`` as text."""
    return json.dumps(_plain(message), separators=(",", ":")).encode()


def decode(text: bytes) -> Any:
    """The message in ``text``; raises ``ValueError`` for anything that ``encode`` cannot have made."""
    try:
        return _rich(json.loads(text))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{text[:80]!r} is no message of a reference fleet: {error!r}") from None


def _plain(thing: Any) -> Any:
    if isinstance(thing, tuple):
        return [_name(type(thing)) if hasattr(thing, "_fields") else "", *map(_plain, thing)]
    if thing is None or isinstance(thing, str | int | float):
        return thing
    raise TypeError(f"{thing!r} cannot be sent to another process")


def _rich(thing: Any) -> Any:
    if not isinstance(thing, list):
        return thing
    name, *fields = thing
    values = map(_rich, fields)
    return _messages()[name](*values) if name else tuple(values)


def _name(message: type[Any]) -> str:
    return f"{message.__module__.removeprefix(_PACKAGE)}.{message.__name__}"


@cache
def _messages() -> Mapping[str, type[Any]]:
    """Every named tuple of the reference fleet by its name; to be called once all designs are loaded."""
    return {
        _name(thing): thing
        for name, module in list(sys.modules.items())
        if name.startswith(_PACKAGE)
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, tuple) and thing.__module__ == name
    }
