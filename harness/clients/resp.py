"""RESP, the protocol of Redis and Valkey: GET, SET and DEL, read with hiredis' parser; and MGET, MSET and DEL of several keys.

A nil is a ``MISS``: a store that may evict or expire cannot say that there never was a value. Whether misses are allowed is the
contract's business.

An error reply is ``fail`` where it is known to refuse a command before running it; every other error reply is ``info``.

The list that answers MGET is read here and not by hiredis, which makes room for as many elements as a server says there are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import hiredis

from harness.clients import ProtocolBreach, Reply
from harness.clients.access import Access
from harness.history import Function, Seen, Status

REFUSALS = frozenset(
    (
        "READONLY",  # a replica
        "MOVED",  # another node has the slot
        "ASK",  # the slot is on its way to another node
        "CROSSSLOT",  # the keys of one request belong to several slots
        "CLUSTERDOWN",  # the slot is served by nobody
        "TRYAGAIN",
        "LOADING",  # the data set is not in memory yet
        "MASTERDOWN",  # a replica without its primary that may not serve stale data
        "NOAUTH",
        "NOPERM",
        "OOM",  # maxmemory, and nothing that may be evicted
        "MISCONF",  # the last save failed and writes are stopped
        "NOREPLICAS",  # min-replicas-to-write
        "BUSY",  # a script runs
        "DENIED",  # protected mode
    )
)
"""First words of error replies to a command that was not run."""

REFUSED_ERRORS = ("ERR unknown command", "ERR max number of clients", "ERR wrong number of arguments", "ERR syntax error")

LISTS = (b"*", b"%", b"~", b">", b"|")
"""How lists, maps, sets, pushes and attributes begin. The parser makes room at once for as many elements as the server says."""

# To look up a member of an enum takes a tenth of a microsecond, and an answer needs several.
_READ, _OK, _HIT = Function.READ, Status.OK, Seen.HIT
_WRITTEN = Reply(_OK)
_MISS = Reply(_OK, Seen.MISS)
_MAX_LINE = 2_048
_MAX_VALUE = 8 << 20
"""Longer values in a list than any of ours; a server's own limit is 512 MiB."""
_LENGTH = re.compile(rb"[0-9]{1,7}")
_VARIES = frozenset(("MOVED", "ASK"))
"""Errors whose text names a slot and the node to ask instead: as an error, only the first word is kept."""


class Resp:
    """One connection's conversation in RESP2.

    Args:
        expire_ms: how long every value that is written may live; 0 for ever.

    Attributes:
        one_by_one: see ``harness.clients.ManyKeys``.
    """

    def __init__(self, expire_ms: int = 0) -> None:
        self.one_by_one = "MSET gives values no time to live" if expire_ms else ""
        self._expiry = b"$2\r\nPX\r\n$%d\r\n%d\r\n" % (len(str(expire_ms)), expire_ms) if expire_ms else b""
        self._reader = hiredis.Reader()
        self._list = b""
        self._ahead = 0

    def request(self, function: Function, key: bytes, value: bytes = b"") -> bytes:
        """GET, SET or DEL."""
        if function == _READ:
            return b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key)
        if function == Function.WRITE:
            words = 5 if self._expiry else 3
            return b"*%d\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n%b" % (words, len(key), key, len(value), value, self._expiry)
        return b"*2\r\n$3\r\nDEL\r\n$%d\r\n%b\r\n" % (len(key), key)

    def request_many(self, function: Function, keys: Sequence[bytes], values: Sequence[bytes]) -> bytes:
        """MGET, MSET, or DEL."""
        if function is Function.WRITE:
            return _command(b"MSET", *(word for item in zip(keys, values, strict=True) for word in item))
        return _command(b"MGET" if function is _READ else b"DEL", *keys)

    def sent_ahead(self, commands: int) -> None:
        """So many answers will come that do not matter."""
        self._ahead += commands

    def introduction(self, access: Access) -> bytes:
        """AUTH, as the default user or another."""
        who = (access.username, access.password) if access.username else (access.password,)
        return bytes(hiredis.pack_command(("AUTH", *who)))

    def welcome(self, data: bytes) -> str | None:
        """Nothing but OK is a welcome."""
        if data.startswith(LISTS):
            raise ProtocolBreach("a list is no answer to AUTH")
        try:
            self._reader.feed(data)
            reply = self._reader.gets()
        except hiredis.ProtocolError as error:
            raise ProtocolBreach(str(error)) from None
        if reply is False:
            return None
        return "" if reply == b"OK" else str(reply)[:120]

    def feed(self, data: bytes, function: Function) -> Reply | None:
        """The reply to ``function``, once it is complete."""
        reader = self._reader
        if data.startswith(LISTS) and not reader.has_data():
            raise ProtocolBreach("a list is no answer to GET, SET or DEL")
        try:
            reader.feed(data)
            reply = reader.gets()
            while self._ahead and reply is not False:
                self._ahead -= 1
                reply = reader.gets()
        except hiredis.ProtocolError as error:
            raise ProtocolBreach(str(error)) from None
        if reply is False:
            # Neither GET, SET nor DEL answers a RESP3 boolean; hiredis says False for "not all here yet".
            return None
        if type(reply) is bytes and function is _READ:
            return Reply(_OK, _HIT, reply)
        if isinstance(reply, hiredis.ReplyError):
            return _refusal(str(reply))
        if function is _READ:
            # A number is no value of ours, but it was found under the key: garbage, once somebody looks at it.
            return _MISS if reply is None else Reply(_OK, _HIT, repr(reply).encode())
        if reply == b"OK" if function is Function.WRITE else type(reply) is int:
            return _WRITTEN
        return Reply(Status.INFO, error=f"unexpected reply to a {function.name.lower()}")

    def feed_many(self, data: bytes, function: Function, count: int) -> Reply | None:
        """The reply to ``function`` on ``count`` keys, once it is complete: a list for a read, else as for one key."""
        if function is not _READ:
            return self.feed(data, function)
        data = self._list + data
        if self._reader.has_data() or not data.startswith(b"*"):
            reply = self.feed(data, function)
            return reply if reply is None or reply.status is not _OK else Reply(Status.INFO, error="no list in reply to a read")
        found = _read_list(data, count)
        self._list = data if found is None else b""
        if found is None:
            return None
        (first, *others), rest = found
        self._reader.feed(rest)
        refused = next((reply for reply in (first, *others) if reply.status is not _OK), None)
        return refused or first._replace(beside=tuple(others))

    def idle(self) -> bool:
        """Whether all bytes received belong to replies already given."""
        return not self._reader.has_data()


def _command(*words: bytes) -> bytes:
    return b"*%d\r\n%b" % (len(words), b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words))


def _read_list(data: bytes, count: int) -> tuple[list[Reply], bytes] | None:
    """The list of ``count`` values that ``data`` begins with, and what follows it; None while it is not whole.

    Raises ``ProtocolBreach`` for any other list, and for one with lists in it.
    """
    header = b"*%d\r\n" % count
    if not data.startswith(header):
        if header.startswith(data):
            return None
        raise ProtocolBreach(f"not the list of {count} values that was asked for: {data[:40]!r}")
    replies: list[Reply] = []
    at = len(header)
    while len(replies) < count:
        end = data.find(b"\r\n", at, at + _MAX_LINE)
        if end < 0:
            if len(data) - at < _MAX_LINE:
                return None
            raise ProtocolBreach("a line without an end in a list")
        kind, word = data[at : at + 1], data[at + 1 : end]
        at = end + 2
        if kind == b"$" and _LENGTH.fullmatch(word) and int(word) <= _MAX_VALUE:
            value, after = data[at : at + int(word)], data[at + int(word) : at + int(word) + 2]
            if not b"\r\n".startswith(after):
                raise ProtocolBreach("a value in a list does not end where it should")
            if len(after) < len(b"\r\n"):
                return None
            at += len(value) + 2
            replies.append(Reply(_OK, _HIT, value))
        elif (kind, word) in {(b"$", b"-1"), (b"_", b"")}:
            replies.append(_MISS)
        elif kind in {b":", b"+"}:
            replies.append(Reply(_OK, _HIT, word))  # garbage, as for one key
        elif kind == b"-":
            replies.append(_refusal(word.decode(errors="replace")))
        else:
            raise ProtocolBreach(f"no value in a list: {(kind + word)[:40]!r}")
    return replies, data[at:]


def _refusal(text: str) -> Reply:
    word = text.partition(" ")[0]
    refused = word in REFUSALS or text.startswith(REFUSED_ERRORS)
    if word in _VARIES:
        return Reply(Status.FAIL, error=word, redirect=text[:120])
    return Reply(Status.FAIL if refused else Status.INFO, error=text[:120])
