"""Answers of HTTP/1.1, cut out of a stream of bytes, with nothing guessed about where one ends.

An answer has one ``Content-Length``, is ``chunked``, or is of a kind that has no body. What is neither, has both, or is beyond
the limits below is a breach.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from harness.clients import ProtocolBreach

MAX_HEAD = 16_384
MAX_BODY = 8 << 20
MAX_CHUNK_LINE = 256
MAX_INTERIM = 8
"""Answers of the kind 1xx before the one that counts."""

_FINAL = 200
_BODILESS = frozenset((204, 304))
_BEGINNING = b"HTTP/1."
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: ([^\x00-\x08\x0a-\x1f\x7f]*))?")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*")
_LENGTH = re.compile(rb"[0-9]{1,9}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,7})[ \t]*(?:;[^\r\n]*)?")
_CHUNKED = -1

Headers = Mapping[bytes, Sequence[bytes]]
"""Values by the header's name in lower case."""


class Answer(NamedTuple):
    """One whole answer.

    Attributes:
        status: its number.
        reason: number and words of the status line.
        closes: whether the server goes on with the connection no longer.
    """

    status: int
    reason: str
    headers: Headers
    body: bytes
    closes: bool

    def header(self, name: bytes) -> bytes:
        """The only value of a header; empty if there is none, or more than one."""
        values = self.headers.get(name, ())
        return values[0] if len(values) == 1 else b""


class _Head(NamedTuple):
    status: int
    reason: str
    headers: Headers
    closes: bool
    size: int
    """Bytes of the body, or ``_CHUNKED``."""


class Answers:
    """The answers on one connection, to requests other than HEAD."""

    def __init__(self) -> None:
        self._data = b""
        self._head: _Head | None = None
        self._chunks: list[bytes] = []
        self._interim = 0

    def feed(self, data: bytes) -> None:
        """Take in bytes."""
        self._data += data

    def next(self) -> Answer | None:
        """The next final answer, taken off the data; None while it is not whole. Raises ``ProtocolBreach``."""
        while self._head is None:
            head = self._next_head()
            if head is None:
                return None
            if head.status >= _FINAL:
                self._head = head
            else:
                self._interim += 1
                if self._interim > MAX_INTERIM:
                    raise ProtocolBreach(f"more than {MAX_INTERIM} interim answers")
        body = self._chunked() if self._head.size == _CHUNKED else self._whole(self._head.size)
        if body is None:
            return None
        status, reason, headers, closes, _ = self._head
        self._head, self._interim = None, 0
        return Answer(status, reason, headers, body, closes)

    def empty(self) -> bool:
        """Whether no bytes are left over."""
        return not self._data and self._head is None

    def _next_head(self) -> _Head | None:
        if not self._data.startswith(_BEGINNING[: len(self._data)]):
            raise ProtocolBreach(f"this is not HTTP/1: {self._data[:80]!r}")
        text, end, rest = self._data.partition(b"\r\n\r\n")
        if len(text) > MAX_HEAD:
            raise ProtocolBreach(f"a head of more than {MAX_HEAD} bytes")
        if not end:
            return None
        self._data = rest
        return _parse(text)

    def _whole(self, size: int) -> bytes | None:
        if len(self._data) < size:
            return None
        body, self._data = self._data[:size], self._data[size:]
        return body

    def _chunked(self) -> bytes | None:
        """The body once its last chunk and its trailer are there; whole chunks are taken off the data as they come."""
        while True:
            line, end, rest = self._data.partition(b"\r\n")
            if len(line) > MAX_CHUNK_LINE:
                raise ProtocolBreach("a chunk's size is longer than it can be")
            if not end:
                return None
            found = _CHUNK.fullmatch(line)
            if found is None:
                raise ProtocolBreach(f"no size of a chunk: {line[:80]!r}")
            size = int(found[1], 16)
            if size + sum(map(len, self._chunks)) > MAX_BODY:
                raise ProtocolBreach(f"a body of more than {MAX_BODY} bytes")
            if size == 0:
                return self._trailer(rest)
            after = rest[size : size + 2]
            if not b"\r\n".startswith(after):
                raise ProtocolBreach("a chunk does not end where it should")
            if after != b"\r\n":
                return None
            self._chunks.append(rest[:size])
            self._data = rest[size + 2 :]

    def _trailer(self, rest: bytes) -> bytes | None:
        if rest.startswith(b"\r\n"):
            self._data = rest[2:]
        else:
            fields, end, after = rest.partition(b"\r\n\r\n")
            if len(fields) > MAX_HEAD:
                raise ProtocolBreach(f"a trailer of more than {MAX_HEAD} bytes")
            if not end:
                return None
            _headers(fields)
            self._data = after
        body = b"".join(self._chunks)
        self._chunks.clear()
        return body


def _parse(text: bytes) -> _Head:
    line, _, fields = text.partition(b"\r\n")
    found = _STATUS.fullmatch(line)
    if found is None:
        raise ProtocolBreach(f"no status line: {line[:80]!r}")
    status, headers = int(found[2]), _headers(fields)
    lengths, codings = headers.get(b"content-length", []), headers.get(b"transfer-encoding", [])
    if codings and (lengths or [each.lower() for each in codings] != [b"chunked"]):
        raise ProtocolBreach(f"an answer whose end is not clear: {codings!r}, lengths {lengths!r}")
    if status < _FINAL or status in _BODILESS:
        size = 0
    elif codings:
        size = _CHUNKED
    elif len(set(lengths)) == 1 and _LENGTH.fullmatch(lengths[0]) and int(lengths[0]) <= MAX_BODY:
        size = int(lengths[0])
    else:
        raise ProtocolBreach(f"an answer without one length that can be: {lengths!r}")
    connection = b",".join(headers.get(b"connection", [])).lower()
    closes = b"close" in connection or (found[1] == b"0" and b"keep-alive" not in connection)
    words = (found[3] or b"").decode(errors="replace").strip()
    return _Head(status, f"{status} {words}".strip()[:120], headers, closes, size)


def _headers(text: bytes) -> dict[bytes, list[bytes]]:
    headers: dict[bytes, list[bytes]] = {}
    for line in text.split(b"\r\n") if text else ():
        found = _HEADER.fullmatch(line)
        if found is None:
            raise ProtocolBreach(f"no header: {line[:80]!r}")
        headers.setdefault(found[1].lower(), []).append(found[2])
    return headers
