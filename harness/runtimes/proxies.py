"""The harness's handle on its proxy process: commands out, acknowledgements and counters back."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import harness
from harness.errors import HarnessError
from harness.runtimes import children
from harness.runtimes.base import Endpoint, Way
from harness.runtimes.messages import CONVERSATIONS, MessageRule
from harness.topology import Link

_ANSWERS_WITHIN_S = 10.0
_ENDS_WITHIN_S = 0.5
_LINE_MAX = 16 << 20
_WAYS = {Way.BOTH: ("forward", "backward"), Way.FORWARD: ("forward",), Way.BACKWARD: ("backward",)}


@dataclass(frozen=True, slots=True)
class Route:
    """The way of one link: ``listen`` is where its source connects to, ``target`` where that leads.

    ``source`` is the address that the target sees; None leaves it to the kernel. With a ``protocol`` that ``messages`` knows,
    there can be rules on its messages.
    """

    link: Link
    listen: Endpoint
    target: Endpoint
    source: str | None
    protocol: str = ""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What went over one link: evidence that a fault had something to act on.

    Attributes:
        accepted: connections accepted since the start.
        open: connections not yet ended at both sides.
        forward, backward: bytes passed on, seen from the link's source.
        held_forward, held_backward: bytes taken and not passed on now: by a cut, a delay, a throttle, a rule, or a slow reader.
        matched: messages that the patterns of the present rules fit.
        meddled: those of them that were struck.
        lost: bytes that should be messages and were not understood; they passed untouched.
    """

    accepted: int
    open: int
    forward: int
    backward: int
    held_forward: int
    held_backward: int
    matched: int = 0
    meddled: int = 0
    lost: int = 0


class Proxies:
    """The running proxy process. Methods return when the command is in force, and raise ``HarnessError`` if no answer comes.

    Attributes:
        child: the process; to wait for its end after ``hang_up`` is up to the caller.
    """

    def __init__(self, child: children.Child, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, log: Path) -> None:
        self.child = child
        self._reader = reader
        self._writer = writer
        self._log = log
        self._turn = asyncio.Lock()
        self._sent = 0

    @classmethod
    async def start(cls, directory: Path, log: Path) -> Self:
        """Start the process in ``directory``, its output in ``log``."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                child = await children.spawn(
                    "the proxy",
                    (sys.executable, "-P", "-m", "harness.runtimes.proxy", str(theirs.fileno())),
                    directory=directory,
                    log=log,
                    environment=_environment(),
                    files=(theirs.fileno(),),
                )
            except BaseException:
                ours.close()
                raise
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=_LINE_MAX)
        return cls(child, reader, writer, log)

    async def open(self, routes: Iterable[Route]) -> None:
        """Listen for every route."""
        for route in routes:
            protocol = route.protocol if route.protocol in CONVERSATIONS else ""
            await self._command(
                "open",
                name=str(route.link),
                listen=route.listen,
                target=route.target,
                source=route.source,
                protocol=protocol,
            )

    async def cut(self, links: Sequence[Link], way: Way) -> None:
        """Pass nothing on, in one direction or both."""
        await self._command("cut", links, ways=_WAYS[way])

    async def refuse(self, links: Sequence[Link]) -> None:
        """Reset open connections and refuse new ones."""
        await self._command("refuse", links)

    async def delay(self, links: Sequence[Link], delay_ns: int, jitter_ns: int) -> None:
        """Hold every byte back, each way."""
        await self._command("delay", links, delay_ns=delay_ns, jitter_ns=jitter_ns)

    async def throttle(self, links: Sequence[Link], bytes_per_second: int) -> None:
        """Limit the bytes, each way."""
        await self._command("throttle", links, bytes_per_second=bytes_per_second)

    async def meddle(self, links: Sequence[Link], rule: MessageRule, way: Way) -> None:
        """Put a rule on the messages of links that have a protocol."""
        await self._command("meddle", links, rule=asdict(rule), ways=_WAYS[way])

    async def reset(self, links: Sequence[Link]) -> None:
        """Reset open connections, once."""
        await self._command("reset", links)

    async def mend(self, links: Sequence[Link]) -> None:
        """Undo cut, refusal, delay, throttle and rules."""
        await self._command("mend", links)

    async def pulse(self) -> Sequence[tuple[int, int]]:
        """Windows in which the process stood still since the last pulse: begin and end, in ns of the monotonic clock."""
        answer = await self._command("pulse")
        return [(begin_ns, end_ns) for begin_ns, end_ns in answer["stalls"]]

    async def traffic(self) -> Mapping[str, Traffic]:
        """The counters, by the name of the link."""
        answer = await self._command("traffic")
        return {name: Traffic(**counters) for name, counters in answer["traffic"].items()}

    def hang_up(self) -> None:
        """Close the control socket, which ends the process."""
        self._writer.close()

    async def _command(self, do: str, links: Sequence[Link] = (), **details: object) -> dict[str, Any]:
        async with self._turn:
            self._sent += 1
            command = {"id": self._sent, "do": do, "links": [str(link) for link in links], **details}
            try:
                self._writer.write(json.dumps(command).encode() + b"\n")
                answer = await asyncio.wait_for(self._answer(self._sent), _ANSWERS_WITHIN_S)
            except (OSError, asyncio.IncompleteReadError) as error:
                why = await self._why(error)
                self.child.kill_now()  # whatever it does from now on, nobody would know; and nobody waits for it twice
                raise HarnessError(f"the proxy does not carry out {do!r}", where=str(self._log), why=why) from error
        if "error" in answer:
            raise HarnessError(f"the proxy cannot carry out {do!r}", where=str(self._log), why=answer["error"])
        return answer

    async def _answer(self, number: int) -> dict[str, Any]:
        """The answer to the command ``number``; answers to commands whose sender was cancelled are passed over."""
        while True:
            answer: dict[str, Any] = json.loads(await self._reader.readuntil())
            if answer["id"] == number:
                return answer

    async def _why(self, error: Exception) -> str:
        if await self.child.ended(_ENDS_WITHIN_S):
            return f"it is gone: {self.child.ending}"
        return f"no answer within {_ANSWERS_WITHIN_S:.0f} s" if isinstance(error, TimeoutError) else str(error)


def _environment() -> dict[str, str]:
    """Ours, with this very harness first where the process looks for modules."""
    home = str(Path(harness.__path__[0]).parent)
    path = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path}
