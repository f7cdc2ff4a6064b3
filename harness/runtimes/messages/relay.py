"""One direction of one connection under rules: bytes in, bytes out, what is kept back, and until when.

No I/O, no clock. Without rules every byte goes on as it comes, and only the boundaries of messages are followed: a rule that is
put on an open connection strikes from its next whole message on. With rules a message goes on once it is whole.

A message that is kept back (delayed, held, to be reordered) lets those behind it pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from harness.runtimes.messages.message import Framer, Message
from harness.runtimes.messages.rules import Action, Tally


class _Kept(NamedTuple):
    message: Message
    due_ns: int | None
    """When it goes on; None if something else lets it."""
    behind: Tally | None
    """It goes on right behind the next message that matches this."""


class Relay:
    """Passes on what comes, by ``rules``, which may change at any time.

    Args:
        framer: of this direction.
        rules: those in force; the first that strikes a message decides.
        passed: told of every message that goes on, in that order.
    """

    def __init__(self, framer: Framer, rules: Sequence[Tally], passed: Callable[[Message], None]) -> None:
        self._framer = framer
        self._rules = rules
        self._passed = passed
        self._kept: list[_Kept] = []
        self._gone = 0
        """How much of the framer's tail has gone on already."""

    @property
    def keeps(self) -> int:
        """The bytes of all messages that are kept back."""
        return sum(len(kept.message.content) for kept in self._kept)

    @property
    def next_ns(self) -> int | None:
        """When the next delayed message goes on."""
        return min((kept.due_ns for kept in self._kept if kept.due_ns is not None), default=None)

    @property
    def lost(self) -> int:
        """Bytes that were not understood."""
        return self._framer.lost

    def feed(self, data: bytes, now_ns: int) -> list[bytes]:
        """What goes on at once now that ``data`` has come."""
        parts = self._framer.feed(data)
        if not self._rules:
            for part in parts:
                if isinstance(part, Message):
                    self._passed(part)
            self._gone = len(self._framer.tail)
            return [data]
        out: list[bytes] = []
        for part in parts:
            if self._gone:  # its beginning went on before there were rules
                rest = (part.content if isinstance(part, Message) else part)[self._gone :]
                self._gone = 0
                out.append(rest)
                if isinstance(part, Message):
                    self._passed(part)
            elif isinstance(part, Message) and part.whole:
                out += self._judge(part, now_ns)
            elif isinstance(part, Message):
                out.append(self._pass(part))
            else:
                out.append(part)
        return out

    def ripe(self, now_ns: int) -> list[bytes]:
        """The delayed messages whose time has come."""
        due = [kept for kept in self._kept if kept.due_ns is not None and kept.due_ns <= now_ns]
        self._kept = [kept for kept in self._kept if kept not in due]
        return [self._pass(kept.message) for kept in due]

    def release(self) -> list[bytes]:
        """Everything that is kept back, in the order in which it came, and what there is of the message that comes."""
        kept, self._kept = self._kept, []
        return [*(self._pass(each.message) for each in kept), *self.rest()]

    def rest(self) -> list[bytes]:
        """What there is of an incomplete message and has not gone on; from now on it has."""
        gone, self._gone = self._gone, len(self._framer.tail)
        return [self._framer.tail[gone:]] if gone < self._gone else []

    def _judge(self, message: Message, now_ns: int) -> list[bytes]:
        for tally in self._rules:
            if not tally.rule.matches(message):
                continue
            waiting = next((kept for kept in self._kept if kept.behind is tally), None)
            if waiting is not None:
                tally.matched += 1
                self._kept.remove(waiting)
                return [self._pass(message), self._pass(waiting.message)]
            if tally.strikes():
                return self._strike(message, tally, now_ns)
        return [self._pass(message)]

    def _strike(self, message: Message, tally: Tally, now_ns: int) -> list[bytes]:
        match tally.rule.action:
            case Action.DROP:
                return []
            case Action.DUPLICATE:
                return [self._pass(message), self._pass(message)]
            case Action.DELAY:
                self._kept.append(_Kept(message, now_ns + tally.rule.delay_ns, None))
            case Action.REORDER:
                self._kept.append(_Kept(message, None, tally))
            case Action.HOLD:
                self._kept.append(_Kept(message, None, None))
        return []

    def _pass(self, message: Message) -> bytes:
        self._passed(message)
        return message.content
