"""When each packet of a path goes on, if it does: pure, without a clock of its own, seeded."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

_SECOND_NS = 1_000_000_000
_BACKLOG_NS = 200_000_000
_BACKLOG_BYTES = 48 << 10
"""What waits behind a limit on the rate: so much time or so many bytes, whichever is more: TCP finds its pace so."""


class Treatment(NamedTuple):
    """What a path does to its packets; the numbers of a ``Bend``.

    Attributes:
        lose: 1 if all packets are lost.
        delay_ns: how long each is held.
        jitter_ns: give or take so much, without a change of order.
        bytes_per_second: the most that gets through; 0 for any.
        drop: the share that is lost.
        drop_every: every so many-th is lost; 0 for none.
        duplicate: the share that goes on twice.
        reorder: the share that is held for ``reorder_by_ns`` more, and overtaken.
        reorder_by_ns: see ``reorder``.
        seed: of the random choices.
    """

    lose: int = 0
    delay_ns: int = 0
    jitter_ns: int = 0
    bytes_per_second: int = 0
    drop: float = 0.0
    drop_every: int = 0
    duplicate: float = 0.0
    reorder: float = 0.0
    reorder_by_ns: int = 0
    seed: int = 0

    @classmethod
    def parse(cls, words: Sequence[str]) -> Treatment:
        """Read the words that ``str`` wrote."""
        shares = {4, 6, 7}
        return cls(*(float(word) if place in shares else int(word) for place, word in enumerate(words)))  # type: ignore[arg-type]

    def __str__(self) -> str:
        return " ".join(str(number) for number in self)


class Path:
    """The way of packets from one address to another, with what it remembers from packet to packet.

    Args:
        name: makes the random choices differ from those of other paths with the same seed.
        treatment: what happens here.

    Attributes:
        late: how many packets were held back, for others to overtake them.
    """

    def __init__(self, name: str, treatment: Treatment) -> None:
        self.treatment = treatment
        self._random = random.Random(f"{treatment.seed} {name}")
        self._packets = 0
        self._last_due_ns = 0
        self._free_at_ns = 0
        self.late = 0

    def fate(self, now_ns: int, size: int) -> tuple[int, ...]:
        """The times at which a packet of ``size`` bytes goes on: none if it is lost, two if it is doubled."""
        treatment = self.treatment
        self._packets += 1
        lost = self._random.random() < treatment.drop
        doubled = self._random.random() < treatment.duplicate
        overtaken = self._random.random() < treatment.reorder
        if treatment.lose or lost or (treatment.drop_every and self._packets % treatment.drop_every == 0):
            return ()
        due_ns = self._paced(now_ns, size)
        if due_ns is None:
            return ()
        due_ns += treatment.delay_ns
        if treatment.jitter_ns:
            due_ns += self._random.randint(-treatment.jitter_ns, treatment.jitter_ns)
        due_ns = max(due_ns, now_ns, self._last_due_ns)
        if overtaken:
            self.late += 1
            due_ns += treatment.reorder_by_ns
        else:
            self._last_due_ns = due_ns
        return (due_ns, due_ns) if doubled else (due_ns,)

    def _paced(self, now_ns: int, size: int) -> int | None:
        """When the last byte of the packet is through, at the path's rate; None if too much waits already."""
        rate = self.treatment.bytes_per_second
        if not rate:
            return now_ns
        begin_ns = max(now_ns, self._free_at_ns)
        if begin_ns - now_ns > max(_BACKLOG_NS, _BACKLOG_BYTES * _SECOND_NS // rate):
            return None
        self._free_at_ns = begin_ns + size * _SECOND_NS // rate
        return self._free_at_ns
