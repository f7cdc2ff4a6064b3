"""The caches that applications fill, on real servers: what a lease allows, and what it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from harness.candidates.app_nodes import app_topology
from harness.candidates.apps.caches import Cache, Lease, MemcachedCache, RedisCache
from harness.candidates.apps.connections import UnreachableError
from harness.candidates.backends import Backend, MemcachedBackend, RedisBackend
from harness.candidates.redis_access import Guard
from harness.clients.access import OPEN
from harness.runtimes.process import ProcessRuntime
from harness.topology import Node

pytestmark = [pytest.mark.servers, pytest.mark.parametrize("kind", ["redis", "memcached"])]

GUARD = Guard(OPEN, tls=False)


def on(kind: str, directory: Path, use: Callable[[Cache, ProcessRuntime], Awaitable[None]]) -> None:
    """Let ``use`` have a cache on a server of its own."""

    async def scenario() -> None:
        runtime = ProcessRuntime(directory)
        await runtime.open(app_topology(1, Node(0, "cache", "cache")))
        endpoint = runtime.endpoint("cache")
        backend: Backend = (
            MemcachedBackend("cache", "", endpoint, GUARD)
            if kind == "memcached"
            else RedisBackend("cache", "redis", "", endpoint, GUARD)
        )
        try:
            await runtime.start(backend.server(runtime))
            async with asyncio.timeout(20):
                while True:
                    try:
                        await backend.identity()
                        break
                    except OSError:
                        await asyncio.sleep(0.01)
                assert (await backend.product()).lower().startswith(kind)
                made = MemcachedCache if kind == "memcached" else RedisCache
                await use(made(*endpoint, timeout_s=0.5, ttl_ms=0, lease_ms=60_000), runtime)
        finally:
            backend.close()
            await runtime.close()

    asyncio.run(scenario())


def test_entries_are_put_found_and_deleted(kind, tmp_path):
    """Any bytes, and nothing where nothing is."""

    async def use(cache: Cache, _: ProcessRuntime) -> None:
        assert await cache.get(b"k") is None
        await cache.put(b"k", b"a\r\nb")
        assert await cache.get(b"k") == b"a\r\nb"
        assert await cache.get_or_lease(b"k") == b"a\r\nb"
        await cache.delete(b"k")
        await cache.delete(b"k")
        assert await cache.get(b"k") is None

    on(kind, tmp_path, use)


def test_one_reader_at_a_time_may_fill(kind, tmp_path):
    """The others get nothing until the entry is filled, or the lease is given back."""

    async def use(cache: Cache, _: ProcessRuntime) -> None:
        first = await cache.get_or_lease(b"k")
        assert isinstance(first, Lease)
        assert await cache.get_or_lease(b"k") is None
        await cache.fill(b"k", None, first)
        second = await cache.get_or_lease(b"k")
        assert isinstance(second, Lease)
        await cache.fill(b"k", b"v", second)
        assert await cache.get_or_lease(b"k") == b"v"

    on(kind, tmp_path, use)


def test_a_delete_voids_the_right_to_fill(kind, tmp_path):
    """A late fill is refused, whether or not somebody else has the right meanwhile, and even after he has filled."""

    async def use(cache: Cache, _: ProcessRuntime) -> None:
        late = await cache.get_or_lease(b"k")
        assert isinstance(late, Lease)
        await cache.delete(b"k")
        await cache.fill(b"k", b"old", late)
        assert await cache.get(b"k") is None
        fresh = await cache.get_or_lease(b"k")
        assert isinstance(fresh, Lease)
        await cache.fill(b"k", b"old", late)
        await cache.fill(b"k", None, late)
        await cache.fill(b"k", b"new", fresh)
        await cache.fill(b"k", b"old", late)
        assert await cache.get(b"k") == b"new"

    on(kind, tmp_path, use)


def test_a_mark_crosses_while_the_server_lives_and_connections_heal(kind, tmp_path):
    """A dead server is unreachable, so that certainly nothing was asked; when it is back the next question reaches it."""

    async def use(cache: Cache, runtime: ProcessRuntime) -> None:
        for mark in (b"1", b"2"):
            await cache.probe(mark)
        await cache.put(b"k", b"v")
        await runtime.kill("cache")
        with pytest.raises(OSError, match=r".*"):
            await cache.probe(b"3")
        with pytest.raises(UnreachableError):
            await cache.get(b"k")
        await runtime.restart("cache", keep_data=True)
        while True:
            try:
                await cache.probe(b"4")
                break
            except OSError:
                await asyncio.sleep(0.01)
        assert await cache.get(b"k") is None

    on(kind, tmp_path, use)
