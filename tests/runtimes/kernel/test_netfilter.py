"""The kernel's messages and the segments made by hand, byte by byte."""

from __future__ import annotations

import socket
import struct

from harness.runtimes.kernel.queueing import netfilter
from harness.runtimes.kernel.queueing.segments import acknowledgement


def test_attributes_are_padded_and_read_back():
    """Attributes of odd lengths follow each other at multiples of four, and their length does not count the padding."""
    packed = netfilter._attribute(1, b"x") + netfilter._attribute(10, b"hello") + netfilter._attribute(3, b"")
    assert len(packed) == 8 + 12 + 4
    assert list(netfilter._attributes(packed)) == [(1, b"x"), (10, b"hello"), (3, b"")]


def test_messages_of_one_chunk_are_told_apart():
    """Two messages that come in one read are two."""
    chunk = netfilter._message(3 << 8, 1, 7, b"abcde") + b"\0" * 3 + netfilter._message(2, 0, 0)
    assert [(kind, body[4:]) for kind, body in netfilter._messages(chunk)] == [(768, b"abcde"), (2, b"")]


def test_a_message_that_is_cut_short_ends_the_reading():
    """A chunk that ends within a header, or says that its message has no length, is read no further."""
    assert list(netfilter._messages(b"\x20\0\0")) == []
    assert list(netfilter._messages(b"\0" * 64)) == []
    assert list(netfilter._attributes(b"\0" * 16)) == []


def test_a_provoking_segment_is_a_valid_one():
    """The checksum over pseudo header and segment is right, and the segment acknowledges without data."""
    packet = acknowledgement("172.28.9.11", 40_000, "172.28.9.12", 6379)
    segment = packet[20:]
    assert (packet[12:16], packet[16:20]) == (socket.inet_aton("172.28.9.11"), socket.inet_aton("172.28.9.12"))
    assert struct.unpack("!HH", segment[:4]) == (40_000, 6379)
    assert segment[13] == 0x10
    pseudo = packet[12:20] + struct.pack("!BBH", 0, 6, len(segment))
    total = sum(struct.unpack(f"!{(len(pseudo) + len(segment)) // 2}H", pseudo + segment))
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF
