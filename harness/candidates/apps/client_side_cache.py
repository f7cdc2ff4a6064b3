"""An application node that reads and writes through redis-py, whose own client-side cache answers repeated reads.

Nothing of the cache is ours: redis-py turns tracking on (RESP3), keeps what it read, and drops what the server names as changed
on the connection that had read it. It looks for such news when it uses that connection.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.cache import CacheConfig
from redis.connection import CacheProxyConnection
from redis.retry import Retry

from .access import AUTHORITY, OPEN, Access
from .caches import RedisCache
from .server import Probe, RefusedError, UnknownError
from .wire import Reply

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Settings:
    """How the node is set up; the options of the candidate ``client-side-cache`` say what they mean."""

    node: str
    listen: tuple[str, int]
    server: tuple[str, int]
    kind: Literal["redis", "valkey"]
    check_version: bool
    threads: int
    retries: int
    entries: int
    timeout_ms: int
    access: Access = OPEN


class ClientSideCache:
    """See the module. The library blocks, so each command has a thread."""

    office = ""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        if not settings.check_version:
            CacheProxyConnection.MIN_ALLOWED_VERSION = "6.0.0"  # the first release with tracking
            CacheProxyConnection.DEFAULT_SERVER_NAME = settings.kind
        host, port = settings.server
        timeout_s = settings.timeout_ms / 1e3
        access = settings.access
        self._client = redis.Redis(
            host=host,
            port=port,
            username=access.username or None,
            password=access.password or None,
            protocol=3,
            cache_config=CacheConfig(max_size=settings.entries),
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), settings.retries),
            ssl=access.tls,
            ssl_ca_certs=AUTHORITY if access.tls else None,
            ssl_check_hostname=False,  # servers are reached at many addresses, and the authority vouches for nobody else
        )
        self._threads = ThreadPoolExecutor(settings.threads)
        self._marks = RedisCache(host, port, access=access, timeout_s=timeout_s, ttl_ms=0, lease_ms=0)
        self.probes: Mapping[str, Probe] = {"server": self._marks.probe}

    async def open(self) -> None:
        """Reach the server."""
        try:
            await self._in_thread(self._client.ping)
        except redis.ConnectionError as error:
            if "client-side caching is supported" in str(error):
                sys.exit(f"redis-py refuses this server: {error}")
            raise ConnectionError(str(error)) from None

    async def read(self, key: bytes) -> bytes | None:
        """GET, which the library may answer by itself."""
        try:
            found = await self._in_thread(lambda: self._client.get(key))
        except redis.RedisError as error:
            raise RefusedError(f"server: {type(error).__name__}") from None
        return found if isinstance(found, bytes) else None

    async def write(self, key: bytes, value: bytes) -> None:
        """SET."""
        try:
            await self._in_thread(lambda: self._client.set(key, value))
        except redis.RedisError as error:
            raise UnknownError(f"server: {type(error).__name__}") from None

    async def delete(self, key: bytes) -> int:
        """DEL."""
        try:
            deleted = await self._in_thread(lambda: self._client.delete(key))
        except redis.RedisError as error:
            raise UnknownError(f"server: {type(error).__name__}") from None
        return deleted if isinstance(deleted, int) else 0

    async def command(self, words: list[bytes]) -> Reply:
        """``VERSION``: of the library."""
        if words == [b"VERSION"]:
            return f"redis-py {redis.__version__}".encode()
        raise RefusedError(f"unknown command {words[:1]}")

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)
