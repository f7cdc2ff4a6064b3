"""An application node that reads through a cache to PostgreSQL, with one of five ways to keep the two in step.

=====================  ====================================================================================================
``write-then-delete``  commit, then delete the entry. A reader that missed before the commit may still fill in what it read
``delete-then-write``  delete the entry, then commit. Whoever reads in between fills in what is about to be old
``set-on-write``       commit, then put the new value. Two who put may do so in another order than they committed
``double-delete``      delete, commit, and delete once more after a while, in the hope that every slow fill is over by then
``lease``              commit, then delete. A miss may be filled by one reader at a time, and a delete voids its right to;
                       the others wait and look again. A commit that was not confirmed leaves its key in doubt (see below)
=====================  ====================================================================================================

A commit that was not confirmed may still take effect, at any later time, and no reader would ever learn of it. So with ``lease``
its key is in doubt until two things are done, in this order: the database session that may yet commit has ended, and then the
entry is deleted. The other way round, a fill could get in between the delete and the commit. Both are tried again in the
background until they succeed, where failed deletes are (``failed_delete = "retry"``). The classic orders know nothing of this.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple

from .access import OPEN, Access
from .caches import Cache, Lease, MemcachedCache, RedisCache
from .connections import OpenEndedError, UnreachableError
from .database import Database
from .outbox import Outbox
from .server import Probe, RefusedError, UnknownError, describe
from .wire import Reply

_LOOK_AGAIN_S = 0.002
"""How long one who may not fill waits before it looks again."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the node is set up; the options of the candidate ``cache-aside`` say what they mean."""

    node: str
    listen: tuple[str, int]
    database: tuple[str, int]
    cache_at: tuple[str, int]
    cache: Literal["redis", "memcached"]
    strategy: Literal["write-then-delete", "delete-then-write", "set-on-write", "double-delete", "lease"]
    without_cache: Literal["database", "refuse"]
    failed_delete: Literal["retry", "report", "ignore"]
    ttl_ms: int
    lease_ms: int
    second_delete_ms: int
    fill_pause_ms: int
    fill_pause_share: float
    cache_timeout_ms: int
    database_timeout_ms: int
    access: Access = OPEN


class Doubt(NamedTuple):
    """A write of ``key`` that ``session`` may yet commit, for all that we know."""

    session: str
    key: bytes


class CacheAside:
    """See the module."""

    office = ""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database = Database(*settings.database, access=settings.access, timeout_s=settings.database_timeout_ms / 1e3)
        kind = RedisCache if settings.cache == "redis" else MemcachedCache
        self._cache: Cache = kind(
            *settings.cache_at,
            access=settings.access,
            timeout_s=settings.cache_timeout_ms / 1e3,
            ttl_ms=settings.ttl_ms,
            lease_ms=settings.lease_ms,
        )
        self._undeleted = Outbox(self._cache.delete)
        self._doubts = Outbox(self._settle)
        self._random = random.Random(settings.node)
        self._later: set[asyncio.Task[None]] = set()
        self.probes: Mapping[str, Probe] = {"cache": self._cache.probe, "db": self._database.probe}

    async def open(self) -> None:
        """Reach both, and make the tables."""
        await self._database.open()
        await self._cache.get(b"anachron:canary")

    async def read(self, key: bytes) -> bytes | None:
        """From the cache, else from the database, which then fills the cache."""
        try:
            found = await (self._leased(key) if self._settings.strategy == "lease" else self._cache.get(key))
        except OSError as error:
            if self._settings.without_cache == "refuse":
                raise RefusedError(f"cache: {describe(error)}") from None
            return await self._from_database(key)
        if isinstance(found, bytes):
            return found
        value = None
        try:
            value = await self._from_database(key)
        finally:
            await self._fill(key, value, found)
        return value

    async def _leased(self, key: bytes) -> bytes | Lease:
        """An entry or the right to fill it. Who may not fill waits: what it read itself could be newer than what is filled in."""
        deadline = asyncio.get_running_loop().time() + self._settings.lease_ms / 1e3 + self._settings.cache_timeout_ms / 1e3
        while (found := await self._cache.get_or_lease(key)) is None:
            if asyncio.get_running_loop().time() > deadline:
                raise RefusedError("cache: somebody else holds the right to fill the entry, and does not")
            await asyncio.sleep(_LOOK_AGAIN_S)
        return found

    async def _from_database(self, key: bytes) -> bytes | None:
        try:
            return await self._database.get(key)
        except OSError as error:
            raise RefusedError(f"database: {describe(error)}") from None

    async def _fill(self, key: bytes, value: bytes | None, lease: Lease | None) -> None:
        """Put what the database had into the cache; where it had nothing, the next reader asks it again."""
        if value is not None and self._random.random() < self._settings.fill_pause_share:
            await asyncio.sleep(self._settings.fill_pause_ms / 1e3)
        try:
            if lease is not None:
                await self._cache.fill(key, value, lease)
            elif value is not None:
                await self._cache.put(key, value)
        except OSError:
            pass  # the value is right all the same

    async def write(self, key: bytes, value: bytes) -> None:
        """Commit, and keep the cache in step before or after it."""
        strategy = self._settings.strategy
        if strategy in {"delete-then-write", "double-delete"}:
            await self._delete_first(key)
        with self._committing(key):
            await self._database.put(key, value)
        await self._after_commit(key, value)

    async def delete(self, key: bytes) -> int:
        """Commit a delete; the cache's entry goes as with a write."""
        strategy = self._settings.strategy
        if strategy in {"delete-then-write", "double-delete"}:
            await self._delete_first(key)
        with self._committing(key):
            deleted = await self._database.delete(key)
        await self._after_commit(key, None)
        return deleted

    @contextmanager
    def _committing(self, key: bytes) -> Iterator[None]:
        try:
            yield
        except UnreachableError as error:
            raise RefusedError(f"database: {describe(error)}") from None
        except OpenEndedError as error:
            if self._settings.strategy == "lease" and self._settings.failed_delete == "retry":
                self._doubts.add(Doubt(error.session, key))
            raise UnknownError(f"database: {describe(error)}") from None

    async def _settle(self, doubt: Doubt) -> None:
        await self._database.end(doubt.session)
        await self._cache.delete(doubt.key)

    async def _delete_first(self, key: bytes) -> None:
        try:
            await self._cache.delete(key)
        except OSError as error:
            if self._settings.failed_delete != "ignore":
                raise RefusedError(f"cache: {describe(error)}") from None

    async def _after_commit(self, key: bytes, value: bytes | None) -> None:
        """Whatever fails here, the write is committed."""
        match self._settings.strategy:
            case "delete-then-write":
                return
            case "double-delete":
                later = asyncio.create_task(self._delete_later(key))
                self._later.add(later)
                later.add_done_callback(self._later.discard)
                return
        try:
            if value is not None and self._settings.strategy == "set-on-write":
                await self._cache.put(key, value)
            else:
                await self._cache.delete(key)
        except OSError as error:
            if self._settings.failed_delete == "retry":
                self._undeleted.add(key)
            if self._settings.failed_delete != "ignore":
                raise UnknownError(f"committed, but cache: {describe(error)}") from None

    async def _delete_later(self, key: bytes) -> None:
        await asyncio.sleep(self._settings.second_delete_ms / 1e3)
        try:
            await self._cache.delete(key)
        except OSError:
            if self._settings.failed_delete == "retry":
                self._undeleted.add(key)

    async def command(self, words: list[bytes]) -> Reply:
        """``AUDIT place limit [SEAL]``: committed writes past a place, one a line: place, hex of key, hex of value or ``-``."""
        match words:
            case [b"AUDIT", place, limit, *seal]:
                rows = await self._database.audit(int(place), int(limit), seal=seal == [b"SEAL"])
                return "\n".join(f"{at} {key.hex()} {'-' if value is None else value.hex()}" for at, key, value in rows).encode()
        raise RefusedError(f"unknown command {words[:1]}")
