"""What an application does for a key when it does not know whether its write was committed."""

from __future__ import annotations

import asyncio

import pytest

from harness.candidates.apps import cache_aside
from harness.candidates.apps.cache_aside import CacheAside, Settings
from harness.candidates.apps.connections import OpenEndedError, UnreachableError
from harness.candidates.apps.server import RefusedError, UnknownError


class Servers:
    """Database and cache in one, to see the order of what they are asked; ``failing`` says how often each thing fails."""

    def __init__(self, failing: dict[str, int], error: OSError) -> None:
        self.failing = failing
        self.error = error
        self.asked: list[str] = []
        self.probe = None

    async def put(self, *_: bytes) -> None:
        raise self.error

    async def delete(self, key: bytes) -> int:
        self._ask(f"delete {key.decode()}")
        return 1

    async def end(self, session: str) -> None:
        self._ask(f"end {session}")

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.failing.get(what, 0):
            self.failing[what] -= 1
            raise TimeoutError


async def asked_after_a_write(servers: Servers, monkeypatch, raises, **settings: str) -> list[str]:
    """All that the servers are asked after a write of ``k`` that ``raises``."""
    monkeypatch.setattr(cache_aside, "Database", lambda *_, **__: servers)
    monkeypatch.setattr(cache_aside, "RedisCache", lambda *_, **__: servers)
    chosen = {"strategy": "lease", "failed_delete": "retry", **settings}
    nowhere = ("127.0.0.1", 1)
    app = CacheAside(
        Settings(
            node="app-1",
            listen=nowhere,
            database=nowhere,
            cache_at=nowhere,
            cache="redis",
            without_cache="refuse",
            ttl_ms=0,
            lease_ms=2_000,
            second_delete_ms=500,
            fill_pause_ms=0,
            fill_pause_share=0.0,
            cache_timeout_ms=100,
            database_timeout_ms=1_000,
            **chosen,
        )
    )
    with pytest.raises(raises):
        await app.write(b"k", b"k|1|1")
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others, timeout=10)
    return servers.asked


def test_a_key_in_doubt_is_deleted_once_the_session_has_ended(monkeypatch):
    """First the session ends, then the entry goes, each again until it is done; after a failed delete all begins anew."""
    servers = Servers({"end s": 2, "delete k": 1}, OpenEndedError("s", TimeoutError()))
    asked = asyncio.run(asked_after_a_write(servers, monkeypatch, UnknownError))
    assert asked == ["end s", "end s", "end s", "delete k", "end s", "delete k"]


def test_a_write_that_was_never_sent_leaves_no_doubt(monkeypatch):
    """It is refused, and nothing is to be done."""
    assert asyncio.run(asked_after_a_write(Servers({}, UnreachableError()), monkeypatch, RefusedError)) == []


@pytest.mark.parametrize(
    "settings", [{"strategy": "write-then-delete"}, {"strategy": "set-on-write"}, {"failed_delete": "report"}]
)
def test_the_classic_orders_do_nothing_about_doubts(monkeypatch, settings):
    """Nor does a node that was told to try nothing again."""
    servers = Servers({}, OpenEndedError("s", TimeoutError()))
    assert asyncio.run(asked_after_a_write(servers, monkeypatch, UnknownError, **settings)) == []
