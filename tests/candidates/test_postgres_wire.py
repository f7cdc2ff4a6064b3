"""The way into PostgreSQL, where what answers is none, or not the one who knows the password."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import struct

import pytest

from harness.candidates.postgres_wire import Postgres, Scram, prepared
from harness.clients.access import Access
from harness.runtimes.base import Endpoint


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def asks(request: int, body: bytes = b"") -> bytes:
    return message(b"R", struct.pack("!i", request) + body)


SASL = asks(10, b"SCRAM-SHA-256\0\0")


async def visited(*answers: bytes) -> object:
    """What comes of a visit to somebody who says these things, each after he has heard something, and hangs up."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.read(4096)
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        return await Postgres(Endpoint(host, port), "anachron", Access("", "sesame")).visit()


@pytest.mark.parametrize(
    ("answers", "what"),
    [
        ((b"",), "lets nobody in"),
        ((b"HTTP/1.1 400 Bad Request\r\n\r\n",), "garbage"),
        ((message(b"R", b"\0"),), "garbage"),
        ((asks(3),), "more than a password"),
        ((asks(10, b"OTHER\0\0"),), "more than a password"),
        ((asks(12, b"v=AAAA"),), "does not know it itself"),
        ((SASL, asks(11, b"r=another,s=AAAA,i=4096")), "no challenge"),
        ((SASL, asks(11, b"nonsense")), "no challenge"),
        ((message(b"E", b"SFATAL\0Mno entry for sesame\0\0"),), r"no entry for \*\*\*"),
    ],
)
def test_odd_servers_let_nobody_in(answers: tuple[bytes, ...], what: str) -> None:
    """Whatever a server says that is no way in is an error, and the password is not in it."""
    with pytest.raises(OSError, match=what) as refused:
        asyncio.run(visited(*answers))
    assert "sesame" not in str(refused.value)


def test_only_who_knows_the_password_is_believed() -> None:
    """A server has to prove it as well: a signature made with another word is none."""
    for word, believed in (("sesame", True), ("guessed", False)):
        scram = Scram("sesame")
        nonce = scram.first().removeprefix(b"n,,n=,r=")
        challenge = b"r=%bserver,s=%b,i=5000" % (nonce, base64.b64encode(b"salt"))
        salt, rounds = scram.challenged(challenge)
        assert (salt, rounds) == (b"salt", 5000)
        last = scram.proof(scram.salted(salt, rounds))
        everything = b"n=,r=%b,%b,%b" % (nonce, challenge, last[: last.index(b",p=")])
        key = hmac.digest(hashlib.pbkdf2_hmac("sha256", word.encode(), salt, rounds), b"Server Key", "sha256")
        assert scram.proven(b"v=" + base64.b64encode(hmac.digest(key, everything, "sha256"))) is believed


def test_rounds_without_end_are_not_run() -> None:
    """A server cannot keep the harness busy."""
    scram = Scram("sesame")
    with pytest.raises(ValueError, match="no challenge"):
        scram.challenged(scram.first().removeprefix(b"n,,n=,") + b",s=AAAA,i=2000000000")


@pytest.mark.parametrize(
    ("password", "salted"), [("ä", "ä"), ("a\u00a0b", "a b"), ("I\u00adX", "IX"), ("\u2168", "IX"), ("\u0085", "\u0085")]
)
def test_passwords_are_prepared_as_the_server_does(password: str, salted: str) -> None:
    """The same word in other characters is the same password (RFC 4013); what may not be in one goes as it is."""
    assert prepared(password) == salted.encode()
