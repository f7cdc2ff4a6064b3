"""Caches that an application fills from its source of truth: one interface, over Redis and over memcached.

A *lease* is the right to fill a missing entry. One is given out at a time; a delete voids it, and a fill with a void lease is
refused: so what was read before a write can never be put into the cache after that write's delete.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from .access import OPEN, Access
from .connections import Connection, MarkedConnection, Peer, Pool
from .wire import BadReplyError, Reply, encode_command, read_reply


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to fill an entry."""

    token: bytes


class Cache(Protocol):
    """All methods raise ``OSError``: ``UnreachableError`` where the cache was certainly not asked."""

    async def get(self, key: bytes) -> bytes | None:
        """The entry."""

    async def put(self, key: bytes, value: bytes) -> None:
        """Put an entry, whatever is there."""

    async def delete(self, key: bytes) -> None:
        """Drop the entry, and void its lease."""

    async def get_or_lease(self, key: bytes) -> bytes | Lease | None:
        """The entry, else the right to fill it; None if somebody else has that right."""

    async def fill(self, key: bytes, value: bytes | None, lease: Lease) -> None:
        """Put an entry if the lease still holds; without a value give the lease back."""

    async def probe(self, mark: bytes) -> None:
        """Send a mark over a connection of its own, return when it is answered."""


class RedisCache:
    """Redis or Valkey. The lease of ``k`` is the key ``lease:k``, which only scripts touch."""

    _GET_OR_LEASE = b"""
        local value = redis.call('GET', KEYS[1])
        if value then return {1, value} end
        if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return {2, ARGV[1]} end
        return {3, ''}"""
    _FILL = b"""
        if redis.call('GET', KEYS[2]) ~= ARGV[2] then return 0 end
        redis.call('DEL', KEYS[2])
        if ARGV[1] == '' then return 1 end
        if ARGV[3] == '0' then redis.call('SET', KEYS[1], ARGV[1]) else redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3]) end
        return 1"""

    def __init__(self, host: str, port: int, *, access: Access = OPEN, timeout_s: float, ttl_ms: int, lease_ms: int) -> None:
        peer = redis_peer(host, port, access)
        self._pool = Pool(peer, timeout_s)
        self._marks = MarkedConnection(peer, _redis_mark)
        self._ttl_ms = ttl_ms
        self._lease_ms = lease_ms
        self._leases = 0

    async def get(self, key: bytes) -> bytes | None:
        """See ``Cache``."""
        reply = await self._ask(b"GET", key)
        return reply if isinstance(reply, bytes) else None

    async def put(self, key: bytes, value: bytes) -> None:
        """See ``Cache``."""
        await self._ask(b"SET", key, value, *((b"PX", b"%d" % self._ttl_ms) if self._ttl_ms else ()))

    async def delete(self, key: bytes) -> None:
        """See ``Cache``."""
        await self._ask(b"DEL", key, b"lease:" + key)

    async def get_or_lease(self, key: bytes) -> bytes | Lease | None:
        """See ``Cache``."""
        self._leases += 1
        token = b"%d:%d" % (id(self), self._leases)
        reply = await self._ask(b"EVAL", self._GET_OR_LEASE, b"2", key, b"lease:" + key, token, b"%d" % self._lease_ms)
        match reply:
            case [1, bytes(value)]:
                return value
            case [2, bytes(given)]:
                return Lease(given)
            case [3, _]:
                return None
        raise BadReplyError("no answer to a lease")

    async def fill(self, key: bytes, value: bytes | None, lease: Lease) -> None:
        """See ``Cache``."""
        await self._ask(b"EVAL", self._FILL, b"2", key, b"lease:" + key, value or b"", lease.token, b"%d" % self._ttl_ms)

    async def probe(self, mark: bytes) -> None:
        """See ``Cache``."""
        await self._marks.carry(mark)

    async def _ask(self, *words: bytes) -> Reply | list[Reply]:
        async with self._pool.use() as connection:
            connection.writer.write(encode_command(*words))
            return await read_reply(connection.reader)


class MemcachedCache:
    """memcached's meta commands; its own leases: a read of a missing entry makes an empty one that only one reader may fill."""

    def __init__(self, host: str, port: int, *, access: Access = OPEN, timeout_s: float, ttl_ms: int, lease_ms: int) -> None:
        peer = memcached_peer(host, port, access)
        self._pool = Pool(peer, timeout_s)
        self._marks = MarkedConnection(peer, _memcached_mark)
        self._ttl_s = math.ceil(ttl_ms / 1e3)
        self._lease_s = math.ceil(lease_ms / 1e3)

    async def get(self, key: bytes) -> bytes | None:
        """See ``Cache``."""
        words, value = await self._ask(b"mg %b v" % key)
        return value if words[0] == b"VA" else None

    async def put(self, key: bytes, value: bytes) -> None:
        """See ``Cache``."""
        await self._ask(b"ms %b %d T%d" % (key, len(value), self._ttl_s), value)

    async def delete(self, key: bytes) -> None:
        """See ``Cache``."""
        await self._ask(b"md %b" % key)

    async def get_or_lease(self, key: bytes) -> bytes | Lease | None:
        """See ``Cache``."""
        words, value = await self._ask(b"mg %b v c N%d" % (key, self._lease_s))
        flags = words[2:]
        if b"W" in flags:
            (token,) = (flag[1:] for flag in flags if flag[:1] == b"c")
            return Lease(token)
        return None if b"Z" in flags else value

    async def fill(self, key: bytes, value: bytes | None, lease: Lease) -> None:
        """See ``Cache``."""
        if value is None:
            await self._ask(b"md %b C%b" % (key, lease.token))
            return
        await self._ask(b"ms %b %d C%b T%d" % (key, len(value), lease.token, self._ttl_s), value)

    async def probe(self, mark: bytes) -> None:
        """See ``Cache``."""
        await self._marks.carry(mark)

    async def _ask(self, command: bytes, data: bytes | None = None) -> tuple[list[bytes], bytes]:
        """The words of the answer, and its value if it has one."""
        async with self._pool.use() as connection:
            return await _memcached_exchange(connection, command, data)


def redis_peer(host: str, port: int, access: Access = OPEN) -> Peer:
    """A Redis or Valkey server."""

    async def introduce(connection: Connection) -> None:
        who = (access.username, access.password) if access.username else (access.password,)
        connection.writer.write(encode_command(b"AUTH", *(word.encode() for word in who)))
        await read_reply(connection.reader)

    return Peer(host, port, access.to_servers(), introduce if access.password else None)


def memcached_peer(host: str, port: int, access: Access = OPEN) -> Peer:
    """A memcached server; it takes the value of a first set for who we are."""

    async def introduce(connection: Connection) -> None:
        words = f"{access.name} {access.password}".encode()
        connection.writer.write(b"set anachron:introduction 0 -1 %d\r\n%b\r\n" % (len(words), words))
        answer = await connection.reader.readline()
        if answer != b"STORED\r\n":
            raise BadReplyError(answer.decode(errors="replace").strip() or "the connection was closed")

    return Peer(host, port, access.to_servers(), introduce if access.password else None)


async def _memcached_exchange(connection: Connection, command: bytes | None, data: bytes | None) -> tuple[list[bytes], bytes]:
    if command is not None:
        connection.writer.write(command + b"\r\n" if data is None else command + b"\r\n" + data + b"\r\n")
    words = (await connection.reader.readline()).split()
    match words:
        case [b"VA", size, *_] if size.isdigit():
            return words, (await connection.reader.readexactly(int(size) + 2))[:-2]
        case [b"HD" | b"EN" | b"NF" | b"NS" | b"EX", *_]:
            return words, b""
    raise BadReplyError(b" ".join(words[:4]).decode(errors="replace") or "the connection was closed")


async def _memcached_mark(connection: Connection, mark: bytes | None) -> bytes:
    # A stored key, because only then an answer carries the mark back.
    command = None if mark is None else b"ms anachron:canary 1 T60 O%b" % mark
    words, _ = await _memcached_exchange(connection, command, b"1")
    return words[-1][1:]


async def _redis_mark(connection: Connection, mark: bytes | None) -> bytes:
    if mark is not None:
        connection.writer.write(encode_command(b"PING", mark))
    reply = await read_reply(connection.reader)
    return reply if isinstance(reply, bytes) else b""
