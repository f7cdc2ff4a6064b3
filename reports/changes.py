"""Nodes that became somebody else while a run went on: a restart, another role, another primary's history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.history import History

_BETWEEN = ", "
"""What stands between the parts of an identity."""


@dataclass(frozen=True, slots=True)
class Change:
    """One node that was seen with another identity than before; of both only the parts that differ.

    >>> of("a", 5, "process 7, replication 1f, slave", "process 7, replication 2e, master")
    Change(node='a', at_ns=5, before='replication 1f, slave', after='replication 2e, master')
    """

    node: str
    at_ns: int
    before: str
    after: str


def changes(history: History) -> tuple[Change, ...]:
    """All of them, in the order in which they were seen."""
    return tuple(_changes(history))


def _changes(history: History) -> Iterator[Change]:
    known: dict[str, str] = {}
    for epoch in sorted(history.epochs, key=lambda epoch: (epoch.first_ns, epoch.epoch)):
        before = known.get(epoch.node)
        if before is not None:
            yield of(epoch.node, epoch.first_ns, before, epoch.identity)
        known[epoch.node] = epoch.identity


def of(node: str, at_ns: int, before: str, after: str) -> Change:
    """The change from one identity to another."""
    return Change(node, at_ns, _but(before, after), _but(after, before))


def _but(identity: str, other: str) -> str:
    """The parts of ``identity`` that ``other`` has not; nothing if there are none."""
    others = other.split(_BETWEEN)
    return _BETWEEN.join(part for part in identity.split(_BETWEEN) if part not in others)
