"""RESP with writes that wait for replicas: every SET and DEL is followed by WAIT on the same connection, in one exchange.

A write is ``ok`` only if as many replicas as asked for acknowledged it in time. With fewer it is ``info``: it did happen at the
primary, and nobody knows whether it will last. That is what WAIT says, too: it undoes nothing, and a replica that acknowledged
may still lose a fail-over to one that did not.
"""

from __future__ import annotations

from collections.abc import Sequence

import hiredis

from harness.clients import ProtocolBreach, Reply
from harness.clients.resp import LISTS, Resp
from harness.history import Function, Status


class WaitingResp(Resp):
    """One connection's conversation in RESP2.

    Args:
        wait: how many replicas have to acknowledge a write.
        wait_ms: within which time.
        expire_ms: see ``Resp``.
    """

    def __init__(self, wait: int, wait_ms: int, expire_ms: int = 0) -> None:
        super().__init__(expire_ms)
        self._wait = wait
        self._suffix = b"*3\r\n$4\r\nWAIT\r\n$%d\r\n%d\r\n$%d\r\n%d\r\n" % (len(str(wait)), wait, len(str(wait_ms)), wait_ms)
        self._written: Reply | None = None

    def request(self, function: Function, key: bytes, value: bytes = b"") -> bytes:
        """GET, SET and WAIT, or DEL and WAIT."""
        request = super().request(function, key, value)
        return request if function is Function.READ else request + self._suffix

    def request_many(self, function: Function, keys: Sequence[bytes], values: Sequence[bytes]) -> bytes:
        """MGET, MSET and WAIT, or DEL and WAIT."""
        request = super().request_many(function, keys, values)
        return request if function is Function.READ else request + self._suffix

    def feed(self, data: bytes, function: Function) -> Reply | None:
        """The reply to ``function``, once it is complete: for a write, with the answer to its WAIT."""
        if function is Function.READ:
            return super().feed(data, function)
        if self._written is None:
            self._written = super().feed(data, function)
            if self._written is None:
                return None
            data = b""
        if data.startswith(LISTS) and not self._reader.has_data():
            raise ProtocolBreach("a list is no answer to WAIT")
        try:
            self._reader.feed(data)
            acknowledged = self._reader.gets()
        except hiredis.ProtocolError as error:
            raise ProtocolBreach(str(error)) from None
        if acknowledged is False:
            return None
        written, self._written = self._written, None
        if written.status is not Status.OK:
            return written
        if type(acknowledged) is not int:
            return Reply(Status.INFO, error=f"WAIT: {str(acknowledged)[:100]}")
        if acknowledged < self._wait:
            return Reply(Status.INFO, error=f"WAIT: {acknowledged} of {self._wait}")
        return written

    def idle(self) -> bool:
        """Whether all bytes received belong to replies already given."""
        return self._written is None and super().idle()
