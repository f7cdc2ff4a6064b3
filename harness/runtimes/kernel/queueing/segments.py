"""TCP segments made by hand."""

from __future__ import annotations

import socket
import struct

MARK = 0x616E6163
"""What the queue program sends itself carries this mark; the rules let it pass."""

_ACK = 0x10
_WINDOW = 1024


def acknowledgement(source: str, source_port: int, target: str, target_port: int) -> bytes:
    """An IP packet with a TCP segment that fits into no connection; the target of one answers it with what it expects instead.

    The numbers are far from any that a connection is likely to be at; if they fit after all, nothing happens.
    """
    addresses = socket.inet_aton(source) + socket.inet_aton(target)
    header = struct.pack("!HHIIBBHHH", source_port, target_port, 0, 0, 5 << 4, _ACK, _WINDOW, 0, 0)
    pseudo = addresses + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(header))
    segment = header[:16] + struct.pack("!H", _checksum(pseudo + header)) + header[18:]
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0, 64, socket.IPPROTO_TCP, 0)
    return ip + addresses + segment  # the kernel fills in the checksum of the IP header


def _checksum(content: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(content) // 2}H", content))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
