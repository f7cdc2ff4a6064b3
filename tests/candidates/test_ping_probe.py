"""A sentinel's pings as marks, with a sentinel made of a few lines: which answers count."""

from __future__ import annotations

import asyncio
from time import monotonic_ns

from harness.candidates.redis_probes import PingProbe

MS = 1_000_000


class End:
    """An end that serves."""

    async def call(self, *_words: str) -> str:
        return "PONG"

    def close(self) -> None:
        """Nothing to do."""


class Sentinel:
    """Answers its first question late; reads answers to its pings at the times given, counted from then."""

    def __init__(self, late_ms: int, read_ms: tuple[int, ...]) -> None:
        self._late_ms = late_ms
        self._read_ms = read_ms
        self._begin_ns = 0

    async def age_ms(self) -> int | None:
        if not self._begin_ns:
            await asyncio.sleep(self._late_ms / 1000)
            self._begin_ns = monotonic_ns()
        now_ms = (monotonic_ns() - self._begin_ns) // MS
        return min((now_ms - at for at in self._read_ms if at <= now_ms), default=None)


def carried(sentinel: Sentinel) -> int | None:
    """What a probe of this sentinel says of its link, within 300 ms."""
    return asyncio.run(PingProbe(End(), End(), sentinel.age_ms).carry(300 * MS))


def test_an_answer_that_waited_for_a_slow_sentinel_is_no_mark():
    """It came before the question and is read after it: a link that was cut meanwhile would seem to carry."""
    assert carried(Sentinel(late_ms=100, read_ms=(0,))) is None


def test_an_answer_that_is_read_later_is_a_mark():
    """What a sentinel reads once it has read all that waited has just arrived, however slow it was."""
    took_ns = carried(Sentinel(late_ms=100, read_ms=(0, 50)))
    assert took_ns is not None
    assert took_ns > 150 * MS


def test_a_sentinel_that_heard_nothing_tells_of_no_mark():
    """No answer yet is no answer."""
    assert carried(Sentinel(late_ms=0, read_ms=())) is None
