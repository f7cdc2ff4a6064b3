"""One place of a reference fleet as a process: its actor's flows on asyncio, its messages over sockets.

Two places that are linked have one connection, which one of them opens and both speak on, in order: messages, requests, replies.
Without it nothing is sent; as in the simulation, whoever wants something to arrive asks again. One on which nothing is heard for
a while is given up: after a cut, a new one is there sooner than the system repeats what the old one owes.

A process that begins where another one died knows that there was one, and nothing more: a mark is all that it has on its disk.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from harness.reference.codec import decode, encode
from harness.reference.deadlines import Act
from harness.reference.effects import Flow, Refused, Unreachable
from harness.reference.gates import Gates
from harness.reference.host import Host, Make, Waiting
from harness.reference.rules import Rule, kind_of, kind_of_reply, striking
from harness.reference.settings import Settings

from .connections import Connection, Peer
from .counts import Counts
from .server import PEER
from .service import Service
from .wire import encode_command, read_command

_HEAR, _ASK, _REPLY, _REFUSE, _BEAT = b"HEAR", b"ASK", b"REPLY", b"REFUSE", b"BEAT"
_FORGET = 10_000
_DOUBLE_S = 0.01
"""How long after a message its double follows."""
_AGAIN_S = 0.05
"""How long a place waits before it tries to connect again."""
_MARK = Path("began")
"""In the working directory: a process before this one has begun here. Nothing else of it is on the disk."""


class LoopTimer:
    """The machine's monotonic clock, and the event loop that waits for it."""

    @property
    def now_ns(self) -> int:
        """See ``harness.reference.deadlines.Timer``."""
        return time.monotonic_ns()

    def at(self, time_ns: int, act: Act, argument: Any = None) -> None:
        """See ``harness.reference.deadlines.Timer``."""
        asyncio.get_running_loop().call_later(max(0, time_ns - time.monotonic_ns()) / 1e9, act, argument)


class LivePlace(Host):
    """A host whose network is real.

    Args:
        dial: the places that this one opens connections to, by name; the others open theirs to it.
        services: the servers that play the part of a place, by its name.

    Attributes:
        role: who it says it is, beside its process.
        gates: at which its flows can be held.
        rules: what is done to single messages on their way to another place, by its name.
        counts: what it has sent and served so far.
    """

    def __init__(
        self,
        name: str,
        make: Make,
        *,
        dial: Mapping[str, Peer],
        services: Mapping[str, Service],
        nodes: tuple[str, ...],
        settings: Settings,
    ) -> None:
        self.role = ""
        self.gates = Gates()
        self.rules: dict[str, list[Rule]] = {}
        self.counts = Counts()
        self._dial = dial
        self._services = services
        self._timeout_s = settings.call_timeout_ns / 1e9
        self._silence_s = settings.silence_ns / 1e9
        self._exchanges: set[asyncio.Task[None]] = set()
        self._connected: dict[str, Connection] = {}
        self._asked: dict[int, Waiting] = {}
        self._numbers = count()
        self._reached = {name: asyncio.Event() for name in dial}
        self._dialling: list[asyncio.Task[None]] = []
        seed = secrets.token_hex(8)
        super().__init__(name, make, timer=LoopTimer(), gates=self.gates, peers=nodes, settings=settings, seed=seed)

    async def open(self) -> None:
        """Connect, and begin; raises ``OSError`` if a place or service cannot be reached in time."""
        for name, service in self._services.items():
            await service.open(lambda message, source=name: self.heard((source, message)))  # type: ignore[misc] # a default
        if not self._dialling:
            self._dialling = [asyncio.create_task(self._keep(name, peer)) for name, peer in self._dial.items()]
        async with asyncio.timeout(self._timeout_s):
            await asyncio.gather(*(reached.wait() for reached in self._reached.values()))
        self._succeed()
        self.actor.start()

    def _succeed(self) -> None:
        """Be the survivor of whoever began here before, if there is a mark of it; and leave one."""
        if _MARK.exists():
            self.actor = self.actor.survivor()
        else:
            with suppress(OSError):  # there is no room
                _MARK.touch()

    def monotonic_ns(self) -> int:
        """See ``harness.reference.node.Place``."""
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        """See ``harness.reference.node.Place``."""
        return time.time_ns()

    def become(self, role: str) -> None:
        """See ``harness.reference.node.Place``."""
        self.role = role

    def send(self, to: str, message: Any) -> None:
        """See ``harness.reference.node.Place``."""
        if to == self.name:
            self._timer.at(self._timer.now_ns, self.heard, (self.name, message))
        elif to in self._services:
            self._begin(self._told(self._services[to], message))
        else:
            self._say(to, kind_of(message), _HEAR, encode(message))

    def ask(self, to: str, request: Any, waiting: Waiting) -> None:
        """See ``Host``."""
        if to == self.name:

            def finished(reply: Any, error: Exception | None) -> None:
                if not isinstance(error, Unreachable):
                    self._timer.at(self._timer.now_ns, self.answered, (waiting, reply, error))

            self.spawn(self.actor.serve(self.name, request), finished)
            return
        if to in self._services:
            self._begin(self._exchanged(self._services[to], request, waiting))
            return
        number = next(self._numbers)
        self._asked[number] = waiting
        if number % _FORGET == 0:  # what was never answered
            self._asked = {number: waiting for number, waiting in self._asked.items() if not waiting.over}
        self._say(to, kind_of(request), _ASK, b"%d" % number, encode(request))

    def _begin(self, exchange: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(exchange)
        self._exchanges.add(task)
        task.add_done_callback(self._exchanges.discard)

    async def _told(self, service: Service, message: Any) -> None:
        with suppress(OSError):  # who does not hear is asked again
            await service.tell(message)

    async def _exchanged(self, service: Service, request: Any, waiting: Waiting) -> None:
        try:
            reply = await service.ask(request)
        except Refused as refused:
            self.answered((waiting, None, refused))
        except OSError:
            self.expire(waiting)  # nobody knows; there is nothing to wait for
        else:
            self.answered((waiting, reply, None))

    async def run(self, flow: Flow[Any]) -> Any:
        """What ``flow`` returns; raises ``Refused`` and ``Unreachable`` as it does."""
        end: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def finished(value: Any, error: Exception | None) -> None:
            if end.cancelled():
                return
            if error is None:
                end.set_result(value)
            else:
                end.set_exception(error)

        self.spawn(flow, finished)
        return await end

    async def converse(self, name: str, connection: Connection) -> None:
        """Speak with the place called ``name``, which has opened ``connection``, until that ends."""
        connection.writer.write(encode_command(PEER, self.name.encode()))
        await self._listen(name, connection)

    async def _listen(self, name: str, connection: Connection) -> None:
        self._connected[name] = connection
        beating = asyncio.create_task(self._beat(connection))
        try:
            while True:
                async with asyncio.timeout(self._silence_s):
                    words = await read_command(connection.reader)
                self._take(name, words)
        except (EOFError, OSError, ValueError) as error:
            print(f"no connection with {name}: {error!r}", flush=True)  # noqa: T201 - the node's log
        finally:
            beating.cancel()
            connection.writer.transport.abort()
            if self._connected.get(name) is connection:
                del self._connected[name]

    async def _beat(self, connection: Connection) -> None:
        """Let the other side hear something now and then."""
        while True:
            connection.writer.write(encode_command(_BEAT))
            self.counts.beats += 1
            await asyncio.sleep(self._silence_s / 4)

    def _take(self, name: str, words: list[bytes]) -> None:
        match words:
            case [b"HEAR", message]:
                self.heard((name, decode(message)))
            case [b"ASK", number, question]:
                request = decode(question)
                kind = kind_of_reply(request)
                self.counts.served[kind_of(request)] += 1

                def finished(reply: Any, error: Exception | None) -> None:
                    if error is None:
                        self._say(name, kind, _REPLY, number, encode(reply))
                    elif not isinstance(error, Unreachable):
                        self._say(name, kind, _REFUSE, number, str(error).encode())

                self.spawn(self.actor.serve(name, request), finished)
            case [b"REPLY", number, reply] if (waiting := self._asked.pop(int(number), None)) is not None:
                self.answered((waiting, decode(reply), None))
            case [b"REFUSE", number, why] if (waiting := self._asked.pop(int(number), None)) is not None:
                self.answered((waiting, None, Refused(why.decode())))

    def deliver(self, to: str) -> None:
        """Forget the rules on the way to another place; what they held goes on its way, in order."""
        for rule in self.rules.pop(to, ()):
            for kind, command in rule.held:
                self._write(to, kind, command)

    @property
    def connected(self) -> tuple[str, ...]:
        """The places with which there is a connection."""
        return tuple(self._connected)

    @property
    def held(self) -> int:
        """How many messages and flows are held here."""
        return self.gates.crowd() + sum(len(rule.held) for rules in self.rules.values() for rule in rules)

    def _say(self, to: str, kind: str, *words: bytes) -> None:
        command = encode_command(*words)
        rule = striking(self.rules.get(to, ()), kind)
        if rule is None or rule.act == "double":
            self._write(to, kind, command)
            if rule is not None:
                asyncio.get_running_loop().call_later(_DOUBLE_S, self._write, to, kind, command)
        elif rule.act == "hold":
            rule.held.append((kind, command))

    def _write(self, to: str, kind: str, command: bytes) -> None:
        connection = self._connected.get(to)
        if connection is not None and not connection.writer.is_closing():
            connection.writer.write(command)
            self.counts.sent[kind] += 1
            self.counts.bytes += len(command)

    async def _keep(self, name: str, peer: Peer) -> None:
        """Be connected with a place, again and again."""
        while True:
            try:
                async with asyncio.timeout(self._timeout_s):
                    connection = await peer.connect()
                # A proxy accepts before anybody is there; so only the other side's own name means that it is reached.
                connection.writer.write(encode_command(PEER, self.name.encode()))
                async with asyncio.timeout(self._timeout_s):
                    await read_command(connection.reader)
                self._reached[name].set()
                await self._listen(name, connection)
            except (EOFError, OSError, ValueError):
                pass
            await asyncio.sleep(_AGAIN_S)
