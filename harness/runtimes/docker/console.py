r"""A shell inside a container that obeys within milliseconds, where ``docker exec`` takes eighty.

The container's first process is a shell that reads scripts from its stdin and answers on its stderr (``console.sh``); the harness
stays attached to it as long as the container lives::

    container = client.containers.create(image, **console.first_process(functions), network_mode="none")
    container.start()
    shell = await Console.attach(container, "the agent", output=log.write)
    reply = await shell.call("nft -f - <<'END'\ntable bridge ours {\n}\nEND")
    if reply.status != 0: ...reply.output says why

Scripts run one after another in one and the same shell, which therefore keeps its variables and functions; those in ``functions``
are there from the start. A script has no stdin of its own and must not ``exit``. What it writes to stdout and stderr is the
reply; what it writes to file descriptor 3 is the container's own output, in its log and at ``output``. Nothing but a POSIX ``sh``
is needed in the image.

The attachment is also a leash. When the harness is gone, however it ended, the engine closes the shell's stdin, the shell ends,
and everything else in the container with it, if the shell is process 1 there. A ``trap ... EXIT`` among the ``functions`` can
clean up before that.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Self

from harness.errors import HarnessError

if TYPE_CHECKING:  # importing the SDK takes a while, and this module may be imported without an engine in sight
    from docker.models.containers import Container

_CHUNK = 64 << 10
_HEADER = 8
_REPLIES = 2
"""The number of stderr among the streams that the engine interleaves; the other one, stdout, is 1."""
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Reply:
    """What a script came to: its status, and everything that it wrote."""

    status: int
    output: str


def first_process(functions: str = "") -> Mapping[str, Any]:
    """The options to create a container with, so that a console can be attached to it once it runs.

    Args:
        functions: shell code that runs first: functions for later scripts, variables, traps.
    """
    loop = files(__package__).joinpath("console.sh").read_text()
    # StdinOnce, which the SDK sets for containers that are not detached: the end of the attachment is the end of stdin.
    return {"entrypoint": ["sh", "-c", f"{functions}\n{loop}"], "command": [], "stdin_open": True, "detach": False}


class Console:
    """An attachment to the shell in a running container.

    Attributes:
        name: what messages call the container.
    """

    def __init__(self, name: str, connection: socket.socket, output: Callable[[bytes], object]) -> None:
        self.name = name
        self._connection = connection
        self._output = output
        self._loop = asyncio.get_running_loop()
        self._token = secrets.token_hex(8)  # nothing that a script writes can look like the end of a reply by chance
        self._end = re.compile(rb"\n%s-(\d+) (\d+)\n" % self._token.encode())
        self._sent = 0
        self._turn = asyncio.Lock()
        self._sending: set[asyncio.Future[None]] = set()
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._heard = bytearray()
        self._gone = ""
        threading.Thread(target=self._listen, name=f"console of {name}", daemon=True).start()

    @classmethod
    async def attach(cls, container: Container, name: str, output: Callable[[bytes], object]) -> Self:
        """Attach to a container that was created with ``first_process`` and has just been started.

        Args:
            container: the container.
            name: what messages call it.
            output: gets what servers in the container write, piece by piece, in a thread of the console's own.
        """
        connection = await asyncio.to_thread(_attach, container)
        try:
            return cls(name, connection, output)
        except BaseException:
            connection.close()
            raise

    @property
    def gone(self) -> bool:
        """Whether the shell has ended, or can no longer be reached."""
        return bool(self._gone)

    async def call(self, script: str, within_ns: int = 10 * _SECOND_NS) -> Reply:
        """Run ``script`` and return its status and output. Raises ``HarnessError`` if no reply comes in time.

        Calls may overlap; they are carried out in the order in which they were made.
        """
        if self._gone:
            raise self._lost(self._gone)
        self._sent += 1
        number = self._sent
        reply: asyncio.Future[Reply] = self._loop.create_future()
        self._waiting[number] = reply
        lines = script.count("\n") + 1
        request = f"{self._token}-{number} {lines}\n{script}\n".encode()
        try:
            async with asyncio.timeout(within_ns / _SECOND_NS):
                await self._send(request)
                return await reply
        except TimeoutError:
            raise self._lost(f"no answer within {within_ns / _SECOND_NS:g} s") from None
        except OSError as error:
            raise self._lost(str(error)) from error
        finally:
            self._waiting.pop(number, None)

    def close(self) -> None:
        """Let go of the shell, which ends it."""
        self._gone = self._gone or "it was let go"
        with contextlib.suppress(OSError):  # it may have ended already
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    async def _send(self, request: bytes) -> None:
        """Send a whole request, whatever becomes of whoever waits for it: half of one would spoil the next."""
        sending = asyncio.ensure_future(self._send_whole(request))
        self._sending.add(sending)
        sending.add_done_callback(self._sent_whole)
        await asyncio.shield(sending)

    def _sent_whole(self, sending: asyncio.Future[None]) -> None:
        self._sending.discard(sending)
        if not sending.cancelled():
            sending.exception()  # who waited for it may be gone

    async def _send_whole(self, request: bytes) -> None:
        """Send a request, or let go of a shell that got half of one. In a thread, for a busy shell does not read."""
        async with self._turn:
            try:
                await asyncio.to_thread(self._connection.sendall, request)
            except BaseException:
                self.close()
                raise

    def _listen(self) -> None:
        """Take apart what the engine sends: pieces of two streams, each behind a header. Runs in a thread of its own."""
        reason = "its shell has ended"
        try:
            with self._connection.makefile("rb") as stream:
                while len(header := stream.read(_HEADER)) == _HEADER:
                    piece = stream.read(int.from_bytes(header[4:], "big"))
                    if header[0] == _REPLIES:
                        self._tell(self._feed, piece)
                    else:
                        self._output(piece)
        except (OSError, ValueError) as error:  # ValueError: what it writes to was closed meanwhile
            reason = str(error)
        self._tell(self._end_all, reason)

    def _tell(self, method: Callable[..., None], word: object) -> None:
        with contextlib.suppress(RuntimeError):  # the event loop is closed: nobody is waiting any more
            self._loop.call_soon_threadsafe(method, word)

    def _feed(self, piece: bytes) -> None:
        """Look for the ends of replies in what has come in so far."""
        self._heard += piece
        while end := self._end.search(self._heard):
            number, status = int(end[1]), int(end[2])
            reply = Reply(status, self._heard[: end.start()].decode(errors="replace"))
            del self._heard[: end.end()]
            waiting = self._waiting.get(number)
            if waiting and not waiting.done():
                waiting.set_result(reply)

    def _end_all(self, reason: str) -> None:
        self._gone = self._gone or reason
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(self._lost(reason))

    def _lost(self, why: str) -> HarnessError:
        said = self._heard.decode(errors="replace").strip()
        return HarnessError(f"{self.name} does not answer the harness", why=f"{why}; it last said: {said}" if said else why)


def _attach(container: Container) -> socket.socket:
    """The raw connection to the streams of ``container``."""
    api: Any = container.client.api  # type: ignore[union-attr]  # a container that the engine returned has a client
    stream = api.attach_socket(container.id, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
    connection: socket.socket = getattr(stream, "_sock", stream)  # of a local engine it is wrapped for reading
    connection.settimeout(None)  # the SDK's time-out is for requests
    return connection
