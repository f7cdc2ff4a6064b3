"""An application node with a near cache in its process; a Redis channel, the bus, tells all nodes of every write.

A write is committed at the source, then published, then acknowledged. What cannot be published is tried again. Redis delivers a
message at most once: to those who are subscribed at that moment, as far as their connection carries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from .access import OPEN, Access
from .caches import RedisCache, redis_peer
from .connections import Pool, UnreachableError
from .near_cache import NearCache
from .outbox import Outbox
from .server import Probe, RefusedError, UnknownError, describe
from .wire import Reply, encode_command, read_reply

_CHANNEL = b"anachron:invalidations"
_AGAIN_S = 0.05
"""How long a subscriber waits before it tries to subscribe again."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the node is set up; the options of the candidate ``invalidation-bus`` say what they mean."""

    node: str
    listen: tuple[str, int]
    origin: tuple[str, int]
    source: Literal["redis", "postgres"]
    bus: tuple[str, int]
    reconnect: Literal["flush", "nothing"]
    heartbeat_ms: int
    failed_publish: Literal["retry", "report", "ignore"]
    ttl_ms: int
    timeout_ms: int
    access: Access = OPEN


class Source(Protocol):
    """The source of truth. All methods raise ``OSError``; after ``UnreachableError`` certainly nothing was done."""

    async def open(self) -> None:
        """Make it ready."""

    async def get(self, key: bytes) -> bytes | None:
        """A value."""

    async def put(self, key: bytes, value: bytes) -> None:
        """Write a value."""

    async def delete(self, key: bytes) -> object:
        """Delete a key."""

    async def probe(self, mark: bytes) -> None:
        """Send a mark, return when it is answered."""


class RedisSource(RedisCache):
    """A Redis server that keeps what it is given."""

    async def open(self) -> None:
        """See ``Source``."""
        await self.get(b"anachron:canary")


class InvalidationBus:
    """See the module."""

    office = ""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        timeout_s = settings.timeout_ms / 1e3
        self._source = _source(settings, timeout_s)
        self._near = NearCache(settings.ttl_ms / 1e3)
        self._bus = redis_peer(*settings.bus, settings.access)
        self._publishers = Pool(self._bus, timeout_s)
        self._unpublished = Outbox(self._send)
        self._marks = RedisCache(*settings.bus, access=settings.access, timeout_s=timeout_s, ttl_ms=0, lease_ms=0)
        self._subscribed = asyncio.Event()
        self._subscriber: asyncio.Task[None] | None = None
        self.probes: Mapping[str, Probe] = {"bus": self._marks.probe, "origin": self._source.probe}

    async def open(self) -> None:
        """Reach the source, and subscribe."""
        await self._source.open()
        self._subscriber = self._subscriber or asyncio.create_task(self._listen())
        async with asyncio.timeout(self._settings.timeout_ms / 1e3):
            await self._subscribed.wait()

    async def read(self, key: bytes) -> bytes | None:
        """From the near cache, else from the source."""
        found = self._near.get(key) if self._in_use else None
        if found is not None:
            return found
        with self._near.filling(key) as fill:
            try:
                value = await self._source.get(key)
            except OSError as error:
                raise RefusedError(f"origin: {describe(error)}") from None
            if value is not None and self._in_use:
                self._near.put(key, value, fill)
        return value

    async def write(self, key: bytes, value: bytes) -> None:
        """Commit at the source, tell everybody."""
        try:
            await self._source.put(key, value)
        except UnreachableError as error:
            raise RefusedError(f"origin: {describe(error)}") from None
        except OSError as error:
            raise UnknownError(f"origin: {describe(error)}") from None
        finally:
            self._near.invalidate(key)  # our own message takes its time, and what failed may be committed all the same
        await self._publish(key)

    async def delete(self, key: bytes) -> int:
        """Commit at the source, tell everybody; how many keys there were is not known, so 1."""
        try:
            await self._source.delete(key)
        except UnreachableError as error:
            raise RefusedError(f"origin: {describe(error)}") from None
        except OSError as error:
            raise UnknownError(f"origin: {describe(error)}") from None
        finally:
            self._near.invalidate(key)
        await self._publish(key)
        return 1

    async def command(self, words: list[bytes]) -> Reply:
        """There is no other command."""
        raise RefusedError(f"unknown command {words[:1]}")

    @property
    def _in_use(self) -> bool:
        """Whether the near cache may be used: without a subscription only by those who do not care."""
        return self._subscribed.is_set() or self._settings.reconnect == "nothing"

    async def _publish(self, key: bytes) -> None:
        try:
            await self._send(key)
        except OSError as error:
            if self._settings.failed_publish == "retry":
                self._unpublished.add(key)
            if self._settings.failed_publish != "ignore":
                raise UnknownError(f"committed, but bus: {describe(error)}") from None

    async def _send(self, key: bytes) -> None:
        async with self._publishers.use() as connection:
            connection.writer.write(encode_command(b"PUBLISH", _CHANNEL, key))
            await read_reply(connection.reader)

    async def _listen(self) -> None:
        """Subscribe, again and again, and do what the messages say."""
        while True:
            try:
                async with asyncio.timeout(self._settings.timeout_ms / 1e3):
                    reader, writer = await self._bus.connect()
            except OSError:
                await asyncio.sleep(_AGAIN_S)
                continue
            heard = _Heard()
            beating = asyncio.create_task(self._beat(writer, heard))
            try:
                writer.write(encode_command(b"SUBSCRIBE", _CHANNEL))
                while True:
                    message = await read_reply(reader)
                    heard.now()
                    self._take(message)
            except OSError as error:
                print(f"not subscribed any more: {describe(error)}", flush=True)  # noqa: T201 - the node's log
            finally:
                beating.cancel()
                writer.transport.abort()
                self._subscribed.clear()
            await asyncio.sleep(_AGAIN_S)

    def _take(self, message: Reply | list[Reply]) -> None:
        match message:
            case [b"subscribe", *_]:
                # What was published meanwhile was published to others.
                if self._settings.reconnect == "flush":
                    self._near.flush()
                self._subscribed.set()
            case [b"message", _, bytes(key)]:
                self._near.invalidate(key)

    async def _beat(self, writer: asyncio.StreamWriter, heard: _Heard) -> None:
        """Ask the bus for a sign of life; give the connection up when two in a row are missing."""
        interval_s = self._settings.heartbeat_ms / 1e3
        while interval_s:
            writer.write(encode_command(b"PING"))
            await asyncio.sleep(interval_s)
            if heard.ago_s() > 2 * interval_s:
                writer.transport.abort()
                return


class _Heard:
    """When something was heard last."""

    def __init__(self) -> None:
        self.now()

    def now(self) -> None:
        """Something was heard."""
        self._at_s = asyncio.get_running_loop().time()

    def ago_s(self) -> float:
        """How long ago that was."""
        return asyncio.get_running_loop().time() - self._at_s


def _source(settings: Settings, timeout_s: float) -> Source:
    if settings.source == "redis":
        return RedisSource(*settings.origin, access=settings.access, timeout_s=timeout_s, ttl_ms=0, lease_ms=0)
    from .database import Database  # noqa: PLC0415 - only who has a database needs its library

    return Database(*settings.origin, access=settings.access, timeout_s=timeout_s)
