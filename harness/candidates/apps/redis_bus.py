"""Redis as the bus of a reference fleet: a channel for what is delivered at most once, a stream for what can be had again.

A script numbers each event and passes it on in one step. The number's key dies with the server, and the server's run id with it:
so whoever listens can tell that the count has begun again. Each listener asks for the number now and then; that is its beat.
"""

from __future__ import annotations

import asyncio
from typing import Any

from harness.reference.codec import decode, encode
from harness.reference.messages import Beat, Count, Delivery, Publish, Redeliver

from .access import Access
from .caches import RedisCache, redis_peer
from .connections import Pool
from .server import describe
from .service import Hear
from .wire import BadReplyError, Reply, encode_command, read_reply

_AGAIN_S = 0.05
_COUNT, _CHANNEL, _STREAM = b"anachron:events", b"anachron:channel", b"anachron:stream"
_PUBLISH = b"""
    local number = redis.call('INCR', KEYS[1])
    redis.call('PUBLISH', KEYS[2], number .. ' ' .. ARGV[1])
    return number"""
_APPEND = b"""
    local number = redis.call('INCR', KEYS[1])
    redis.call('XADD', KEYS[3], number .. '-0', 'event', ARGV[1])
    redis.call('PUBLISH', KEYS[2], number .. ' ' .. ARGV[1])
    return number"""
_RANGE = b"""
    local found = {}
    for _, entry in ipairs(redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', 1000)) do
      found[#found + 1] = string.match(entry[1], '%d+') .. ' ' .. entry[2][2]
    end
    return found"""


class RedisBus:
    """See ``service.Service``.

    Args:
        kept: whether what was missed can be had again.
        heartbeat_s: how often the number is asked for.
        timeout_s: how long an answer may take.
    """

    def __init__(self, host: str, port: int, *, access: Access, kept: bool, heartbeat_s: float, timeout_s: float) -> None:
        self._peer = redis_peer(host, port, access)
        self._pool = Pool(self._peer, timeout_s)
        self._marks = RedisCache(host, port, access=access, timeout_s=timeout_s, ttl_ms=0, lease_ms=0)
        self._script = _APPEND if kept else _PUBLISH
        self._heartbeat_s = heartbeat_s
        self._timeout_s = timeout_s
        self._run = 0
        self._hear: Hear = _nobody
        self._subscribed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, hear: Hear) -> None:
        """Subscribe, and begin to ask for the number."""
        self._hear = hear
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._beat())]
        async with asyncio.timeout(self._timeout_s):
            await self._subscribed.wait()

    async def ask(self, request: Any) -> Any:
        """Publish an event, or tell how many there were."""
        match request:
            case Publish(event):
                return await self.publish(event)
            case Count():
                return await self._count()
        raise TypeError(f"a bus does not understand {request!r}")

    async def publish(self, event: Any) -> Reply:
        """Pass ``event`` on to all who listen; its number."""
        return await self._call(b"EVAL", self._script, b"3", _COUNT, _CHANNEL, _STREAM, encode(event))

    async def tell(self, message: Any) -> None:
        """Deliver again."""
        if not isinstance(message, Redeliver):
            raise TypeError(f"a bus does not understand {message!r}")
        for entry in await self._list(b"EVAL", _RANGE, b"1", _STREAM, b"%d-0" % message.number):
            if isinstance(entry, bytes):
                self._deliver(entry)

    async def probe(self, mark: bytes) -> None:
        """See ``service.Service``."""
        await self._marks.probe(mark)

    async def _count(self) -> int:
        answer = await self._call(b"GET", _COUNT)
        return int(answer) if isinstance(answer, bytes) else 0

    async def _call(self, *words: bytes) -> Reply:
        async with self._pool.use() as connection:
            connection.writer.write(encode_command(*words))
            reply = await read_reply(connection.reader)
        if isinstance(reply, list):
            raise BadReplyError("a list in place of a value")
        return reply

    async def _list(self, *words: bytes) -> list[Reply]:
        async with self._pool.use() as connection:
            connection.writer.write(encode_command(*words))
            reply = await read_reply(connection.reader)
        return reply if isinstance(reply, list) else []

    async def _beat(self) -> None:
        """Ask which run of the server it is, and for the number; what is not answered is no beat."""
        while True:
            try:
                self._run = await self._which_run()
                self._hear(Beat(await self._count(), self._run))
            except OSError as error:
                print(f"no beat: {describe(error)}", flush=True)  # noqa: T201 - the node's log
            await asyncio.sleep(self._heartbeat_s)

    async def _which_run(self) -> int:
        answer = await self._call(b"INFO", b"server")
        lines = answer.decode().splitlines() if isinstance(answer, bytes) else []
        (run,) = [line.partition(":")[2] for line in lines if line.startswith("run_id:")] or ["0"]
        return int(run[:8], 16)

    async def _listen(self) -> None:
        """Subscribe, again and again, and pass on what is published."""
        while True:
            try:
                async with asyncio.timeout(self._timeout_s):
                    self._run = await self._which_run()
                    connection = await self._peer.connect()
                connection.writer.write(encode_command(b"SUBSCRIBE", _CHANNEL))
                while True:
                    match await read_reply(connection.reader):
                        case [b"subscribe", *_]:
                            self._subscribed.set()
                        case [b"message", _, bytes(entry)]:
                            self._deliver(entry)
            except OSError as error:
                print(f"not subscribed: {describe(error)}", flush=True)  # noqa: T201 - the node's log
            await asyncio.sleep(_AGAIN_S)

    def _deliver(self, entry: bytes) -> None:
        number, _, event = entry.partition(b" ")
        self._hear(Delivery(int(number), decode(event), self._run))


def _nobody(_: Any) -> None:
    """Nobody listens yet."""
