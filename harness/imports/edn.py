"""A reader of EDN, the notation of Jepsen's histories: maps, vectors, lists, sets, strings, keywords, numbers, tags and comments.

It exists beside the general libraries because a history has a million small maps and errors need line numbers. Keywords become
``Keyword``, symbols ``Symbol``, vectors and lists tuples; a tag is dropped and its value kept; ``#_`` leaves the next value out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from harness.errors import HistoryError

_TOKEN = re.compile(
    r"""
    (?: [\s,]++ | ;[^\n]*+ )*+
    (?: (?P<open> \#?\{ | \[ | \( )
      | (?P<close> [\]\)}] )
      | (?P<string> "(?:[^"\\]|\\.)*" )
      | (?P<discard> \#_ )
      | (?P<character> \\[^\s,;()\[\]{}"]+ )
      | (?P<atom> [^\s,;()\[\]{}"]+ )
      | (?P<end> \Z ) )
    """,
    re.VERBOSE | re.DOTALL,
)
_CLOSING = {"{": "}", "#{": "}", "[": "]", "(": ")"}
_CONSTANTS = {"nil": None, "true": True, "false": False}
_NUMBER = re.compile(r"[+-]?\d{1,18}(?:N?|(?P<fraction>(?:\.\d*)?(?:[eE][+-]?\d+)?M?))")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_DEPTH = 100


class Keyword(str):
    """A keyword, without its colon."""

    __slots__ = ()


class Symbol(str):
    """A symbol that has no meaning here."""

    __slots__ = ()


class Value(NamedTuple):
    """A value at the top of a document, or inside its one top vector or list, and the line on which it begins."""

    line: int
    value: Any


def read_values(text: str, source: str) -> Iterator[Value]:
    """The values in ``text``, one by one: those inside its one vector or list, or else those that stand beside one another.

    Raises ``HistoryError`` with ``source`` and line.
    """
    reader = _Reader(text, source)
    reader.take_if("[", "(")
    while (value := reader.record()) is not None:
        yield value


class _Reader:
    """Reads values from left to right."""

    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source
        self.end = 0
        self.wrapped = ""
        self.counted = (0, 1)

    def take_if(self, *openings: str) -> None:
        """Enter the sequence that the whole text is, if it is one."""
        kind, token = self.token()
        if kind == "open" and token in openings:
            self.wrapped = _CLOSING[token]
        else:
            self.end -= len(token)

    def record(self) -> Value | None:
        """The next value with its line; None at the end of the text."""
        while True:
            kind, token = self.token()
            line = self.line(self.end - len(token))
            if kind == "end" and not self.wrapped:
                return None
            if kind == "close" and token == self.wrapped:
                kind, token = self.token()
                if kind != "end":
                    raise self.error(f'"{token[:20]}" stands after the end of the history')
                return None
            value = self.value(kind, token, 0)
            if value is not _NOTHING:
                return Value(line, value)

    def token(self) -> tuple[str, str]:
        """The next token and its kind, spaces and comments left out; ``end`` at the end."""
        match = _TOKEN.match(self.text, self.end)
        if match is None or match.lastgroup is None:
            raise self.error("the text cannot be read from here on")
        self.end = match.end()
        return match.lastgroup, match[match.lastgroup]

    def value(self, kind: str, token: str, depth: int) -> Any:
        """The value that begins with ``token``; ``_NOTHING`` for one that is left out."""
        if depth > _DEPTH:
            raise self.error(f"values are nested more than {_DEPTH} deep")
        if kind == "open":
            return self.collection(token, depth)
        if kind == "discard":
            self.one(depth)
            return _NOTHING
        if kind == "string":
            return _unescape(token)
        if kind == "atom":
            return self.one(depth) if token[0] == "#" and token[1:2].isalpha() else _atom(token)
        if kind == "end":
            raise self.error("the text ends in the middle of a value", fix="the file may have been cut off; copy it again")
        if kind == "close":
            raise self.error(f'"{token}" closes nothing')
        return token

    def one(self, depth: int) -> Any:
        """Exactly one value: what a tag or a discard stands before."""
        while (value := self.value(*self.token(), depth + 1)) is _NOTHING:
            pass
        return value

    def collection(self, opening: str, depth: int) -> Any:
        """The map, or the tuple of values, up to the closing bracket."""
        items = []
        while True:
            kind, token = self.token()
            if kind == "close":
                break
            value = _atom(token) if kind == "atom" and token[0] != "#" else self.value(kind, token, depth + 1)
            if value is not _NOTHING:
                items.append(value)
        if token != _CLOSING[opening]:
            raise self.error(f'"{opening}" is closed by "{token}"')
        if opening != "{":
            return tuple(items)
        if len(items) % 2:
            raise self.error("a map has a key without a value")
        try:
            return dict(zip(items[::2], items[1::2], strict=True))
        except TypeError:
            raise self.error("a map has a map for a key") from None

    def line(self, at: int) -> int:
        """The line of the position ``at``; positions asked for must not go back."""
        before, number = self.counted
        self.counted = (at, number + self.text.count("\n", before, at))
        return self.counted[1]

    def error(self, what: str, *, fix: str = "") -> HistoryError:
        return HistoryError(what, where=f"{self.source}:{self.line(self.end)}", fix=fix)


_NOTHING = object()


@lru_cache(maxsize=1 << 14)
def _atom(token: str) -> Any:
    if token[0] == ":":
        return Keyword(token[1:])
    if token in _CONSTANTS:
        return _CONSTANTS[token]
    number = _NUMBER.fullmatch(token)
    if number is None:
        return Symbol(token)
    return float(token.rstrip("M")) if number["fraction"] else int(token.rstrip("N"))


def _unescape(token: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), token[1:-1], flags=re.DOTALL)
