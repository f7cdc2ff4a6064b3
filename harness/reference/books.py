"""What an actor keeps, in records: the same count for one in virtual time and one in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping

from harness.reference.node import Actor


def kept(actor: Actor) -> Mapping[str, int]:
    """How many records each of the actor's tables has, by the attribute it is in; a table of tables has those of them all."""
    return {name: _records(table) for name, table in vars(actor).items() if isinstance(table, dict)}


def _records(table: Mapping[object, object]) -> int:
    return sum(len(entry) if isinstance(entry, dict) else 1 for entry in table.values())
