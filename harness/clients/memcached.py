"""The memcached protocol: get, set and delete as text, with nothing left to guess about an answer.

An ``END`` without a value is a ``MISS``: a cache cannot say that there never was a value.

What an error means for a write or a delete (a read changes nothing, so one that was refused is ``fail`` whatever the words):

==============================================  ========  ==============================================================
``ERROR``, ``CLIENT_ERROR``                     ``fail``  the command was not understood, and not run
``SERVER_ERROR out of memory``, ``object too``  ``fail``  the value was not stored. A server drops the old value then: that
``large for cache``                                       is an eviction, and reads as a miss
any other ``SERVER_ERROR``                      ``info``  a proxy says this after a time-out, when the server may have done it
==============================================  ========  ==============================================================

An answer to another question (``DELETED`` to a set) is a breach: this connection has lost step. So may one that refused a set's
first line: the value after it is taken for commands then, and gets answers of its own. It is not used again.

A password goes as the value of a set before anything else, as servers take it that were started with ``-Y``: the name of its key
is of no matter to them.

Names longer than 250 bytes, or with blanks or control characters in them, are none for memcached: such a key goes by its digest
on the wire, and by its own name in its values.
"""

from __future__ import annotations

import re
from hashlib import blake2b

from harness.clients import ProtocolBreach, Reply
from harness.clients.access import Access
from harness.history import Function, Seen, Status

MAX_NAME = 250
MAX_LINE = 2_048
MAX_ENTRY = 250
"""Of a username and its password in a server's list; a few more would do."""
MAX_VALUE = 8 << 20
"""Longer values than any of ours; a server's own limit is 1 MiB unless it is told otherwise."""

# To look up a member of an enum takes a tenth of a microsecond, and an answer needs several.
_READ, _WRITE, _OK, _FAIL, _HIT = Function.READ, Function.WRITE, Status.OK, Status.FAIL, Seen.HIT
_DONE = Reply(_OK)
_MISS = Reply(_OK, Seen.MISS)
_PLAIN = re.compile(rb"[\x21-\x7e\x80-\xff]{1,%d}" % MAX_NAME)
_VALUE = re.compile(rb"VALUE [\x21-\x7e\x80-\xff]{1,%d} [0-9]{1,10} ([0-9]{1,9})" % MAX_NAME)
_ERROR = re.compile(rb"(ERROR|CLIENT_ERROR|SERVER_ERROR)(?: .*)?")
_UNSTORED = ("SERVER_ERROR out of memory", "SERVER_ERROR object too large")
_END = b"\r\nEND\r\n"
_CAPITALS = range(0x41, 0x5B)


class Conversation:
    """What the conversations of one connection have in common, whichever commands they are held in."""

    def __init__(self) -> None:
        self._rest = b""
        self._ahead = 0
        self._in_step = True

    def sent_ahead(self, commands: int) -> None:
        """So many lines will come that do not matter: answers to ``flush_all`` and its like."""
        self._ahead += commands

    def introduction(self, access: Access) -> bytes:
        """A set of ``user password``."""
        return introduction(access)

    def welcome(self, data: bytes) -> str | None:
        """Nothing but ``STORED`` is a welcome."""
        self._rest += data
        line, rest = split_line(self._rest)
        if line is None:
            return None
        self._rest = rest
        return "" if line == b"STORED" else line.decode(errors="replace")[:120]

    def idle(self) -> bool:
        """Whether all bytes received belong to replies already given, and no others are to be feared."""
        return not self._rest and self._in_step


class Memcached(Conversation):
    """One connection's conversation in the classic commands."""

    def request(self, function: Function, key: bytes, value: bytes = b"") -> bytes:
        """``get``, ``set`` without expiry, or ``delete``."""
        name = wire_name(key)
        if function is _READ:
            return b"get %b\r\n" % name
        if function is _WRITE:
            return b"set %b 0 0 %d\r\n%b\r\n" % (name, len(value), value)
        return b"delete %b\r\n" % name

    def feed(self, data: bytes, function: Function) -> Reply | None:
        """The reply to ``function``, once it is complete."""
        if self._rest:
            data = self._rest + data
        line, rest = split_line(data)
        while self._ahead and line is not None:
            self._ahead -= 1
            data = rest
            line, rest = split_line(data)
        if line is None:
            self._rest = data
            return None
        if function is _READ and line.startswith(b"VALUE "):
            return self._value(line, data, rest)
        self._rest = rest
        if function is _READ:
            if line == b"END":
                return _MISS
        elif line == b"STORED" if function is _WRITE else line in (b"DELETED", b"NOT_FOUND"):
            return _DONE
        self._in_step = keeps_step(line, function)
        return refusal(line, function)

    def _value(self, line: bytes, data: bytes, rest: bytes) -> Reply | None:
        found = _VALUE.fullmatch(line)
        if found is None:
            raise ProtocolBreach(f"no header of a value: {line[:80]!r}")
        value, rest = split_value(rest, int(found[1]), _END)
        if value is None:
            self._rest = data
            return None
        self._rest = rest
        return Reply(_OK, _HIT, value)


def introduction(access: Access) -> bytes:
    """The set that says who a client is; it has expired before a server that asks nobody could keep it."""
    words = f"{access.name} {access.password}".encode()
    return b"set anachron:introduction 0 -1 %d\r\n%b\r\n" % (len(words), words)


def unspeakable(access: Access) -> str:
    """Why a server could not be told this password; empty if it can."""
    if not access.password:
        return ""
    if not access.password.isprintable() or " " in access.password:
        return "memcached's passwords have no blanks and no control characters"
    longest = MAX_ENTRY - len(f"{access.name}:")
    if len(access.password.encode()) > longest:
        return f"memcached's passwords have at most {longest} bytes, with this username"
    return ""


def wire_name(key: bytes) -> bytes:
    """What ``key`` is called on the wire: its own name where memcached takes it, else its digest."""
    return key if _PLAIN.fullmatch(key) else b"digest:" + blake2b(key, digest_size=20).hexdigest().encode()


def split_line(data: bytes) -> tuple[bytes | None, bytes]:
    """The first line of ``data`` and what follows; no line while it is not whole. Raises ``ProtocolBreach``."""
    line, end, rest = data.partition(b"\r\n")
    if (data and data[0] not in _CAPITALS) or len(line) > MAX_LINE:
        raise ProtocolBreach(f"this is not memcached's: {data[:80]!r}")
    return (line, rest) if end else (None, b"")


def split_value(rest: bytes, size: int, end: bytes) -> tuple[bytes | None, bytes]:
    """A value of ``size`` bytes that ``end`` follows, and what comes after it; no value while it is not whole."""
    if size > MAX_VALUE:
        raise ProtocolBreach(f"a value of {size} bytes")
    after = rest[size : size + len(end)]
    if not end.startswith(after):
        raise ProtocolBreach(f"a value of {size} bytes does not end where it should")
    return (rest[:size], rest[size + len(end) :]) if len(after) == len(end) else (None, b"")


def keeps_step(line: bytes, function: Function) -> bool:
    """Whether a connection is fit for use after this error line: not after a set whose value may have been read as commands."""
    return function is not _WRITE or line.startswith(b"SERVER_ERROR")


def refusal(line: bytes, function: Function) -> Reply:
    """What an error line means for ``function``; raises ``ProtocolBreach`` for any other line."""
    found = _ERROR.fullmatch(line)
    if found is None:
        raise ProtocolBreach(f"no answer to a {function.name.lower()}: {line[:80]!r}")
    text = line.decode(errors="replace")
    unknown = function is not _READ and found[1] == b"SERVER_ERROR" and not text.startswith(_UNSTORED)
    return Reply(Status.INFO if unknown else _FAIL, error=text[:120])
