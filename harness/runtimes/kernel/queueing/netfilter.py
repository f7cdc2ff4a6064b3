"""What the kernel's packet filter understands: its messages, and a queue of packets that wait for a verdict.

The layouts are those of ``linux/netfilter/nfnetlink_queue.h``, ``nf_tables.h``, ``nf_tables_compat.h`` and ``xt_NFQUEUE.h``.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

_NETLINK_NETFILTER = 12
_SOL_NETLINK = 270
_NETLINK_NO_ENOBUFS = 5
_SO_RCVBUFFORCE = 33
_RECEIVE_BUFFER = 8 << 20
_CHUNK = 1 << 17

_REQUEST, _ACK, _CREATE, _APPEND = 0x1, 0x4, 0x400, 0x800
_ERROR, _BATCH_BEGIN, _BATCH_END = 0x2, 0x10, 0x11
_NFTABLES, _QUEUE = 10 << 8, 3 << 8
_NEW_RULE = _NFTABLES | 6
_PACKET, _VERDICT, _CONFIG = _QUEUE | 0, _QUEUE | 1, _QUEUE | 2
_HEADER, _ATTRIBUTE_HEADER = 16, 4
_NESTED = 0x8000
_FAMILY_IP = 2
_BYPASS = 1
_QUEUE_LENGTH = 1 << 15
"""Packets that may wait for a verdict; what comes on top of that is lost."""
_DROP, _ACCEPT = 0, 1
_FIRST_NUMBER, _LAST_NUMBER = 0x4000, 0xFFFF


class Packet(NamedTuple):
    """A packet that waits: its number in the queue, and its bytes from the IP header on."""

    number: int
    content: bytes


class Queue:
    """A queue that belongs to this process as long as it lives; it takes the first number that is free."""

    def __init__(self) -> None:
        self._socket = _connect()
        for number in range(_FIRST_NUMBER, _LAST_NUMBER + 1):
            self.number = number
            if not self._configure(_attribute(1, struct.pack("!BxH", 1, socket.AF_INET))):  # bind
                break
        else:
            raise OSError("all queue numbers are taken")
        whole_packets = _attribute(2, struct.pack("!IB", 0xFFFF, 2))
        for settings in (whole_packets, _attribute(3, struct.pack("!I", _QUEUE_LENGTH))):
            error = self._configure(settings)
            if error:
                raise OSError(error, os.strerror(error))
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """For ``select``."""
        return self._socket.fileno()

    def packets(self) -> Iterator[Packet]:
        """The packets that have come in."""
        while True:
            try:
                chunk = self._socket.recv(_CHUNK)
            except BlockingIOError:
                return
            for kind, body in _messages(chunk):
                if kind == _PACKET:
                    attributes = dict(_attributes(body[4:]))
                    yield Packet(struct.unpack_from("!I", attributes[1])[0], attributes.get(10, b""))

    def accept(self, number: int) -> None:
        """Let the packet go on."""
        self._decide(number, _ACCEPT)

    def drop(self, number: int) -> None:
        """Lose the packet."""
        self._decide(number, _DROP)

    def _decide(self, number: int, verdict: int) -> None:
        self._socket.send(_message(_VERDICT, _REQUEST, self.number, _attribute(2, struct.pack("!II", verdict, number))))

    def _configure(self, attribute: bytes) -> int:
        return _ask(self._socket, _message(_CONFIG, _REQUEST | _ACK, self.number, attribute))


def hook(table: str, chain: str, queue: int) -> None:
    """Add the rule that sends packets to ``queue``, or lets them pass if no program is there. Raises ``OSError``.

    The family is ip. Kernels without a queue expression of nftables' own have that of iptables, which nftables can use, though
    its command has no words for it.
    """
    own = _expression("queue", _attribute(1, struct.pack("!H", queue)), _attribute(2, struct.pack("!H", 1)), _flag(3))
    settings = struct.pack("=HHHxx", queue, 1, _BYPASS)
    borrowed = _expression("target", _text(1, "NFQUEUE"), _attribute(2, struct.pack("!I", 3)), _attribute(3, settings))
    error = _add_rule(table, chain, own) and _add_rule(table, chain, borrowed)
    if error:
        raise OSError(error, f"the kernel does not queue packets to programs: {os.strerror(error)}")


def _add_rule(table: str, chain: str, expression: bytes) -> int:
    rule = _text(1, table) + _text(2, chain) + _nested(4, expression)
    flags = _REQUEST | _ACK | _CREATE | _APPEND
    with _connect() as connection:
        return _ask(
            connection,
            _message(_BATCH_BEGIN, _REQUEST, 10)
            + _message(_NEW_RULE, flags, 0, rule, family=_FAMILY_IP)
            + _message(_BATCH_END, _REQUEST, 10),
        )


def _connect() -> socket.socket:
    connection = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
    connection.bind((0, 0))
    connection.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
    connection.setsockopt(_SOL_NETLINK, _NETLINK_NO_ENOBUFS, 1)
    return connection


def _ask(connection: socket.socket, request: bytes) -> int:
    """Send ``request`` and return the error number that the kernel answers with, 0 for none."""
    connection.send(request)
    while True:
        for kind, body in _messages(connection.recv(_CHUNK)):
            if kind == _ERROR:
                return -int(struct.unpack_from("=i", body)[0])


def _message(kind: int, flags: int, resource: int, content: bytes = b"", family: int = 0) -> bytes:
    body = struct.pack("!BBH", family, 0, resource) + content
    return struct.pack("=IHHII", _HEADER + len(body), kind, flags, 0, 0) + body


def _messages(chunk: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _HEADER <= len(chunk):
        length, kind = struct.unpack_from("=IH", chunk, at)
        if length < _HEADER:
            return
        yield kind, chunk[at + _HEADER : at + length]
        at += (length + 3) & ~3


def _attribute(kind: int, content: bytes) -> bytes:
    length = _ATTRIBUTE_HEADER + len(content)
    return struct.pack("=HH", length, kind) + content + b"\0" * (-length % 4)


def _attributes(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE_HEADER <= len(body):
        length, kind = struct.unpack_from("=HH", body, at)
        if length < _ATTRIBUTE_HEADER:
            return
        yield kind, body[at + _ATTRIBUTE_HEADER : at + length]
        at += (length + 3) & ~3


def _text(kind: int, text: str) -> bytes:
    return _attribute(kind, text.encode() + b"\0")


def _nested(kind: int, content: bytes) -> bytes:
    return _attribute(kind | _NESTED, content)


def _flag(kind: int) -> bytes:
    return _attribute(kind, struct.pack("!H", _BYPASS))


def _expression(name: str, *attributes: bytes) -> bytes:
    return _nested(1, _text(1, name) + _nested(2, b"".join(attributes)))
