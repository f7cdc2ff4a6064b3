"""The virtual network: how long a message takes from one place to another, and which never arrive.

A link keeps the order of its messages, like a connection, unless a fault lets them overtake each other. What is sent into a cut
is lost: whoever wants it to arrive asks again. A delay makes messages late, also later than whoever sent them wanted to wait.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from harness.reference.deadlines import Act
from harness.reference.rules import Rule, striking
from harness.simulation.engine import Engine

Ends = tuple[str, str]
"""Source and target of a message."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a message takes: ``least_ns`` and up to ``spread_ns`` more, all equally likely."""

    least_ns: int
    spread_ns: int

    @property
    def most_ns(self) -> int:
        """The longest time."""
        return self.least_ns + self.spread_ns


@dataclass(eq=False, slots=True)
class Bend:
    """What faults do to a link now, and how much of it they did.

    Attributes:
        cut: nothing gets through.
        delay_ns, jitter_ns: every message takes so much longer, give or take the jitter.
        drop, duplicate, reorder: the share of messages that is lost, doubled, or held back for ``reorder_by_ns`` and overtaken.
        struck: how many messages were changed so far.
    """

    cut: bool = False
    delay_ns: int = 0
    jitter_ns: int = 0
    drop: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    reorder_by_ns: int = 0
    struck: int = 0


class Network:
    """All links.

    Args:
        engine: whose time it is.
        random: of the times and choices.
        pace: of every link.

    Attributes:
        bends: what is wrong with a link, by its ends; most have no entry.
        rules: what a schedule does to single messages of a link.
        sent: how many messages have been sent.
    """

    def __init__(self, engine: Engine, random: Random, pace: Pace) -> None:
        self._engine = engine
        self._random = random
        self._draw = random.random
        self.pace = pace
        self.bends: dict[Ends, Bend] = {}
        self.rules: dict[Ends, list[Rule]] = {}
        self.sent = 0
        self._last_ns: dict[Ends, int] = {}

    def send(self, ends: Ends, act: Act, argument: Any, kind: str = "") -> None:
        """Let ``act(argument)`` happen at the target, if and when the message gets there; ``kind`` is for rules."""
        self.sent += 1
        if self.rules and self._ruled(ends, act, argument, kind):
            return
        pace = self.pace
        at_ns = self._engine.now_ns + pace.least_ns + int(self._draw() * pace.spread_ns)
        if self.bends and (bend := self.bends.get(ends)) is not None:
            if bend.cut or (bend.drop and self._draw() < bend.drop):
                bend.struck += 1
                return
            if bend.delay_ns or bend.jitter_ns:
                bend.struck += 1
                at_ns += max(0, bend.delay_ns + round(self._random.uniform(-1, 1) * bend.jitter_ns))
            if bend.duplicate and self._draw() < bend.duplicate:
                bend.struck += 1
                self._engine.at(at_ns + pace.spread_ns, act, argument)
            if bend.reorder and self._draw() < bend.reorder:
                bend.struck += 1
                self._engine.at(at_ns + bend.reorder_by_ns, act, argument)
                return
        last_ns = self._last_ns.get(ends, 0)
        if at_ns <= last_ns:
            at_ns = last_ns + 1
        self._last_ns[ends] = at_ns
        self._engine.at(at_ns, act, argument)

    def bend(self, ends: Ends) -> Bend:
        """What is wrong with the link, to be changed."""
        return self.bends.setdefault(ends, Bend())

    def mend(self, ends: Ends) -> None:
        """Nothing is wrong with the link any more."""
        self.bends.pop(ends, None)

    def release(self, ends: Ends) -> None:
        """Forget the rules of a link; what they held goes on its way, in order."""
        for rule in self.rules.pop(ends, ()):
            for act, argument in rule.held:
                self.send(ends, act, argument)

    def _ruled(self, ends: Ends, act: Act, argument: Any, kind: str) -> bool:
        """Whether a rule has kept the message."""
        rule = striking(self.rules.get(ends, ()), kind)
        if rule is None:
            return False
        if rule.act == "double":
            self._engine.at(self._engine.now_ns + 2 * self.pace.most_ns, act, argument)
            return False
        if rule.act == "hold":
            rule.held.append((act, argument))
        return True
