"""RESP as both ends of a connection speak it: commands are lists of words, replies are text, numbers, bytes or nothing."""

from __future__ import annotations

import asyncio

Reply = str | int | bytes | None
"""A status line, a number, a value, or no value."""
Replies = Reply | list[Reply]
"""A reply, or a list of them."""


class BadReplyError(OSError):
    """What came is an error, or no reply at all."""


def encode_command(*words: bytes) -> bytes:
    """A command's bytes."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def encode_reply(reply: Replies) -> bytes:
    """A reply's bytes."""
    match reply:
        case None:
            return b"$-1\r\n"
        case str():
            return b"+%b\r\n" % reply.encode()
        case int():
            return b":%d\r\n" % reply
        case list():
            return b"*%d\r\n%b" % (len(reply), b"".join(map(encode_reply, reply)))
        case _:
            return b"$%d\r\n%b\r\n" % (len(reply), reply)


def encode_error(text: str) -> bytes:
    """An error's bytes; its first word tells what kind it is."""
    return b"-%b\r\n" % " ".join(text.split()).encode()


async def read_command(reader: asyncio.StreamReader) -> list[bytes]:
    """The words of the next command; raises ``ValueError`` if it is none, and ``EOFError`` if none comes any more."""
    words = []
    for _ in range(_number(await reader.readline(), b"*")):
        size = _number(await reader.readline(), b"$")
        words.append((await reader.readexactly(size + 2))[:-2])
    return words


async def read_reply(reader: asyncio.StreamReader) -> Replies:
    """The next reply; raises ``OSError`` if it is an error or the connection ends."""
    line = await reader.readline()
    kind, rest = line[:1], line[1:-2]
    try:
        match kind:
            case b"+":
                return rest.decode()
            case b":":
                return int(rest)
            case b"$":
                return None if rest == b"-1" else (await reader.readexactly(int(rest) + 2))[:-2]
            case b"*":
                replies = [await read_reply(reader) for _ in range(int(rest))]
                return [None if isinstance(reply, list) else reply for reply in replies]
    except (ValueError, asyncio.IncompleteReadError) as error:
        raise BadReplyError(f"no reply of this protocol: {error}") from None
    raise BadReplyError(rest.decode(errors="replace") if kind == b"-" else f"no reply of this protocol: {line[:80]!r}")


def _number(line: bytes, kind: bytes) -> int:
    if not line:
        raise EOFError
    if line[:1] != kind:
        raise ValueError(f"{line[:80]!r} does not begin with {kind!r}")
    return int(line[1:])
