"""HTTP/1.1 over kept connections: GET, PUT and DELETE of one resource per key, and what a status says about an operation.

A read that found a value is ``200``. One that did not is ``404`` or ``410``, and then it matters who says so: with the header
``Source: origin`` it is the source of truth's word, now or when a cache kept it, and the read is ``ABSENT``. Without it, some
node on the way knows nothing, and the read is a ``MISS``. Any other answer to a read is ``fail``: it found and changed nothing.

For a PUT or DELETE:

================================================  ========  ============================================================
200, 201, 204                                     ``ok``
404, 410 to a DELETE, with ``Source: origin``     ``ok``    there is nothing, as was asked
other 4xx that refuse the request                 ``fail``  it was not handled: see ``REFUSALS``
501, 505                                          ``fail``  the server does not know the method or the version
all others                                        ``info``  500, 502, 503, 504 and their like may come from a cache that had
                                                            passed the request on; a 202 or a redirect is no acknowledgement
================================================  ========  ============================================================

A password goes with every request (``Authorization: Basic``).
"""

from __future__ import annotations

from base64 import b64encode
from typing import Self
from urllib.parse import quote_from_bytes

from harness.clients import Reply
from harness.clients.access import Access
from harness.clients.http_answers import Answer, Answers
from harness.history import Function, Seen, Status

HOST = "anachron"
"""What every request names as its host: a cache may keep one copy per host."""

SOURCE = b"source", b"origin"
"""The header with which the source of truth marks its own answers."""

REFUSALS = frozenset(
    (400, 401, 403, 404, 405, 406, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 426, 428, 429, 431, 451)
)
"""Refusals for what the request is, or who sends it; not 408: a server may say that of a request that it had in full."""

_DONE = frozenset((200, 201, 204))
_GONE = frozenset((404, 410))
_UNKNOWN_TO_SERVER = frozenset((501, 505))
_FOUND = 200
_READ, _OK = Function.READ, Status.OK


class Http:
    """One connection's conversation."""

    def __init__(self) -> None:
        self._answers = Answers()
        self._ahead = 0
        self._closing = False
        self._fields = f"Host: {HOST}\r\n"

    def signed(self, access: Access) -> Self:
        """See ``harness.clients.access.Signing``."""
        self._fields = f"Host: {HOST}\r\n{authorization_field(access)}"
        return self

    def sent_ahead(self, commands: int) -> None:
        """So many answers will come that do not matter."""
        self._ahead += commands

    def request(self, function: Function, key: bytes, value: bytes = b"") -> bytes:
        """GET, PUT or DELETE of ``/key``."""
        line = f"/{quote_from_bytes(key, safe=':')} HTTP/1.1\r\n{self._fields}".encode()
        if function is _READ:
            return b"GET %b\r\n" % line
        if function is Function.WRITE:
            return b"PUT %bContent-Length: %d\r\n\r\n%b" % (line, len(value), value)
        return b"DELETE %b\r\n" % line

    def feed(self, data: bytes, function: Function) -> Reply | None:
        """The reply to ``function``, once it is complete."""
        self._answers.feed(data)
        while (answer := self._answers.next()) and self._ahead:
            self._ahead -= 1
        if answer is None:
            return None
        self._closing = answer.closes
        return _read(answer) if function is _READ else _changed(answer, function)

    def idle(self) -> bool:
        """Whether all bytes received belong to replies already given, and the server goes on with the connection."""
        return self._answers.empty() and not self._closing


def authorization(access: Access) -> str:
    """What a client says to be let in."""
    return f"Basic {b64encode(f'{access.name}:{access.password}'.encode()).decode()}"


def authorization_field(access: Access) -> str:
    """The header that says it, with the end of its line; nothing where no password is asked for."""
    return f"Authorization: {authorization(access)}\r\n" if access.password else ""


def _read(answer: Answer) -> Reply:
    if answer.status == _FOUND:
        return Reply(_OK, Seen.HIT, answer.body)
    if answer.status in _GONE:
        return Reply(_OK, Seen.ABSENT if _from_source(answer) else Seen.MISS)
    return Reply(Status.FAIL, error=answer.reason)


def _changed(answer: Answer, function: Function) -> Reply:
    if answer.status in _DONE or (function is Function.DELETE and answer.status in _GONE and _from_source(answer)):
        return Reply(_OK)
    refused = answer.status in REFUSALS or answer.status in _UNKNOWN_TO_SERVER
    return Reply(Status.FAIL if refused else Status.INFO, error=answer.reason)


def _from_source(answer: Answer) -> bool:
    name, value = SOURCE
    return answer.header(name) == value
