"""Rules on messages, with real servers and plain sockets: what is lost or late although every connection is healthy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from harness.errors import UnsupportedError
from harness.runtimes.base import Endpoint, Server, Way
from harness.runtimes.messages import Action, MessageRule
from harness.runtimes.process import ProcessRuntime
from harness.topology import Link, Node, Topology

pytestmark = pytest.mark.servers

CLIENTS = Link("client", "primary")
CACHE = Topology((Node(0, "cache", "cache", "memcached", 11211),), (Link("client", "cache"),), writable=(0,), readable=(0,))
PATIENCE_S = 15
SILENCE_S = 0.15


class Caller:
    """One connection, whole lines at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, line: str) -> None:
        self.writer.write(line.encode() + b"\r\n")

    async def hear(self, lines: int = 1) -> str:
        """The next lines, with bars between them."""
        heard = [await asyncio.wait_for(self.reader.readuntil(b"\r\n"), PATIENCE_S) for _ in range(lines)]
        return "|".join(line[:-2].decode() for line in heard)

    async def ask(self, line: str, lines: int = 1) -> str:
        self.send(line)
        return await self.hear(lines)

    async def hears_nothing(self) -> bool:
        try:
            await asyncio.wait_for(self.reader.read(1), SILENCE_S)
        except TimeoutError:
            return True
        return False


@asynccontextmanager
async def calling(endpoint: Endpoint) -> AsyncIterator[Caller]:
    reader, writer = await asyncio.open_connection(*endpoint)
    try:
        yield Caller(reader, writer)
    finally:
        writer.close()


@asynccontextmanager
async def single(kit, directory) -> AsyncIterator[tuple[ProcessRuntime, Caller, Caller]]:
    """A server, a connection to it through the proxy that has spoken before any rule, and one past the proxy."""
    async with kit.opened(directory, client_proxies=True, messages=True) as runtime:
        await runtime.start(kit.server(runtime, "primary"))
        await kit.serving(runtime.endpoint("primary"))
        async with calling(runtime.via(CLIENTS)) as near, calling(runtime.endpoint("primary")) as past:
            assert await near.ask("SET k 1") == "+OK"
            yield runtime, near, past


@asynccontextmanager
async def cache(kit, directory) -> AsyncIterator[ProcessRuntime]:
    """A memcached with a proxy before it."""
    async with kit.opened(directory, client_proxies=True, messages=True, topology=CACHE) as runtime:
        host, port = runtime.endpoint("cache")
        await runtime.start(Server("cache", "memcached", ("-l", host, "-p", str(port), "-U", "0", "-u", "root", "-m", "8")))
        yield runtime


async def track(near: Caller) -> None:
    """Speak RESP3, and be told when what was read changes."""
    near.send("HELLO 3")
    near.send("CLIENT TRACKING ON")
    while await near.hear() != "+OK":  # after what the server says of itself
        pass


INVALIDATED = ">2|$10|invalidate|*1|$1|k"


def test_a_dropped_invalidation_leaves_a_near_cache_stale(tmp_path, kit):
    """The write is there, the connection answers, and the reader is never told; without the rule it is."""

    async def scenario():
        async with single(kit, tmp_path) as (runtime, near, past):
            await track(near)
            assert await near.ask("GET k", 2) == "$1|1"
            await past.ask("SET k 2")
            assert await near.hear(6) == INVALIDATED
            await runtime.meddle([CLIENTS], MessageRule(Action.DROP, "invalidate", "k"), Way.BACKWARD)
            assert await near.ask("GET k", 2) == "$1|2"
            await past.ask("SET k 3")
            assert await near.hears_nothing()
            assert await near.ask("PING") == "+PONG", "no push came before it, nor will one: a server sends in order"
            assert await runtime.meddled([CLIENTS]) == {CLIENTS: 1}
            await runtime.mend([CLIENTS])
            assert await near.ask("GET k", 2) == "$1|3"
            await past.ask("SET k 4")
            assert await near.hear(6) == INVALIDATED

    asyncio.run(scenario())


def test_a_held_answer_is_overtaken_by_its_invalidation(tmp_path, kit):
    """Who caches the answer when it comes has the old value, and was told before."""

    async def scenario():
        async with single(kit, tmp_path) as (runtime, near, past):
            await track(near)
            await runtime.meddle([CLIENTS], MessageRule(Action.HOLD, "get"), Way.BACKWARD)
            near.send("GET k")
            await kit.until_async(lambda: hit(runtime, CLIENTS))
            await past.ask("SET k 2")
            assert await near.hear(6) == INVALIDATED
            assert await near.hears_nothing()
            await runtime.mend([CLIENTS])
            assert await near.hear(2) == "$1|1"
            assert await near.ask("GET k", 2) == "$1|2"

    asyncio.run(scenario())


async def hit(runtime: ProcessRuntime, link: Link) -> bool:
    return bool((await runtime.meddled([link]))[link])


def test_every_second_delivery_is_dropped(tmp_path, kit):
    """A subscriber misses messages without a trace; those of other channels all come."""

    async def scenario():
        async with single(kit, tmp_path) as (runtime, near, past):
            assert (await near.ask("SUBSCRIBE news other", 12)).startswith("*3|$9|subscribe")
            await runtime.meddle([CLIENTS], MessageRule(Action.DROP, "message", "n*", every=2), Way.BACKWARD)
            for number in range(1, 6):
                assert await past.ask(f"PUBLISH news {number}") == ":1", "the server counts it as delivered"
                await past.ask(f"PUBLISH other {number}")
            heard = [(await near.hear(7)).split("|")[4::2] for _ in range(8)]
            assert [text for channel, text in heard if channel == "news"] == ["1", "3", "5"]
            assert [text for channel, text in heard if channel == "other"] == ["1", "2", "3", "4", "5"]
            assert await near.hears_nothing()
            assert (await runtime.traffic())[CLIENTS].matched == 5

    asyncio.run(scenario())


def test_a_write_whose_answer_is_dropped_has_happened(tmp_path, kit):
    """Its client never hears, and takes the next answer on the connection for its own."""

    async def scenario():
        async with single(kit, tmp_path) as (runtime, near, past):
            await runtime.meddle([CLIENTS], MessageRule(Action.DROP, "set", at_most=1), Way.BACKWARD)
            near.send("SET k 2")
            await kit.until_async(lambda: hit(runtime, CLIENTS))
            assert await past.ask("GET k", 2) == "$1|2"
            assert await near.ask("GET k", 2) == "$1|2"
            assert await near.ask("SET k 3") == "+OK"

    asyncio.run(scenario())


def test_a_write_whose_request_is_dropped_has_not_happened(tmp_path, kit):
    """The server never saw it: what comes next on the connection is answered under its own name."""

    async def scenario():
        async with single(kit, tmp_path) as (runtime, near, past):
            await runtime.meddle([CLIENTS], MessageRule(Action.DROP, "set"), Way.FORWARD)
            await runtime.meddle([CLIENTS], MessageRule(Action.DUPLICATE, "get"), Way.BACKWARD)
            near.send("SET k 2")
            assert await near.ask("GET k", 4) == "$1|1|$1|1"
            assert await past.ask("GET k", 2) == "$1|1"
            assert await runtime.meddled([CLIENTS]) == {CLIENTS: 2}

    asyncio.run(scenario())


def test_a_delayed_request_is_overtaken(tmp_path, kit):
    """It goes on after its time, neither sooner nor never."""

    async def scenario():
        async with single(kit, tmp_path) as (runtime, near, past):
            await runtime.meddle([CLIENTS], MessageRule(Action.DELAY, "set", delay_ns=150_000_000), Way.FORWARD)
            begin = time.monotonic()
            near.send("SET k 2")
            assert await near.ask("GET k", 2) == "$1|1"
            assert await near.hear() == "+OK"
            assert time.monotonic() - begin >= 0.15
            assert await past.ask("GET k", 2) == "$1|2"

    asyncio.run(scenario())


def test_a_held_set_lands_after_a_newer_one(tmp_path, kit):
    """A zombie: its client gave up and went away, another wrote since, and then the old value is back."""

    async def scenario():
        async with cache(kit, tmp_path) as runtime:
            link = Link("client", "cache")
            await runtime.meddle([link], MessageRule(Action.HOLD, "set", "k", at_most=1), Way.FORWARD)
            async with calling(runtime.via(link)) as dead:
                dead.send("set k 0 0 3\r\nold")
                await kit.until_async(lambda: hit(runtime, link))
            async with calling(runtime.via(link)) as alive:
                assert await alive.ask("set k 0 0 3\r\nnew") == "STORED"
                assert await alive.ask("get k", 3) == "VALUE k 0 3|new|END"
                await runtime.mend([link])

                async def zombie() -> bool:
                    return await alive.ask("get k", 3) == "VALUE k 0 3|old|END"

                await kit.until_async(zombie)

    asyncio.run(scenario())


def test_a_doubled_request_happens_twice(tmp_path, kit):
    """A counter shows it, and so does the second answer, which nobody asked for."""

    async def scenario():
        async with cache(kit, tmp_path) as runtime, calling(runtime.via(Link("client", "cache"))) as near:
            assert await near.ask("ms n 1 T60\r\n0") == "HD"
            await runtime.meddle([Link("client", "cache")], MessageRule(Action.DUPLICATE, "incr"), Way.FORWARD)
            assert await near.ask("incr n 1", 2) == "1|2"

    asyncio.run(scenario())


@pytest.mark.parametrize("diskless", ["yes", "no"])
def test_a_command_lost_from_a_replication_stream(tmp_path, kit, diskless):
    """A snapshot of either sort passes; then one key is missing at the replica, for ever, and its link is up all the time."""

    async def scenario():
        async with kit.opened(tmp_path, messages=True) as runtime:
            await kit.replicating(runtime, "--repl-diskless-sync", diskless)
            primary, replica = runtime.endpoint("primary"), runtime.endpoint("replica-1")
            await runtime.meddle([kit.link], MessageRule(Action.DROP, "set", "lost:*"), Way.BACKWARD)
            for key in ("a", "lost:1", "b"):
                assert kit.ask(primary, "SET", key, "1") == "+OK"
            await kit.until(lambda: kit.ask(replica, "GET", "b") == "1")
            assert kit.ask(replica, "GET", "a") == "1"
            assert kit.ask(replica, "GET", "lost:1") == "$-1"
            await runtime.mend([kit.link])
            kit.ask(primary, "SET", "lost:2", "1")
            await kit.until(lambda: kit.ask(replica, "GET", "lost:2") == "1")
            assert kit.ask(replica, "GET", "lost:1") == "$-1"
            assert "master_link_status:up" in kit.ask(replica, "INFO", "replication")
            traffic = (await runtime.traffic())[kit.link]
            assert (traffic.accepted, traffic.lost) == (1, 0)

    asyncio.run(scenario())


def test_rules_need_links_whose_messages_are_followed(tmp_path, kit):
    """What nobody followed from the beginning cannot be told apart, and is refused."""

    async def scenario():
        async with kit.opened(tmp_path) as runtime:
            with pytest.raises(UnsupportedError, match="cannot be told apart"):
                await runtime.meddle([kit.link], MessageRule(Action.DROP))

    asyncio.run(scenario())
