"""The side of an application node that clients see: a small RESP server.

It knows ``PING``, ``WHO`` (process and run of this program), ``PROBE peer mark milliseconds`` (how long, in ns, a mark takes to a
server behind it and back), and hands everything else to the application. Where there is a password, ``AUTH`` comes before all.
``MGET``, ``MSET``, and ``DEL`` of several keys, are for applications that take several keys in one request.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, runtime_checkable

from .access import OPEN, Access
from .connections import Connection, OpenEndedError, UnreachableError
from .wire import Reply, encode_error, encode_reply, read_command

Probe = Callable[[bytes], Awaitable[None]]
"""Sends a mark to one server behind the application and returns when the answer to it is there; raises ``OSError``."""

PEER = b"PEER"
"""How a connection of a peer begins, followed by its name."""

_RUN = secrets.token_hex(6)
_KEYS_AT_MOST = 100
"""How many one request may be for."""


class RefusedError(Exception):
    """The command was certainly not carried out."""


class UnknownError(Exception):
    """The command may or may not have been carried out."""


class Application(Protocol):
    """What stands behind the server.

    Attributes:
        probes: by the name of the peer.
        office: what it is among its like, once it is open: ``primary``; empty where they are all the same.
    """

    probes: Mapping[str, Probe]

    @property
    def office(self) -> str:
        """As above: it may change."""

    async def open(self) -> None:
        """Reach what is needed before the first command; raises ``OSError`` if that is not there yet."""

    async def read(self, key: bytes) -> bytes | None:
        """GET."""

    async def write(self, key: bytes, value: bytes) -> None:
        """SET."""

    async def delete(self, key: bytes) -> int:
        """DEL; how many keys there were."""

    async def command(self, words: list[bytes]) -> Reply:
        """Any other command; raises ``RefusedError`` for one it does not know."""


@runtime_checkable
class Many(Protocol):
    """An application that takes requests of several keys, none of them twice."""

    async def read_many(self, keys: list[bytes]) -> list[bytes | None]:
        """MGET."""

    async def write_many(self, items: list[tuple[bytes, bytes]]) -> None:
        """MSET, of keys and values."""

    async def delete_many(self, keys: list[bytes]) -> int:
        """DEL; how many keys there were."""


@runtime_checkable
class Peered(Protocol):
    """An application whose like connect to it, and then speak a language of their own."""

    async def converse(self, name: str, connection: Connection) -> None:
        """Speak with the one called ``name`` until ``connection`` ends."""


async def serve(application: Application, host: str, port: int, *, access: Access = OPEN) -> None:
    """Answer clients that are let in for ever; until the application is open, everything is refused."""
    is_open = asyncio.Event()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        let_in = not access.password
        try:
            while True:
                words = await read_command(reader)
                if let_in and words[:1] == [PEER] and isinstance(application, Peered):
                    await application.converse(words[1].decode(), Connection(reader, writer))
                    return
                if words[:1] == [b"AUTH"]:
                    let_in = access.introduces(words[1:])
                    answer = encode_reply("OK") if let_in else encode_error("WRONGPASS invalid username-password pair")
                elif let_in:
                    answer = await _answer(application, words, is_open=is_open.is_set())
                else:
                    answer = encode_error("NOAUTH Authentication required.")
                writer.write(answer)
                await writer.drain()
        except (EOFError, OSError, ValueError):
            pass  # the client is gone, or is no client
        finally:
            writer.close()

    server = await asyncio.start_server(converse, host, port, backlog=1024, ssl=access.to_clients())
    while not is_open.is_set():
        try:
            await application.open()
            is_open.set()
        except OSError as error:
            print(f"not open yet: {type(error).__name__}: {error}", flush=True)  # noqa: T201 - the node's log
            await asyncio.sleep(0.05)
    await server.serve_forever()


async def _answer(application: Application, words: list[bytes], *, is_open: bool) -> bytes:
    try:
        match words:
            case [b"PING"]:
                return encode_reply("PONG") if is_open else encode_error("LOADING the servers behind it are not there yet")
            case [b"PING", mark]:
                return encode_reply(mark)
            case [b"WHO"]:
                office = f", {application.office}" if is_open and application.office else ""
                return encode_reply(f"process {os.getpid()}, run {_RUN}{office}".encode())
            case _ if not is_open:
                return encode_error("LOADING the servers behind it are not there yet")
            case [b"GET", key]:
                return encode_reply(await application.read(key))
            case [b"SET", key, value]:
                await application.write(key, value)
                return encode_reply("OK")
            case [b"DEL", key]:
                return encode_reply(await application.delete(key))
            case [b"MGET" | b"MSET" | b"DEL", *_]:
                return await _answer_many(application, words)
            case [b"PROBE", peer, mark, milliseconds]:
                return encode_reply(await _probe(application, peer.decode(), mark, int(milliseconds) / 1e3))
            case _:
                return encode_reply(await application.command(words))
    except RefusedError as refused:
        return encode_error(f"TRYAGAIN {refused}")
    except UnknownError as unknown:
        return encode_error(f"ERR {unknown}")
    except Exception as error:  # noqa: BLE001 - whatever a library raises: the client is told that nobody knows
        print(f"{words[0]!r}: {error!r}", flush=True)  # noqa: T201 - the node's log
        return encode_error(f"ERR {type(error).__name__}")


async def _answer_many(application: Application, words: list[bytes]) -> bytes:
    if not isinstance(application, Many):
        return encode_error(f"ERR unknown command {words[0].decode()}")
    match words:
        case [b"MGET", *keys]:
            return encode_reply([*await application.read_many(_different(keys))])
        case [b"MSET", *both] if len(both) % 2 == 0:
            await application.write_many(list(zip(_different(both[::2]), both[1::2], strict=True)))
            return encode_reply("OK")
        case [b"DEL", *keys]:
            return encode_reply(await application.delete_many(_different(keys)))
    return encode_error("ERR wrong number of arguments")


def _different(keys: list[bytes]) -> list[bytes]:
    """The same, if they can be the keys of one request."""
    if not 1 <= len(keys) <= _KEYS_AT_MOST:
        raise RefusedError(f"a request is for 1 to {_KEYS_AT_MOST} keys")
    if len(set(keys)) < len(keys):
        raise RefusedError("a request names a key only once")
    return keys


async def _probe(application: Application, peer: str, mark: bytes, within_s: float) -> int | None:
    if peer not in application.probes:
        raise RefusedError(f"there is no peer {peer}")
    begin_ns = time.monotonic_ns()
    try:
        async with asyncio.timeout(within_s):
            await application.probes[peer](mark)
    except OSError:
        return None
    return time.monotonic_ns() - begin_ns


def describe(error: BaseException) -> str:
    """An error in a few words, without addresses, so that the same trouble is always called the same."""
    if isinstance(error, OpenEndedError):
        return describe(error.cause)
    if isinstance(error, UnreachableError):
        return "no connection"
    return "time-out" if isinstance(error, TimeoutError) else type(error).__name__
