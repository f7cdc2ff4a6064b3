"""From a stream of bytes to whole messages, with not a byte lost, added or moved in between.

A framer follows one direction of one connection. It does no I/O and reads no clock. What it cannot cut into messages goes through
as plain bytes: the payload of a snapshot, the rest of a message that is too long to keep, and everything from the first byte on
that it does not understand: once a boundary is lost, none is found again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

LONGEST = 1 << 20
"""A message that is longer goes through as it comes: it is named, but no rule touches it."""
LINE_MAX = 64 << 10
"""A longer line is not of these protocols."""
IN_FLIGHT_MAX = 100_000
"""Questions without an answer; with more of them, answers are not told apart any more."""


class Message(NamedTuple):
    """One message.

    Attributes:
        content: its bytes; perhaps only the first of them if it is not ``whole``.
        command: upper case: ``SET``; an answer is called like its question, a push like itself; empty if nobody knows.
        keys: the keys or channels that it is about, those of the question for an answer.
        whole: not one of the overlong ones.
    """

    content: bytes
    command: str = ""
    keys: tuple[bytes, ...] = ()
    whole: bool = True


Part = Message | bytes
"""What a stream is made of; bytes are part of no message that a rule could touch."""


class NotUnderstoodError(Exception):
    """These bytes are not of the protocol."""


class Framer:
    """Cuts a stream into parts; a protocol says where a message ends (``_scan``) and what it is called (``_read``).

    Attributes:
        tail: the bytes of the message that is not complete yet.
        lost: bytes that were not understood, and all behind them.
    """

    def __init__(self) -> None:
        self.tail = b""
        self.lost = 0
        self._at = 0
        """How far ``tail`` has been looked at; beyond its end where the length of what comes is known."""
        self._through = False
        """The rest of the present message goes through as it comes."""

    def feed(self, data: bytes) -> list[Part]:
        """The parts that are complete with ``data``; together with ``tail`` they are exactly the bytes fed."""
        if self.lost:
            self.lost += len(data)
            return [data]
        buffer = self.tail + data if self.tail else data
        parts: list[Part] = []
        begin = 0
        try:
            while begin < len(buffer) and self._scan(buffer):
                content = buffer[begin : self._at]
                parts.append(self._part(content))
                self._through = False
                begin = self._at
        except (NotUnderstoodError, ValueError):  # a number that is none
            rest = buffer[begin:]
            self.lost = len(rest)
            self.tail = b""
            return [*parts, rest]
        if self._through or len(buffer) - begin > LONGEST:
            end = min(self._at, len(buffer))
            if end > begin:
                content = buffer[begin:end]
                parts.append(self._part(content))
                self._through = True
                begin = end
        self.tail = buffer[begin:]
        self._at -= begin
        return parts

    def _scan(self, buffer: bytes) -> bool:
        """Move ``_at`` on; whether that is the end of a message. Raises ``NotUnderstoodError`` or ``ValueError``."""
        raise NotImplementedError

    def _read(self, content: bytes) -> Part:
        """Name a message. Raises ``NotUnderstoodError`` or ``ValueError``."""
        raise NotImplementedError

    def _part(self, content: bytes) -> Part:
        """A message, the beginning of one that is too long, or more of that."""
        if self._through:
            return content
        part = self._read(content)
        return part._replace(whole=False) if len(content) > LONGEST and isinstance(part, Message) else part


class Conversation(NamedTuple):
    """One connection: what its opener sends, what comes back, and what to call when a request has gone on to the server."""

    requests: Framer
    answers: Framer
    ask: Callable[[Message], None]


class Question(NamedTuple):
    """A request that the server has to answer; ``answers`` times if that can be told."""

    command: str
    keys: tuple[bytes, ...]
    answers: int = 1
    quiet: bool = False
    """It is answered in some cases only."""


class Questions:
    """The questions in flight on one connection, as the server has seen them."""

    def __init__(self) -> None:
        self._waiting: deque[Question] = deque()
        self._quiet = 0
        self._known = True

    @property
    def head(self) -> Question | None:
        """Whose turn it is to be answered; None if nobody knows."""
        return self._waiting[0] if self._waiting and not self._quiet else None

    def ask(self, question: Question) -> None:
        """The server sees one more."""
        if self._known:
            self._waiting.append(question)
            self._quiet += question.quiet
            if len(self._waiting) > IN_FLIGHT_MAX:
                self.give_up()

    def answered(self) -> None:
        """The first one has got an answer."""
        question = self._waiting.popleft()
        if question.answers > 1:
            self._waiting.appendleft(question._replace(answers=question.answers - 1))

    def settle(self, command: str) -> None:
        """The first ``command`` is answered, and so is, or never will be, everything before it."""
        while any(question.command == command for question in self._waiting):
            question = self._waiting.popleft()
            self._quiet -= question.quiet
            if question.command == command:
                break

    def give_up(self) -> None:
        """From now on nobody knows which answer is whose."""
        self._known = False
        self._quiet = 0
        self._waiting.clear()
