"""The TCP connections that a kernel has seen being used, as its connection tracking lists them: pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from harness.runtimes.kernel.bends import Pair

LIST = "conntrack -L -p tcp --state ESTABLISHED 2>&1"
"""The command that lists them."""

_ENTRY = re.compile(r"\bsrc=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)")
_ELEMENT = re.compile(r"(\d[\d.]*) \. (\d+) \. (\d[\d.]*) \. (\d+)")


class Connection(NamedTuple):
    """An established connection, seen from one end."""

    source: str
    source_port: int
    target: str
    target_port: int

    @property
    def reverse(self) -> Connection:
        """The same connection, seen from the other end."""
        return Connection(self.target, self.target_port, self.source, self.source_port)

    def __str__(self) -> str:
        return f"{self.source} {self.source_port} {self.target} {self.target_port}"


def among(listing: str, pairs: Collection[Pair]) -> frozenset[Connection]:
    """The connections in the output of ``LIST`` that one of ``pairs`` carries, whoever opened them."""
    found = []
    for line in listing.splitlines():
        entry = _ENTRY.search(line)
        if entry:
            source, target, source_port, target_port = entry.groups()
            if (source, target) in pairs or (target, source) in pairs:
                found.append(Connection(source, int(source_port), target, int(target_port)))
    return frozenset(found)


def told(listing: str) -> frozenset[Connection]:
    """The elements of the set ``told`` as ``nft list set`` writes it: the ends that were sent a reset."""
    return frozenset(
        Connection(source, int(source_port), target, int(target_port))
        for source, source_port, target, target_port in _ELEMENT.findall(listing)
    )
