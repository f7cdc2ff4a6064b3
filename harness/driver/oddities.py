"""Answers that make no sense: the first few are kept word for word."""

from __future__ import annotations

from harness.driver.connection import Client
from harness.journal import Journal

MAX_ODDITIES = 20


class Oddities:
    """Those of one worker."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._count = 0

    def answered(self, client: Client, node: int, what: str, data: bytes, at_ns: int, *, key: int | None = None) -> None:
        """``node`` said ``data`` to ``client``, of its operation's first key unless it is of another ``key``."""
        self.note(node, client.operation.key if key is None else key, f"{what}: {data[:200]!r}", at_ns)

    def note(self, node: int, key: int, what: str, at_ns: int) -> None:
        """Keep it if it is one of the first; ``key`` is -1 where it is about none."""
        if self._count < MAX_ODDITIES:
            self._count += 1
            self._journal.note(oddity=what, node=node, key=key, at=at_ns)
