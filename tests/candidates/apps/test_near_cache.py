"""The near cache of an application, and what it tells others later."""

from __future__ import annotations

import asyncio

from harness.candidates.apps.near_cache import NearCache
from harness.candidates.apps.outbox import Outbox


def test_what_was_filled_is_found_until_it_is_invalidated():
    """A fill without any news is kept."""
    near = NearCache(0)
    with near.filling(b"k") as fill:
        near.put(b"k", b"v", fill)
    assert near.get(b"k") == b"v"
    near.invalidate(b"k")
    assert near.get(b"k") is None


def test_a_fill_that_was_overtaken_by_news_is_not_kept():
    """What was read before an invalidation, or before a flush, never gets in; another key's news do it no harm."""
    near = NearCache(0)
    for news, kept in ((lambda: near.invalidate(b"k"), None), (near.flush, None), (lambda: near.invalidate(b"other"), b"v")):
        with near.filling(b"k") as fill:
            news()
            near.put(b"k", b"v", fill)
        assert near.get(b"k") == kept


def test_two_fills_of_a_key_know_of_each_other_nothing():
    """The end of one fill does not hide the other from news."""
    near = NearCache(0)
    with near.filling(b"k") as slow:
        with near.filling(b"k") as quick:
            near.put(b"k", b"new", quick)
        near.invalidate(b"k")
        near.put(b"k", b"old", slow)
    assert near.get(b"k") is None


def test_values_end_with_their_time():
    """A time to live of nothing is over at once."""
    near = NearCache(1e-9)
    with near.filling(b"k") as fill:
        near.put(b"k", b"v", fill)
    assert near.get(b"k") is None


def test_an_outbox_tells_of_every_key_once_it_can():
    """Keys that could not be told are told in their order when the server is back; one that came twice is told last."""

    async def scenario() -> None:
        told: list[bytes] = []
        reachable = asyncio.Event()

        async def tell(key: bytes) -> None:
            if not reachable.is_set():
                raise ConnectionError
            told.append(key)

        outbox = Outbox(tell)
        for key in (b"a", b"b", b"a"):
            outbox.add(key)
        await asyncio.sleep(0.02)
        assert told == []
        reachable.set()
        async with asyncio.timeout(10):
            while len(told) < 2:  # noqa: ASYNC110  # it can only be asked for
                await asyncio.sleep(0.005)
        assert told == [b"b", b"a"]

    asyncio.run(scenario())
