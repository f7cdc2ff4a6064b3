"""The server that clients of an application node see, driven by the driver's own codec."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from harness.candidates.apps.connections import UnreachableError
from harness.candidates.apps.server import Application, Probe, RefusedError, UnknownError, describe, serve
from harness.candidates.apps.wire import BadReplyError, encode_command, read_reply
from harness.clients.resp import Resp
from harness.history import Function, Seen, Status


class Odd:
    """An application that does what the key says."""

    probes: Mapping[str, Probe] = {}

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.opened = 0

    async def open(self) -> None:
        self.opened += 1
        if self.opened < 3:
            raise ConnectionRefusedError

    async def read(self, key: bytes) -> bytes | None:
        _do(key)
        return self.values.get(key)

    async def write(self, key: bytes, value: bytes) -> None:
        _do(key)
        self.values[key] = value

    async def delete(self, key: bytes) -> int:
        return int(self.values.pop(key, None) is not None)

    async def command(self, words: list[bytes]) -> None:
        raise RefusedError(f"unknown command {words[:1]}")


def _do(key: bytes) -> None:
    errors = {b"refused": RefusedError("database: time-out"), b"unknown": UnknownError("a\r\nb"), b"bug": KeyError("k")}
    if key in errors:
        raise errors[key]


class OddMany(Odd):
    """The same with several keys at once."""

    async def read_many(self, keys: list[bytes]) -> list[bytes | None]:
        return [await self.read(key) for key in keys]

    async def write_many(self, items: list[tuple[bytes, bytes]]) -> None:
        for key, value in items:
            await self.write(key, value)

    async def delete_many(self, keys: list[bytes]) -> int:
        return sum([await self.delete(key) for key in keys])


@asynccontextmanager
async def conversation(application: Application) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection with ``application``, once it is open."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    serving = asyncio.create_task(serve(application, "127.0.0.1", port))
    try:
        async with asyncio.timeout(10):
            while True:
                try:
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                    break
                except ConnectionRefusedError:
                    await asyncio.sleep(0.005)
            while True:
                writer.write(encode_command(b"PING"))
                try:
                    assert await read_reply(reader) == "PONG"
                    break
                except BadReplyError as error:
                    assert str(error).startswith("LOADING")  # noqa: PT017 - there may be none
                    await asyncio.sleep(0.01)
            yield reader, writer
        writer.close()
    finally:
        serving.cancel()


async def answers(*asked: tuple[Function, bytes, bytes]) -> list[object]:
    """What the codec makes of the answers to one conversation."""
    replies = []
    async with conversation(Odd()) as (reader, writer):
        codec = Resp()
        for function, key, value in asked:
            writer.write(codec.request(function, key, value))
            reply = None
            while reply is None:
                reply = codec.feed(await reader.read(1 << 16), function)
            replies.append(reply)
    return replies


async def said(application: Application, *commands: bytes) -> list[object]:
    """The answers of ``application`` to some commands, errors as text."""
    replies: list[object] = []
    async with conversation(application) as (reader, writer):
        for command in commands:
            writer.write(encode_command(*command.split()))
            try:
                replies.append(await read_reply(reader))
            except BadReplyError as error:
                replies.append(str(error))
    return replies


def test_the_codec_understands_every_answer():
    """Values, misses, deletes; a refusal is fail, and all other errors are info, whatever went wrong inside."""
    got = asyncio.run(
        answers(
            (Function.WRITE, b"k", b"k|1|7"),
            (Function.READ, b"k", b""),
            (Function.DELETE, b"k", b""),
            (Function.READ, b"k", b""),
            (Function.WRITE, b"refused", b"v"),
            (Function.WRITE, b"unknown", b"v"),
            (Function.READ, b"bug", b""),
        )
    )
    assert [reply.status for reply in got] == [*[Status.OK] * 4, Status.FAIL, Status.INFO, Status.INFO]
    assert (got[1].seen, got[1].value, got[3].seen) == (Seen.HIT, b"k|1|7", Seen.MISS)
    assert [reply.error for reply in got[4:]] == ["TRYAGAIN database: time-out", "ERR a b", "ERR KeyError"]


def test_several_keys_are_one_request_and_one_answer():
    """A value or nothing for each key in order; an error is the whole request's, and so is what cannot be one."""
    commands = [
        b"MSET a a|1|1 b b|1|2", b"MGET b none a", b"MGET a refused", b"MSET a a|2|3 unknown v", b"GET a",
        b"DEL a none b", b"MGET a b", b"MSET a", b"MGET", b"MGET a a", b"MGET " + b" ".join(b"%d" % key for key in range(101)),
    ]  # fmt: skip
    wrong, too_many, twice = (
        "ERR wrong number of arguments", "TRYAGAIN a request is for 1 to 100 keys", "TRYAGAIN a request names a key only once"
    )  # fmt: skip
    assert asyncio.run(said(OddMany(), *commands)) == [
        "OK", [b"b|1|2", None, b"a|1|1"], "TRYAGAIN database: time-out", "ERR a b", b"a|2|3",
        2, [None, None], wrong, too_many, twice, too_many,
    ]  # fmt: skip


def test_who_takes_one_key_at_a_time_does_not_know_the_others():
    """As servers say it, so that clients know that nothing was done."""
    unknown = [f"ERR unknown command {word}" for word in ("MGET", "MSET", "DEL")]
    assert asyncio.run(said(Odd(), b"MGET a b", b"MSET a v", b"DEL a b")) == unknown


def test_errors_have_names_that_do_not_vary():
    """A time-out is one, however it came; no connection is told apart, because then nothing was sent."""
    assert describe(TimeoutError("1.2.3.4")) == "time-out"
    assert describe(UnreachableError("no connection: x")) == "no connection"
    assert describe(ConnectionResetError(104, "x")) == "ConnectionResetError"


@pytest.mark.parametrize("reply", [b"", b"?x\r\n", b"-ERR no\r\n", b"$5\r\nab", b":x\r\n", b"*1\r\n:1"])
def test_replies_that_are_none_are_errors(reply):
    """Garbage from a server, or half a reply, is an ``OSError``."""

    async def scenario() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(reply)
        reader.feed_eof()
        with pytest.raises(OSError):  # noqa: PT011 - any of them
            await read_reply(reader)

    asyncio.run(scenario())
