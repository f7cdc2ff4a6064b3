"""The way into PostgreSQL, over TLS and by password (SCRAM-SHA-256), as far as the harness goes: until it is told the parameters.

It takes no library: whoever tests containers has none for PostgreSQL on the machine.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import stringprep
import struct
import unicodedata
from base64 import b64decode, b64encode
from collections.abc import Mapping

from harness.candidates.asking import TIMEOUT_NS, UnusableAnswerError
from harness.clients.access import Access
from harness.runtimes.base import Endpoint

_VERSION = 3 << 16
_TLS = struct.pack("!ii", 8, 80_877_103)
_GOODBYE = b"X\0\0\0\4"
_IN, _SASL, _GO_ON, _DONE = 0, 10, 11, 12
_MECHANISM = b"SCRAM-SHA-256"
_MAX_MESSAGE = 65_536
_MAX_ROUNDS = 100_000


class Postgres:
    """Visits to one server; each is a connection of its own."""

    def __init__(self, endpoint: Endpoint, user: str, access: Access) -> None:
        self._endpoint = endpoint
        self._user = user
        self._access = access
        self._salted: tuple[tuple[bytes, int], bytes] | None = None

    async def visit(self) -> Mapping[str, str]:
        """The parameters that the server tells to somebody whom it lets in; raises ``OSError``."""
        async with asyncio.timeout(TIMEOUT_NS / 1e9):
            reader, writer = await asyncio.open_connection(*self._endpoint)
            try:
                if self._access.tls is not None:
                    writer.write(_TLS)
                    if await reader.readexactly(1) != b"S":
                        raise UnusableAnswerError(f"{self} speaks no TLS")
                    await writer.start_tls(self._access.tls.context(), server_hostname=self._endpoint.host)
                wanted = b"user\0%b\0database\0postgres\0\0" % self._user.encode()
                writer.write(struct.pack("!ii", 8 + len(wanted), _VERSION) + wanted)
                told = await self._until_in(reader, writer)
                writer.write(_GOODBYE)
                await writer.drain()
            except asyncio.IncompleteReadError:
                raise UnusableAnswerError(f"{self} lets nobody in") from None
            finally:
                writer.close()
        return told

    async def _until_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Mapping[str, str]:
        told: dict[str, str] = {}
        scram = Scram(self._access.password)
        while True:
            kind, body = await self._message(reader)
            if kind == b"R":
                said = self._answer(scram, body)
                if said:
                    writer.write(b"p" + struct.pack("!i", 4 + len(said)) + said)
            elif kind == b"S":
                name, _, value = body.decode(errors="replace").partition("\0")
                told[name] = value.rstrip("\0")
            elif kind == b"E":
                fields = (field for field in body.decode(errors="replace").split("\0") if field[:1] == "M")
                raise UnusableAnswerError(f"{self} lets nobody in: {self._access.hide(next(fields, 'M')[1:]):.120}")
            elif kind == b"Z":
                return told

    async def _message(self, reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
        kind, size = struct.unpack("!ci", await reader.readexactly(5))
        if not 4 <= size <= _MAX_MESSAGE:  # noqa: PLR2004 - the size counts itself
            raise UnusableAnswerError(f"{self} answered garbage")
        return kind, await reader.readexactly(size - 4)

    def _answer(self, scram: Scram, body: bytes) -> bytes:
        """What is said to a request for proof; nothing where none is asked for any more."""
        try:
            (request,) = struct.unpack_from("!i", body)
            if request == _IN:
                return b""
            if request == _SASL and _MECHANISM in body[4:].split(b"\0"):
                first = scram.first()
                return _MECHANISM + b"\0" + struct.pack("!i", len(first)) + first
            if request == _GO_ON:
                salt, rounds = scram.challenged(body[4:])
                if self._salted is None or self._salted[0] != (salt, rounds):
                    # Thousands of rounds: too many to be made at every visit.
                    self._salted = (salt, rounds), scram.salted(salt, rounds)
                return scram.proof(self._salted[1])
            if request == _DONE and scram.proven(body[4:]):
                return b""
        except (ValueError, struct.error) as error:
            raise UnusableAnswerError(f"{self} answered garbage: {error}") from None
        raise UnusableAnswerError(f"{self} wants to know more than a password, or does not know it itself")

    def __str__(self) -> str:
        return f"{self._endpoint.host}:{self._endpoint.port}"


class Scram:
    """One exchange by which both sides prove that they know a password, and neither says it (RFC 5802, 7677)."""

    def __init__(self, password: str) -> None:
        self._password = prepared(password)
        self._mine = f"n=,r={secrets.token_urlsafe(18)}".encode()
        self._all = b""
        self._server_key = b""

    def first(self) -> bytes:
        """What is said first."""
        return b"n,," + self._mine

    def challenged(self, data: bytes) -> tuple[bytes, int]:
        """Salt and rounds out of the server's answer; raises ``ValueError``."""
        said = dict(part.split(b"=", 1) for part in data.split(b",") if b"=" in part)
        nonce, salt, rounds = (said.get(name, b"") for name in (b"r", b"s", b"i"))
        if not nonce.startswith(self._mine[5:]) or not rounds.isdigit() or not 0 < int(rounds) <= _MAX_ROUNDS:
            raise ValueError(f"no challenge: {data[:80]!r}")
        self._all = b"%b,%b,c=biws,r=%b" % (self._mine, data, nonce)
        return b64decode(salt, validate=True), int(rounds)

    def salted(self, salt: bytes, rounds: int) -> bytes:
        """The password as both sides keep it."""
        return hashlib.pbkdf2_hmac("sha256", self._password, salt, rounds)

    def proof(self, salted: bytes) -> bytes:
        """What is said last."""
        key = _keyed(salted, b"Client Key")
        sign = _keyed(hashlib.sha256(key).digest(), self._all)
        self._server_key = _keyed(salted, b"Server Key")
        proof = b64encode(bytes(a ^ b for a, b in zip(key, sign, strict=True)))
        return b"%b,p=%b" % (self._all[self._all.rindex(b"c=biws") :], proof)

    def proven(self, data: bytes) -> bool:
        """Whether the server knows the password, too."""
        return bool(self._server_key) and hmac.compare_digest(data, b"v=" + b64encode(_keyed(self._server_key, self._all)))


def prepared(password: str) -> bytes:
    """A password as it is salted (SASLprep); one with characters that have no place there goes as it is."""
    told = "".join(" " if stringprep.in_table_c12(each) else each for each in password if not stringprep.in_table_b1(each))
    told = unicodedata.normalize("NFKC", told)
    forbidden = any(stringprep.in_table_c21_c22(each) or stringprep.in_table_c3(each) for each in told)
    return (password if forbidden or not told else told).encode()


def _keyed(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")
