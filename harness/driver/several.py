"""Requests of several keys: one call and one return, and in the journal a row for each key.

Nothing here is on the way of a request of one key.
"""

from __future__ import annotations

from typing import cast

from harness.clients import Codec, ManyKeys, Reply
from harness.driver.connection import Client
from harness.driver.keys import Keys
from harness.driver.oddities import Oddities
from harness.history import Function, Seen, Status
from harness.journal import Journal
from harness.values import encode_value


class Several:
    """What a worker does for the further keys of requests.

    Args:
        codec: of the worker's protocol.
        journal, keys: the worker's.
        oddities: where answers go that make no sense.
    """

    def __init__(self, codec: Codec, journal: Journal, keys: Keys, oddities: Oddities) -> None:
        self._codec = codec if isinstance(codec, ManyKeys) else None
        self._journal = journal
        self._keys = keys
        self._oddities = oddities

    def begin(self, client: Client) -> None:
        """Journal the call of the further keys; that of the first one is in the journal."""
        function, _, _, _, due_ns, group, beside = client.operation
        client.beside = [
            self._journal.begin(
                due_ns or client.call_ns,
                client.call_ns,
                version,
                group,
                client.session,
                client.process,
                key,
                client.node,
                client.workload,
                function,
            )
            for key, version in beside
        ]

    def request(self, client: Client) -> bytes:
        """The bytes of the operation in flight. Every value names the row of its own key."""
        if self._codec is None:
            raise RuntimeError("an operation is for several keys, and the protocol has no requests of several keys")
        function, items = client.operation.function, client.operation.items
        names = [self._keys.names[key] for key, _ in items]
        ops = (client.op, *client.beside)
        values = [encode_value(name, version, op) for name, (_, version), op in zip(names, items, ops, strict=True)]
        return self._codec.request_many(function, names, values)

    def feed(self, codec: Codec, data: bytes, client: Client) -> Reply | None:
        """The reply to the operation in flight, once it is complete; as ``Codec.feed``."""
        return cast("ManyKeys", codec).feed_many(data, client.operation.function, len(client.operation.items))

    def succeed(self, client: Client, at_ns: int, reply: Reply) -> tuple[tuple[Seen, int], ...]:
        """The operation in flight is ``ok``; what a read found of the further keys."""
        replies = reply.beside or (reply,) * len(client.beside)
        sights = []
        for op, (key, version), each in zip(client.beside, client.operation.beside, replies, strict=True):
            seen, seen_key, seen_version, seen_op = each.seen, -1, -1, -1
            if seen is Seen.HIT:
                seen, seen_key, seen_version, seen_op = self._keys.understand(each.value)
                if seen is Seen.GARBAGE:
                    self._oddities.answered(client, client.node, "not a value of this run", each.value, at_ns, key=key)
            elif client.operation.function is not Function.READ:
                self._keys.acknowledged[key] = max(version, self._keys.acknowledged[key])
            self._journal.end(op, at_ns, Status.OK, seen, seen_key, seen_version, seen_op)
            sights.append((seen, seen_version))
        return tuple(sights)

    def end(self, client: Client, return_ns: int, status: Status, error: int) -> tuple[tuple[Seen, int], ...]:
        """The operation in flight is ``fail`` or ``info``, of the further keys as well; nothing was found of them."""
        for op in client.beside:
            self._journal.end(op, return_ns, status, error=error)
        return ((Seen.NOTHING, -1),) * len(client.beside)
