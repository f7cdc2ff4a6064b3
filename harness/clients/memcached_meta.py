"""memcached's meta commands: reads that can take a lease, deletes that leave a stale value, writes under a lease.

The commands, for whoever builds a design on them; each is one request and has one ``MetaReply``:

* ``get(key, "v", "c", "N30")``: the value and its token; a miss puts an empty item there for 30 seconds and hands its finder a
  lease: the flag ``W`` ("you have won"). Who comes later finds it with ``Z`` ("somebody else has").
* ``put(key, value, "C1234")``: stored only while the item still has that token. A delete or a newer write in between, and it
  is refused: ``EX``, or ``NF`` where there is no item any more.
* ``drop(key)`` removes; ``drop(key, "I", "T30")`` leaves the value there for 30 seconds, marked stale: it is found with ``X``,
  and the first who finds it has ``W``.

``Meta`` is the driver's conversation in them. It reads what a careful client would take for a value: one marked stale, or an
empty item that stands for a lease, is a ``MISS``. Its deletes mark as stale.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from harness.clients import ProtocolBreach, Reply
from harness.clients.memcached import Conversation, keeps_step, refusal, split_line, split_value, wire_name
from harness.history import Function, Seen, Status

STALE_FOR_S = 60
"""How long a value that ``Meta`` deleted can still be seen as stale."""

_READ, _WRITE = Function.READ, Function.WRITE
_CODES = frozenset((b"VA", b"HD", b"EN", b"NS", b"EX", b"NF"))
_CHANGED = {_WRITE: (("HD",), ("NS", "EX", "NF")), Function.DELETE: (("HD", "NF"), ("EX",))}
"""Per function: what says that it was done, and what that it was not."""
_LINE = re.compile(rb"([A-Z]{2})(?: ([0-9]{1,9}))?((?: [A-Za-z][\x21-\x7e]*)*) ?")


class MetaReply(NamedTuple):
    """The answer to one meta command.

    Attributes:
        code: ``VA`` with a value, ``HD`` done, ``EN`` missed, ``NS`` not stored, ``EX`` another token, ``NF`` not found.
        flags: what was asked for, and ``W``, ``X``, ``Z``.
        value: the bytes found.
    """

    code: str
    flags: tuple[str, ...] = ()
    value: bytes = b""

    @property
    def won(self) -> bool:
        """Whether it is upon the asker to refill the item."""
        return "W" in self.flags

    @property
    def stale(self) -> bool:
        """Whether the value was marked as stale."""
        return "X" in self.flags

    @property
    def waits(self) -> bool:
        """Whether somebody else is about to refill the item."""
        return "Z" in self.flags

    @property
    def token(self) -> str | None:
        """The item's token, where it was asked for (``c``)."""
        return next((flag[1:] for flag in self.flags if flag[0] == "c"), None)


def get(key: bytes, *flags: str) -> bytes:
    """``mg``."""
    return b"mg %b%b\r\n" % (wire_name(key), _words(flags))


def put(key: bytes, value: bytes, *flags: str) -> bytes:
    """``ms``."""
    return b"ms %b %d%b\r\n%b\r\n" % (wire_name(key), len(value), _words(flags), value)


def drop(key: bytes, *flags: str) -> bytes:
    """``md``."""
    return b"md %b%b\r\n" % (wire_name(key), _words(flags))


def parse(data: bytes) -> tuple[MetaReply | bytes | None, bytes]:
    """The first answer in ``data``, or an error line as it is, and what follows; None while it is not whole.

    Raises ``ProtocolBreach``.
    """
    line, rest = split_line(data)
    if line is None:
        return None, data
    found = _LINE.fullmatch(line)
    if found is None or found[1] not in _CODES:
        return line, rest
    code, size, flags = found[1].decode(), found[2], tuple(found[3].decode().split())
    if (code == "VA") is not (size is not None):
        raise ProtocolBreach(f"a size where there is no value, or none where there is one: {line[:80]!r}")
    if size is None:
        return MetaReply(code, flags), rest
    value, rest = split_value(rest, int(size), b"\r\n")
    return (None, data) if value is None else (MetaReply(code, flags, value), rest)


class Meta(Conversation):
    """One connection's conversation in the meta commands."""

    def request(self, function: Function, key: bytes, value: bytes = b"") -> bytes:
        """A ``mg`` of the value, a ``ms``, or a ``md`` that marks as stale."""
        if function is _READ:
            return get(key, "v")
        if function is _WRITE:
            return put(key, value)
        return drop(key, "I", f"T{STALE_FOR_S}")

    def feed(self, data: bytes, function: Function) -> Reply | None:
        """The reply to ``function``, once it is complete."""
        answer, self._rest = parse(self._rest + data)
        while self._ahead and answer is not None:
            self._ahead -= 1
            answer, self._rest = parse(self._rest)
        if answer is None:
            return None
        if isinstance(answer, bytes):
            self._in_step = keeps_step(answer, function)
            return refusal(answer, function)
        reply = _read(answer) if function is _READ else _changed(answer, function)
        if reply is None:
            raise ProtocolBreach(f"{answer.code} is no answer to a {function.name.lower()}")
        return reply


def _read(answer: MetaReply) -> Reply | None:
    lease = not answer.value and (answer.won or answer.waits)
    if answer.code == "EN" or (answer.code == "VA" and (answer.stale or lease)):
        return Reply(Status.OK, Seen.MISS)
    return Reply(Status.OK, Seen.HIT, answer.value) if answer.code == "VA" else None


def _changed(answer: MetaReply, function: Function) -> Reply | None:
    done, refused = _CHANGED[function]
    if answer.code in done:
        return Reply(Status.OK)
    return Reply(Status.FAIL, error=answer.code) if answer.code in refused else None


def _words(flags: tuple[str, ...]) -> bytes:
    return b"".join(b" " + flag.encode() for flag in flags)
