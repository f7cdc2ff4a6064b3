"""The harness's own connections to memcached servers: who they are, and whether they answer."""

from __future__ import annotations

from harness.candidates.asking import TIMEOUT_NS, Asking, Connection, Greeting, UnusableAnswerError
from harness.clients import ProtocolBreach
from harness.clients.access import OPEN, Access
from harness.clients.memcached import introduction, split_line
from harness.runtimes.base import Endpoint

MAX_STATS = 1_000


class Lines:
    """Cuts a stream into answers: one line each, with the lines of statistics that come before it."""

    def __init__(self) -> None:
        self._data = b""
        self._lines: list[str] = []

    def feed(self, data: bytes) -> None:
        """Take in bytes."""
        self._data += data

    def next(self) -> list[str] | None:
        """The lines of the next answer; None while it is not whole. Raises ``ProtocolBreach``."""
        while True:
            line, rest = split_line(self._data)
            if line is None:
                return None
            self._data = rest
            self._lines.append(line.decode(errors="replace"))
            if not line.startswith(b"STAT "):
                lines, self._lines = self._lines, []
                return lines
            if len(self._lines) > MAX_STATS:
                raise ProtocolBreach(f"more than {MAX_STATS} statistics")


class MemcachedAdmin:
    """Questions to one server over one kept connection. All of them raise ``OSError``."""

    def __init__(self, endpoint: Endpoint, access: Access = OPEN) -> None:
        greeting = Greeting(introduction(access), _refusal) if access.password else None
        self._asking = Asking(Connection(endpoint, Lines, access=access, greeting=greeting))

    async def version(self, within_ns: int = TIMEOUT_NS) -> str:
        """What the server says of its version: ``1.6.18``."""
        lines = await self._asking.ask(b"version\r\n", "version", within_ns)
        word, _, version = lines[-1].partition(" ")
        if word != "VERSION":
            raise UnusableAnswerError(f"{self._asking} answered version with {lines[-1]!r:.80}")
        return version

    async def birth(self) -> str:
        """The process, and when it says that it began, in seconds of its clock."""
        lines = await self._asking.ask(b"stats\r\n", "stats")
        stats = dict(parts[1:] for line in lines[:-1] if len(parts := line.split(" ", 2)) == 3)  # noqa: PLR2004 - STAT name value
        pid, now, age = (stats.get(name, "") for name in ("pid", "time", "uptime"))
        if lines[-1] != "END" or not (pid.isdecimal() and now.isdecimal() and age.isdecimal()):
            raise UnusableAnswerError(
                f"{self._asking} does not say who it is: pid {pid!r:.20}, time {now!r:.20}, uptime {age!r:.20}"
            )
        return f"process {pid}, begun {int(now) - int(age)}"

    def close(self) -> None:
        """Close the connection."""
        self._asking.close()


def _refusal(lines: list[str]) -> str:
    return "" if lines == ["STORED"] else lines[-1]
