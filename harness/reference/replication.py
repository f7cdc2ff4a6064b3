"""What the nodes of a replicated store tell each other, and what each of them writes down: ``strategies.replicated``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from harness.reference.effects import Latch
from harness.reference.messages import Value


class Entry(NamedTuple):
    """One place in the log; without a value it is the note of a primary that its term has begun."""

    term: int
    value: Value | None


class Ballot(NamedTuple):
    """Vote for me in ``term``; my log has ``length`` entries, the last of term ``last_term``."""

    term: int
    length: int
    last_term: int


class Vote(NamedTuple):
    """My vote in ``term``, if it is ``granted``."""

    term: int
    granted: bool


class Append(NamedTuple):
    """I am the primary of ``term``: ``entries`` follow the first ``after`` of the log, the last of which is of ``after_term``.

    ``committed`` entries are at a majority. ``turn`` counts what this primary has sent.
    """

    term: int
    after: int
    after_term: int
    entries: tuple[Entry, ...]
    committed: int
    turn: int


class Appended(NamedTuple):
    """Your log and mine agree in their first ``length`` entries; or they may, if it is not ``matched``."""

    term: int
    length: int
    matched: bool
    turn: int


class ReadThere(NamedTuple):
    """To the primary: read ``key``."""

    key: str


class WriteThere(NamedTuple):
    """To the primary: write ``value``."""

    value: Value


@dataclass(eq=False, slots=True)
class Disk:
    """What a node must not forget: its term, for whom it voted in it, and the log."""

    term: int = 0
    voted: str = ""
    log: list[Entry] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Office:
    """What a primary knows of its followers, and who waits for them.

    Attributes:
        begun: how long the log was when the term had been noted in it.
        turn: how often it has sent to all.
        sent, matched: how much of the log each follower was sent, and surely has.
        answered: the latest turn that each follower has confirmed.
        reads: those that wait for a confirmation: from which turn on, and since when.
    """

    begun: int
    sent: dict[str, int]
    turn: int = 0
    matched: dict[str, int] = field(default_factory=dict)
    answered: dict[str, int] = field(default_factory=dict)
    reads: list[tuple[int, int, Latch]] = field(default_factory=list)
