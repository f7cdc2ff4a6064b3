"""What a node of a Redis cluster says of all of them (``CLUSTER NODES``), and how slots move from one to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.candidates.asking import UnusableAnswerError
from harness.candidates.redis_admin import Admin
from harness.clients.access import Access

_FIELDS = 8
_KEYS_AT_ONCE = "20"
_MIGRATE_MS = "2000"
_MIGRATE_NS = 3_000_000_000
"""How long a server may take for a handful of keys."""


@dataclass(frozen=True, slots=True)
class Known:
    """One node as another one knows it.

    Attributes:
        address: ``host:port``.
        role: ``primary`` or ``replica``.
        primary: the id of the one it follows; empty for a primary.
        epoch: of its configuration.
        linked: whether the two have met and are connected; of a node itself, always.
        failed: whether it is taken for failed, by the one who says so or by all.
        slots: the ranges that it owns.
    """

    address: str
    role: str
    primary: str
    epoch: int
    linked: bool
    failed: bool
    slots: tuple[tuple[int, int], ...]


Nodes = Mapping[str, Known]
"""By node id."""


def parse_nodes(text: Any) -> Nodes:
    """The answer to ``CLUSTER NODES``. Raises ``UnusableAnswerError``."""
    if not isinstance(text, str):
        raise UnusableAnswerError(f"CLUSTER NODES was answered with {text!r:.80}")
    try:
        return {line.split()[0]: _known(line.split()) for line in text.splitlines()}
    except (ValueError, IndexError) as error:
        raise UnusableAnswerError(f"CLUSTER NODES was answered with {text!r:.200}: {error}") from None


def _known(words: list[str]) -> Known:
    if len(words) < _FIELDS:
        raise ValueError("a line is too short")
    flags = words[2].split(",")
    # A slot on its way stands in brackets; it still belongs to whoever lists it among the others.
    ranges = [word.partition("-") for word in words[_FIELDS:] if not word.startswith("[")]
    return Known(
        address=words[1].partition("@")[0],
        role="replica" if "slave" in flags else "primary",
        primary="" if words[3] == "-" else words[3],
        epoch=int(words[6]),
        linked="myself" in flags or (words[7] == "connected" and "handshake" not in flags),
        failed="fail" in flags or "fail?" in flags,
        slots=tuple((int(first), int(last or first)) for first, _, last in ranges),
    )


async def move_slot(slot: int, source: Admin, target: Admin, others: Sequence[Admin]) -> int:
    """Move ``slot`` with its keys from ``source`` to ``target`` while clients go on; how many keys that were. Raises ``OSError``.

    The owners' part of ``redis-cli --cluster reshard``, one key after the other: until it is over, the source sends clients on
    (``ASK``) for every key that it has no more. One that failed on its way can be done again.
    """
    giving, taking = str(await source.call("CLUSTER", "MYID")), str(await target.call("CLUSTER", "MYID"))
    number, keys = str(slot), 0
    if not owns(parse_nodes(await target.call("CLUSTER", "NODES")), taking, slot):
        await target.call("CLUSTER", "SETSLOT", number, "IMPORTING", giving)
        await source.call("CLUSTER", "SETSLOT", number, "MIGRATING", taking)
        while names := await source.call("CLUSTER", "GETKEYSINSLOT", number, _KEYS_AT_ONCE):
            host, port = target.endpoint
            words = ("MIGRATE", host, str(port), "", "0", _MIGRATE_MS, *_introduction(source.access), "KEYS", *names)
            await source.call(*words, within_ns=_MIGRATE_NS)
            keys += len(names)
        # The one that takes it first: should the source be gone the moment after, nobody would own the slot.
        await target.call("CLUSTER", "SETSLOT", number, "NODE", taking, within_ns=_MIGRATE_NS)
    for node in (source, *others):
        await node.call("CLUSTER", "SETSLOT", number, "NODE", taking, within_ns=_MIGRATE_NS)
    return keys


def _introduction(access: Access) -> tuple[str, ...]:
    """How one node gets into another."""
    if access.username:
        return ("AUTH2", access.username, access.password)
    return ("AUTH", access.password) if access.password else ()


def owns(nodes: Nodes, identity: str, slot: int) -> bool:
    """Whether the node ``identity`` owns ``slot``."""
    return identity in nodes and any(first <= slot <= last for first, last in nodes[identity].slots)
