"""Wire protocols without sockets: an operation becomes bytes, bytes become a reply.

A codec is one connection's conversation. It does no I/O and reads no clock, so that the driver can stamp times at the socket and
tests can feed it any bytes. It alone decides for every answer of its protocol whether the operation certainly did not happen
(``fail``) or nobody knows (``info``). Another protocol is one more file here and one more line in ``CODECS``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from harness.history import Function, Seen, Status
from harness.registry import Registry


class Reply(NamedTuple):
    """A server's answer to one operation.

    Attributes:
        status: ``fail`` only where the answer proves that the operation had no effect.
        seen: ``HIT`` with a ``value``; ``MISS`` or ``ABSENT`` without; ``NOTHING`` for a write and where the status is not ok.
        value: the bytes that a read found, whoever wrote them.
        error: what the server said, short and without what varies from one operation to the next; empty where the status is ok.
        redirect: the whole of what it said where it named another node to ask; else empty.
        beside: the same for each further key of a read of several; all of one status.
    """

    status: Status
    seen: Seen = Seen.NOTHING
    value: bytes = b""
    error: str = ""
    redirect: str = ""
    beside: tuple[Reply, ...] = ()


class ProtocolBreach(Exception):  # noqa: N818 - it is the server's breach, not an error of ours
    """Bytes that are not of this protocol; the connection cannot be trusted any more."""


class Codec(Protocol):
    """The conversation on one connection, one operation at a time."""

    def request(self, function: Function, key: bytes, value: bytes = b"") -> bytes:
        """The bytes that ask for ``function`` on ``key``; the same for the same arguments, so that they may be kept."""

    def feed(self, data: bytes, function: Function) -> Reply | None:
        """The reply to the ``function`` in flight, or None while more bytes are needed. Raises ``ProtocolBreach``."""

    def sent_ahead(self, commands: int) -> None:
        """So many commands go ahead of the operation, whose answers do not matter. Only asked where clients are routed."""

    def idle(self) -> bool:
        """Whether no bytes are left over. Bytes after a reply were asked for by nobody: they would pass for the next reply."""


@runtime_checkable
class ManyKeys(Protocol):
    """A codec whose protocol has requests of several keys.

    Attributes:
        one_by_one: why there are none with the options that it was made with; empty if there are.
    """

    one_by_one: str

    def request_many(self, function: Function, keys: Sequence[bytes], values: Sequence[bytes]) -> bytes:
        """The bytes that ask for ``function`` on all ``keys`` at once; ``values`` only matter to a write."""

    def feed_many(self, data: bytes, function: Function, count: int) -> Reply | None:
        """As ``Codec.feed``, for the ``function`` in flight on ``count`` keys."""


class CodecFactory(Protocol):
    """Makes the codec of a new connection."""

    def __call__(self, **options: Any) -> Codec:
        """A codec that has seen nothing yet; ``options`` are the candidate's."""


CODECS: Registry[CodecFactory] = Registry(
    "client",
    {
        "http": "harness.clients.http:Http",
        "memcached": "harness.clients.memcached:Memcached",
        "memcached-meta": "harness.clients.memcached_meta:Meta",
        "resp": "harness.clients.resp:Resp",
        "resp-wait": "harness.clients.resp_wait:WaitingResp",
    },
)
