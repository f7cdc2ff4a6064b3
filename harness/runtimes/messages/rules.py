"""Rules on messages: which ones they strike, and what becomes of those."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from harness.runtimes.messages.message import Message


class Action(StrEnum):
    """What becomes of a message."""

    DROP = "drop"
    DELAY = "delay"
    """It goes on after a time; others overtake it meanwhile."""
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    """It goes on right behind the next one that matches."""
    HOLD = "hold"
    """It goes on when the rule is taken away."""


@dataclass(frozen=True, slots=True)
class MessageRule:
    """Which messages are struck, and how. Messages are counted by link, over all its connections.

    Attributes:
        action: what becomes of them.
        command: a pattern (``*``, ``?``, ``[abc]``) for their command in any case: ``set``, ``m*``.
        key: a pattern for one of their keys; ``*`` is for messages without keys, too.
        nth: only this one of those that match, counted from 1; 0 for no such choice.
        every: every so many-th of those that match.
        delay_ns: how long ``delay`` takes.
        at_most: so many are struck at most; 0 for no limit.
    """

    action: Action
    command: str = "*"
    key: str = "*"
    nth: int = 0
    every: int = 1
    delay_ns: int = 0
    at_most: int = 0

    def matches(self, message: Message) -> bool:
        """Whether the patterns fit."""
        return fnmatchcase(message.command, self.command.upper()) and (
            self.key == "*" or any(fnmatchcase(key.decode(errors="replace"), self.key) for key in message.keys)
        )


@dataclass(eq=False, slots=True)
class Tally:
    """A rule in force on one link, and what has come of it.

    Attributes:
        rule: the rule.
        matched: messages that its patterns fit.
        hits: those of them that were struck.
    """

    rule: MessageRule
    matched: int = 0
    hits: int = 0

    def strikes(self) -> bool:
        """Count one more message that matches; whether it is struck."""
        rule = self.rule
        self.matched += 1
        due = self.matched == rule.nth if rule.nth else self.matched % rule.every == 0
        if not due or (rule.at_most and self.hits >= rule.at_most):
            return False
        self.hits += 1
        return True
