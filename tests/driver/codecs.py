"""A protocol of the tests' own: RESP whose written values are followed by megabytes."""

from harness.clients.resp import Resp
from harness.history import Function

PADDING = b"|" + b"x" * 8_000_000


class Bulky(Resp):
    """Values too large for one ``send`` or one ``recv``."""

    def request(self, function: Function, key: bytes, value: bytes = b"") -> bytes:
        return super().request(function, key, value + PADDING if value else value)
