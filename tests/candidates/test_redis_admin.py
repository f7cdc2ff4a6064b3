"""The harness's own connections, against servers that misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from harness.candidates.asking import UnusableAnswerError
from harness.candidates.redis_admin import Admin
from harness.runtimes.base import Endpoint

MS = 1_000_000
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def against(behaviour: Behaviour, use: Callable[[Admin], Awaitable[None]]) -> int:
    """Let ``use`` talk to a server that behaves as told; how many connections it made."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            await behaviour(reader, writer)
        finally:
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        admin = Admin(Endpoint(*server.sockets[0].getsockname()))
        try:
            await asyncio.wait_for(use(admin), 10)
        finally:
            admin.close()
            server.close()

    asyncio.run(run())
    return connections


async def command(reader: asyncio.StreamReader) -> list[bytes]:
    """The words of the next command."""
    count = int((await reader.readline())[1:])
    words = []
    for _ in range(count):
        size = int((await reader.readline())[1:])
        words.append((await reader.readexactly(size + 2))[:-2])
    return words


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        try:
            words = await command(reader)
        except (asyncio.IncompleteReadError, ValueError):
            return
        writer.write(b"+" + words[-1] + b"\r\n")


def test_one_connection_is_kept():
    """Call after call goes over the connection that is there, also when several ask at once."""

    async def use(admin: Admin) -> None:
        assert await admin.call("A", "1") == "1"
        assert await asyncio.gather(*(admin.call("A", str(n)) for n in range(20))) == [str(n) for n in range(20)]

    assert against(echo, use) == 1


def test_an_answer_that_comes_late_is_not_taken_for_the_next_one():
    """A time-out keeps the connection, and every later answer goes to its own question."""

    async def slow_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await command(reader)
        await asyncio.sleep(0.2)
        writer.write(b"+" + first[-1] + b"\r\n")
        await echo(reader, writer)

    async def use(admin: Admin) -> None:
        with pytest.raises(TimeoutError, match="did not answer A within 50ms"):
            await admin.call("A", "late", within_ns=50 * MS)
        assert await admin.call("A", "next", within_ns=5_000 * MS) == "next"
        assert await admin.call("A", "last") == "last"

    assert against(slow_first, use) == 1


def test_a_silent_server_is_an_error_within_the_time():
    """Nobody waits for ever."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        await reader.read()

    async def use(admin: Admin) -> None:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await admin.call("PING", within_ns=20 * MS)

    assert against(silent, use) == 1


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad\r\n\r\n", bytes(range(256)) * 10, b"*4000000000\r\n", b"$abc\r\n"])
def test_garbage_is_an_error(garbage):
    """A server that talks nonsense, or another protocol, is no reason to crash."""

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(garbage)
        await reader.read()

    async def use(admin: Admin) -> None:
        for _ in range(2):
            with pytest.raises(OSError, match=r"garbage|did not answer"):
                await admin.call("PING", within_ns=200 * MS)

    against(babble, use)


def test_an_error_reply_is_an_error():
    """``-LOADING`` is not an answer to PING."""

    async def loading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await command(reader)
        writer.write(b"-LOADING the dataset\r\n")
        await reader.read()

    async def use(admin: Admin) -> None:
        with pytest.raises(UnusableAnswerError, match="answered PING with LOADING the dataset"):
            await admin.call("PING")

    against(loading, use)


def test_a_closed_connection_is_opened_anew():
    """A server that hangs up is an error once, and asked again on a new connection."""

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"+" + (await command(reader))[-1] + b"\r\n")
        await command(reader)

    async def use(admin: Admin) -> None:
        for n in range(3):
            assert await admin.call("A", str(n)) == str(n)
            with pytest.raises(ConnectionError):
                await admin.call("A", "more")

    assert against(once, use) == 3


@pytest.mark.parametrize("answer", [b"$3\r\na:b\r\n", b":7\r\n", b"*0\r\n", b"$-1\r\n"])
def test_info_without_the_field_is_an_error(answer):
    """What should be a number and is not, is not guessed."""

    async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await command(reader)
        writer.write(answer)
        await reader.read()

    async def use(admin: Admin) -> None:
        with pytest.raises(UnusableAnswerError):
            await admin.info_number("replication", "master_repl_offset")

    against(odd, use)
